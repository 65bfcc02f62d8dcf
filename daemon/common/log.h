/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Log
 *
 * To the journal when standard error goes there, else to standard error. What is logged is what
 * nobody is told by a reply; and, in the journal only, who changed what (audit.h).
 *
 * Beside its words an entry in the journal has fields, which are what journalctl selects by:
 *
 *   GUESTMAP_VM           name of a VM
 *   GUESTMAP_REGION       name of a region
 *   GUESTMAP_GENERATION   of the VM
 *   GUESTMAP_CALLER_UID   who asked for it, and by which name on the bus: GUESTMAP_CALLER
 *   GUESTMAP_MEMBER       of the interface, that was called
 *   GUESTMAP_OBJECT       on which it was called, by its path
 *   GUESTMAP_ARGUMENTS    the first of the call's
 *   GUESTMAP_RESULT       "done", or the name of an error
 *   MESSAGE_ID            message-ids.h, explained by the catalog
 *
 * I1: nobody waits for the journal. What it does not take at once is lost, and counted; the next
 *     entry that it takes is preceded by their number.
 *
 * I2: an entry has all of its fields: a value that is too long is cut.
 *
 * I3: a message is one line, whatever clients have said that is in it: utf8_show().
 *
 * Any thread may log.
 */

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

#include "daemon/common/message-ids.h"
#include "lib/util/cleanup.h"

typedef struct LogFields LogFields;

/* NULL or false: the entry has no such field. */
struct LogFields {
        const char *message_id; /* MESSAGE_* */
        const char *vm;
        const char *region;
        const char *caller;
        const char *member;
        const char *object;
        const char *arguments;
        const char *result;
        bool has_uid;
        uint32_t uid;
        bool has_generation;
        uint64_t generation;
};

/* Finds out where entries go. Before that they go to standard error. */
void log_open(void);
/* The same with a journal that listens at `path`, for tests. */
int log_open_journal(const char *path);
bool log_is_journal(void);

/* What entries that name no VM are about; it stays the caller's. NULL: no VM. */
void log_set_vm(const char *vm);

/* `priority` is one of syslog's. */
void log_entry(int priority, const LogFields *fields, const char *format, ...) _printf_(3, 4);

#define log_vm(priority, name, ...)                                                                \
        log_entry((priority), &(const LogFields){.vm = (name)}, __VA_ARGS__)
#define log_info(...)    log_vm(LOG_INFO, NULL, __VA_ARGS__)
#define log_warning(...) log_vm(LOG_WARNING, NULL, __VA_ARGS__)
#define log_error(...)   log_vm(LOG_ERR, NULL, __VA_ARGS__)
