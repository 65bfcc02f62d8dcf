/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Trace: a listener that writes down what it is told, a line per callback
 *
 * Several traces may write into one text; each line begins with the trace's own name. It can be
 * told to refuse: the next prepare(), the next apply(), the next log_global_start().
 */

#include "lib/memory/listener.h"

typedef struct Trace Trace;
typedef struct TraceText TraceText;

struct TraceText {
        char *text; /* complete after trace_take() only */
        size_t length;
        FILE *stream;
};

struct Trace {
        Listener listener; /* first: callbacks cast */
        const char *name;
        TraceText *out;
        bool refuse_prepare;
        bool fail_apply;
        bool fail_log;
};

void trace_text_init(TraceText *out);
void trace_text_deinit(TraceText *out);
/* What was written since the last call. Valid until the next one. */
const char *trace_take(TraceText *out);

/* Everything is written down, but region_nop and log_sync_global only if asked for. */
extern const ListenerOps trace_ops;
extern const ListenerOps trace_ops_with_nop;
extern const ListenerOps trace_ops_with_sync_global;
