/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <string.h>

#include "daemon/vm/handler-spec.h"
#include "daemon/vm/vm-error.h"
#include "lib/memory/handler-log.h"
#include "lib/memory/handler-socket.h"

/* A guest that waits longer than that for a register is of no use to anybody. */
#define TIMEOUT_USEC_MAX UINT64_C(60000000)

/* What a kind of handler takes, and what it needs. */
enum {
        TAKES_VALUE = 1 << 0,
        NEEDS_VALUE = 1 << 1,
        NEEDS_FD = 1 << 2,
};

static int make_none(Handler **ret, const HandlerSpec *spec, const char *region, Detail *detail) {
        return handler_new_none(ret);
}

static int make_constant(Handler **ret, const HandlerSpec *spec, const char *region,
                         Detail *detail) {
        return handler_new_constant(ret, spec->value);
}

static int make_latch(Handler **ret, const HandlerSpec *spec, const char *region, Detail *detail) {
        return handler_new_latch(ret, spec->value);
}

static int make_log(Handler **ret, const HandlerSpec *spec, const char *region, Detail *detail) {
        return handler_new_log(ret);
}

static int make_socket(Handler **ret, const HandlerSpec *spec, const char *region, Detail *detail) {
        const SocketSetup setup = {
                .fd = spec->fd,
                .region = region,
                .timeout_usec = spec->timeout_usec,
                .user_data = spec->user_data,
                .posted_writes = spec->posted_writes,
        };

        if (spec->timeout_usec == 0 || spec->timeout_usec > TIMEOUT_USEC_MAX)
                return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                  "timeout-usec %" PRIu64 " is not from 1 to %" PRIu64,
                                  spec->timeout_usec, TIMEOUT_USEC_MAX);
        return handler_new_socket(ret, &setup, detail);
}

static const struct HandlerKind {
        const char *word;
        unsigned needs;
        int (*make)(Handler **ret, const HandlerSpec *spec, const char *region, Detail *detail);
} kinds[] = {
        {"none", 0, make_none},
        {"constant", TAKES_VALUE | NEEDS_VALUE, make_constant},
        {"latch", TAKES_VALUE, make_latch},
        {"log", 0, make_log},
        {"socket", NEEDS_FD, make_socket},
};

static const struct HandlerKind *find_kind(const char *word) {
        for (size_t i = 0; i < ELEMENTS_OF(kinds); i++)
                if (strcmp(kinds[i].word, word) == 0)
                        return &kinds[i];
        return NULL;
}

/* The first that was given of what only sockets take; NULL: none. */
static const char *socket_option(const HandlerSpec *spec) {
        if (spec->socket_options & HANDLER_TIMEOUT_USEC)
                return "timeout-usec";
        if (spec->socket_options & HANDLER_USER_DATA)
                return "user-data";
        return spec->socket_options & HANDLER_POSTED_WRITES ? "posted-writes" : NULL;
}

/* What was given against what the kind takes. */
static int check_given(const HandlerSpec *spec, unsigned needs, Detail *detail) {
        const char *option = needs & NEEDS_FD ? NULL : socket_option(spec);
        const char *why = NULL;

        if (option)
                return detail_set(detail, VM_E_INVALID_ARGUMENTS, "handler \"%s\" takes no %s",
                                  spec->kind, option);
        if (needs & NEEDS_VALUE && !spec->has_value)
                why = "needs a value";
        else if (spec->has_value && !(needs & TAKES_VALUE))
                why = "takes no value";
        else if (needs & NEEDS_FD && !spec->has_fd)
                why = "needs a descriptor, which SetHandler takes";
        else if (spec->has_fd && !(needs & NEEDS_FD))
                why = "takes no descriptor";
        if (!why)
                return 0;
        return detail_set(detail, VM_E_INVALID_ARGUMENTS, "handler \"%s\" %s", spec->kind, why);
}

static int read_widths(const HandlerSpec *spec, HandlerWidths *ret, Detail *detail) {
        HandlerWidths widths = {.unaligned = spec->unaligned};

        /* 0 is no width either, and fits. */
        widths.min = spec->min_width > UINT8_MAX ? 0 : (uint8_t)spec->min_width;
        widths.max = spec->max_width > UINT8_MAX ? 0 : (uint8_t)spec->max_width;
        if (!handler_widths_are_valid(&widths))
                return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                  "widths from %u to %u: each is 1, 2, 4 or 8, and the first no "
                                  "more than the second",
                                  spec->min_width, spec->max_width);
        *ret = widths;
        return 0;
}

int handler_from_spec(Handler **ret, const HandlerSpec *spec, const char *region, Detail *detail) {
        const struct HandlerKind *kind = find_kind(spec->kind);
        HandlerWidths widths = {};
        int r;

        if (!kind)
                return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                  "handler \"%.64s\" is none of none, constant, latch, log, socket",
                                  spec->kind);
        r = check_given(spec, kind->needs, detail);
        if (r == 0)
                r = read_widths(spec, &widths, detail);
        if (r == 0)
                r = kind->make(ret, spec, region, detail);
        if (r == 0)
                (*ret)->widths = widths;
        return r;
}
