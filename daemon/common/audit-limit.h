/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How many entries the audit has of one user's calls
 *
 * The journal limits a service as a whole: whoever makes enough noise silences the entries of all
 * others. So it is told not to (the units' LogRateLimitIntervalSec=), and each uid has a limit of
 * its own, in each process: so many entries from the first one on until some time is over. Calls
 * beyond it have no entry, but when the time is over one entry says how many these were.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "lib/util/tree.h"

#define AUDIT_NOBODY UINT32_MAX /* the uid of whoever the bus does not know */

typedef struct AuditLimit AuditLimit;
typedef struct AuditSpan AuditSpan;
typedef struct AuditSpans AuditSpans;
typedef struct AuditUser AuditUser;

RB_HEAD(AuditSpans, AuditSpan);

struct AuditLimit {
        sd_event *event;
        struct AuditSpans spans; /* of users that have had an entry, until their time is over */
        unsigned entries_max;    /* what guestmapd(8) says; tests have less */
        uint64_t span_usec;
};

struct AuditUser {
        char text[16]; /* "uid 1000", "uid unknown" */
};

AuditUser audit_user(uint32_t uid);

void audit_limit_init(AuditLimit *limit, sd_event *event);
/* Says what is left to be said. */
void audit_limit_deinit(AuditLimit *limit);

/* Whether a call of that uid has an entry, which is made then. */
bool audit_limit_pass(AuditLimit *limit, uint32_t uid);
