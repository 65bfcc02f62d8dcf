/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "daemon/vm/handler-spec.h"
#include "daemon/vm/vm-error.h"

static int make_none(Handler **ret, uint64_t value) {
        return handler_new_none(ret);
}

/* Kinds, and whether they take or need a value. */
static const struct {
        const char *kind;
        int (*make)(Handler **ret, uint64_t value);
        bool takes_value;
        bool needs_value;
} kinds[] = {
        {"none", make_none, false, false},
        {"constant", handler_new_constant, true, true},
        {"latch", handler_new_latch, true, false},
};

static int find_kind(const HandlerSpec *spec, size_t *ret, Detail *detail) {
        for (size_t i = 0; i < ELEMENTS_OF(kinds); i++)
                if (strcmp(kinds[i].kind, spec->kind) == 0) {
                        *ret = i;
                        return 0;
                }
        return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                          "handler \"%.64s\" is none of none, constant, latch", spec->kind);
}

static int read_widths(const HandlerSpec *spec, HandlerWidths *ret, Detail *detail) {
        HandlerWidths widths = {.unaligned = spec->unaligned};

        /* 0 is no width either, and fits. */
        widths.min = spec->min_width > UINT8_MAX ? 0 : (uint8_t)spec->min_width;
        widths.max = spec->max_width > UINT8_MAX ? 0 : (uint8_t)spec->max_width;
        if (!handler_widths_are_valid(&widths))
                return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                  "widths from %u to %u: each is 1, 2, 4 or 8, "
                                  "and the first no more than the second",
                                  spec->min_width, spec->max_width);
        *ret = widths;
        return 0;
}

int handler_from_spec(Handler **ret, const HandlerSpec *spec, Detail *detail) {
        HandlerWidths widths = {};
        size_t kind = 0;
        int r;

        r = find_kind(spec, &kind, detail);
        if (r == 0)
                r = read_widths(spec, &widths, detail);
        if (r != 0)
                return r;
        if (kinds[kind].needs_value && !spec->has_value)
                return detail_set(detail, VM_E_INVALID_ARGUMENTS, "handler \"%s\" needs a value",
                                  spec->kind);
        if (spec->has_value && !kinds[kind].takes_value)
                return detail_set(detail, VM_E_INVALID_ARGUMENTS, "handler \"%s\" takes no value",
                                  spec->kind);
        r = kinds[kind].make(ret, spec->value);
        if (r == 0)
                (*ret)->widths = widths;
        return r;
}
