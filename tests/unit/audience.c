/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the tests of listeners share; see audience.h. */

#include "tests/unit/audience.h"

Trace audience_trace(Audience *f, const char *name, int priority) {
        return (Trace){.listener = {.ops = &trace_ops, .priority = priority},
                       .name = name,
                       .out = &f->out};
}

void audience_join(Audience *f, Trace *trace) {
        Detail detail = {};

        assert_int_equal(listener_register(&trace->listener, f->map, &detail), 0);
}

int audience_setup(void **state) {
        Audience *f = calloc(1, sizeof(*f));

        trace_text_init(&f->out);
        f->map = scene_new();
        must_edit(f->map, add_region(REGION_RAM, "ram", 0x1000, "system", 0, 0));
        must_edit(f->map, add_region(REGION_MMIO, "device", 0x100, "system", 0x2000, 0));
        must_commit(f->map);
        f->lo = audience_trace(f, "lo", LISTENER_PRIORITY_OBSERVER);
        f->hi = audience_trace(f, "hi", LISTENER_PRIORITY_ACCELERATOR);
        audience_join(f, &f->hi);
        audience_join(f, &f->lo);
        trace_take(&f->out);
        *state = f;
        return 0;
}

int audience_teardown(void **state) {
        Audience *f = *state;

        listener_unregister(&f->lo.listener, f->map);
        listener_unregister(&f->hi.listener, f->map);
        map_free(f->map);
        trace_text_deinit(&f->out);
        free(f);
        return 0;
}

void told(Audience *f, const char *expected) {
        assert_string_equal(trace_take(&f->out), expected);
}
