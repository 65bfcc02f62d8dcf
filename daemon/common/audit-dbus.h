/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Audit: who did what
 *
 * One entry in the journal for each call by a client that asks for more than to look (rights.h),
 * when it is answered: who, what, on which object, with which result. Calls that were
 * refused have one as well, with a message id of their own. Without a journal there is no audit.
 *
 * guestmapd makes the entries of calls that it sees, a VM's process those of calls on connections
 * that clients have of their own.
 */

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "daemon/common/audit-limit.h"
#include "daemon/common/log.h"

typedef struct AuditSubject AuditSubject;

/* What a call is about, beside its header: as much as its entry has. */
struct AuditSubject {
        char *region;     /* by name; NULL: none */
        char arguments[]; /* the first of them, up to one that is neither a word nor a number */
};

/* Whether a call, other than to the bus itself, has an entry. */
bool audit_wants(sd_bus_message *call);

/* NULL: the call has no entry, or that has no more than the header. What was read is forgotten. */
AuditSubject *audit_subject_new(sd_bus_message *call);
AuditSubject *audit_subject_free(AuditSubject *subject);
DEFINE_CLEANUP(AuditSubject *, audit_subject_free);

/*
 * `call` was answered, by `reply` if that is not NULL, else with the error, which is NULL when it
 * was done. `who` names the VM and the caller; `subject` may be NULL. Of the call only header
 * fields are looked at. Beyond the limit there is no entry.
 */
void audit_log(AuditLimit *limit, const LogFields *who, sd_bus_message *call,
               const AuditSubject *subject, sd_bus_message *reply, const sd_bus_error *error);

/* The error of a call whose caller has left before the answer: nobody knows what it has done. */
extern const sd_bus_error audit_caller_left;
