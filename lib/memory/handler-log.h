/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Handler that takes notes: who wants to know what a guest asks of registers
 *
 * Guests read all-ones and what they write is dropped, as where nobody answers; but each access is
 * put into the log of the VM, from where another thread takes it. The log has room for so many; who
 * does not take them in time is told how many there were besides. Guests wait for nobody.
 *
 * Notes are put by vCPU threads, and taken by one thread.
 *
 * Source: this project.
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/memory/handler.h"

typedef struct AccessLog AccessLog;
typedef struct AccessNote AccessNote;

enum { ACCESS_LOG_MAX = 256 };

struct AccessNote {
        Handler *handler; /* counted reference of whoever takes the note */
        uint64_t offset;  /* in its region, handler_log_region() */
        uint64_t value;   /* of a write */
        uint64_t missed;  /* how many there were before it for which there was no room */
        uint8_t width;    /* in bytes */
        bool write;
};

/* -errno. */
int access_log_new(AccessLog **ret);
/* Forgets what is in it. Handlers may outlive it: the last reference frees it. */
AccessLog *access_log_close(AccessLog *log);
DEFINE_CLEANUP(AccessLog *, access_log_close);
/* An eventfd that becomes readable when there is a note in a log that had none. */
int access_log_fd(const AccessLog *log);
/* The oldest note; false if there is none. */
bool access_log_take(AccessLog *log, AccessNote *ret);

/* One that is still to be told whose it is, and where to. -ENOMEM. */
int handler_new_log(Handler **ret);
bool handler_is_log(const Handler *handler);
/* Before it is a region's. More often than once is no harm. -ENOMEM. */
int handler_log_equip(Handler *handler, AccessLog *log, const char *region);
const char *handler_log_region(const Handler *handler);
