/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/common/audit-limit.h"
#include "daemon/common/log.h"

#define ENTRIES_MAX 10000
#define SPAN_USEC   30000000

struct AuditSpan {
        RB_ENTRY(AuditSpan) by_uid;
        AuditLimit *limit;
        uint32_t uid;
        unsigned n_entries;
        uint64_t n_left_out;
        sd_event_source *end;
};

static int compare_uids(const AuditSpan *a, const AuditSpan *b) {
        return (a->uid > b->uid) - (a->uid < b->uid);
}

RB_GENERATE_STATIC(AuditSpans, AuditSpan, by_uid, compare_uids);

AuditUser audit_user(uint32_t uid) {
        AuditUser user = {"uid unknown"};

        if (uid != AUDIT_NOBODY)
                snprintf(user.text, sizeof(user.text), "uid %" PRIu32, uid);
        return user;
}

static AuditSpan *span_free(AuditSpan *span) {
        RB_REMOVE(AuditSpans, &span->limit->spans, span);
        sd_event_source_disable_unref(span->end);
        free(span);
        return NULL;
}

static void span_finish(AuditSpan *span) {
        if (span->n_left_out > 0)
                log_entry(LOG_WARNING,
                          &(const LogFields){.message_id = MESSAGE_CALLS_UNLOGGED,
                                             .has_uid = span->uid != AUDIT_NOBODY,
                                             .uid = span->uid},
                          "%s: %" PRIu64 " entries left out, beyond %u in %" PRIu64 " s",
                          audit_user(span->uid).text, span->n_left_out, span->n_entries,
                          span->limit->span_usec / 1000000);
        span_free(span);
}

static int on_end(sd_event_source *source, uint64_t usec, void *userdata) {
        span_finish(userdata);
        return 0;
}

static AuditSpan *span_new(AuditLimit *limit, uint32_t uid) {
        AuditSpan *span = calloc(1, sizeof(*span));

        if (!span)
                return NULL;
        span->limit = limit;
        span->uid = uid;
        RB_INSERT(AuditSpans, &limit->spans, span);
        if (sd_event_add_time_relative(limit->event, &span->end, CLOCK_MONOTONIC, limit->span_usec,
                                       0, on_end, span) < 0)
                return span_free(span);
        return span;
}

/* Where nobody could count there is no limit. */
bool audit_limit_pass(AuditLimit *limit, uint32_t uid) {
        AuditSpan key = {.uid = uid}, *span = RB_FIND(AuditSpans, &limit->spans, &key);

        if (!span)
                span = span_new(limit, uid);
        if (!span)
                return true;
        if (span->n_entries == limit->entries_max) {
                span->n_left_out++;
                return false;
        }
        span->n_entries++;
        return true;
}

void audit_limit_init(AuditLimit *limit, sd_event *event) {
        *limit = (AuditLimit){
                .event = event,
                .entries_max = ENTRIES_MAX,
                .span_usec = SPAN_USEC,
        };
        RB_INIT(&limit->spans);
}

void audit_limit_deinit(AuditLimit *limit) {
        AuditSpan *span, *next;

        RB_FOREACH_SAFE(span, AuditSpans, &limit->spans, next)
                span_finish(span);
}
