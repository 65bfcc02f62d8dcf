/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Flow: phrases broken into lines of so many columns
 *
 * A phrase begins on a line of its own if the one before has no room for all of it; what is
 * continued is indented. Text is borrowed.
 */

#include <stddef.h>

typedef struct Flow Flow;
typedef struct Span Span;

enum { FLOW_INDENT = 2 };

/* A word, or the part of one that a line has room for. */
struct Span {
        int line;
        int blanks; /* before it */
        int style;
        const char *text;
        size_t n;
};

/* Begins with `room` only. */
struct Flow {
        int room; /* columns of a line */
        Span *spans;
        size_t n;
        size_t n_allocated;
        int line;
        int column;
};

void flow_phrase(Flow *flow, int style, const char *text);
void flow_deinit(Flow *flow);
/* The index behind the last span of the line that begins at `first`. */
size_t flow_line_end(const Flow *flow, size_t first, int line);
