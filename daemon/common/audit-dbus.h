/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Audit: who did what
 *
 * One entry in the journal for each call by a client that asks for more than to look (rights.h),
 * when it is answered: who, what, on which VM and region, with which result. Calls that were
 * refused have one as well, with a message id of their own. Without a journal there is no audit.
 *
 * guestmapd makes the entries of calls that it sees, a VM's process those of calls on connections
 * that clients have of their own.
 */

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "daemon/common/log.h"

/* Whether a call, other than to the bus itself, has an entry. */
bool audit_wants(sd_bus_message *call);

/*
 * The region that a call is about, if its entry is to name one; the caller frees it. NULL: none.
 * What has been read of the call is forgotten.
 */
char *audit_region(sd_bus_message *call);

/*
 * `call` was answered, by `reply` if that is not NULL, else with the error, which is NULL when it
 * was done. `who` names the VM and the caller; `region` may be NULL. Of the call only header fields
 * are looked at.
 */
void audit_log(const LogFields *who, sd_bus_message *call, const char *region,
               sd_bus_message *reply, const sd_bus_error *error);

/* The error of a call whose caller has left before the answer: nobody knows what it has done. */
extern const sd_bus_error audit_caller_left;
