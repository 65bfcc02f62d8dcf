/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "client/flow.h"
#include "client/print.h"
#include "client/width.h"

static void add_span(Flow *flow, Span span, int width) {
        must_reserve(&flow->spans, &flow->n_allocated, flow->n, 1);
        flow->spans[flow->n++] = span;
        flow->column += span.blanks + width;
}

static void break_line(Flow *flow) {
        flow->line++;
        flow->column = 0;
}

/* On the next line if there is no room for it on this one; in pieces if there is none there. */
static void add_word(Flow *flow, int style, const char *text, size_t n, int blanks) {
        int width;

        if (flow->column > 0 && width_fit(text, n, flow->room - flow->column - blanks, &width) < n)
                break_line(flow);
        while (n > 0) {
                int before = flow->column > 0 ? blanks : flow->line > 0 ? FLOW_INDENT : 0;
                size_t fits = width_fit(text, n, flow->room - flow->column - before, &width);

                if (fits == 0)
                        fits = width_character_length(text); /* wider than a line */
                add_span(flow, (Span){flow->line, before, style, text, fits}, width);
                text += fits;
                n -= fits;
                if (n > 0)
                        break_line(flow);
        }
}

void flow_phrase(Flow *flow, int style, const char *text) {
        int blanks = FLOW_INDENT, width;
        size_t n = strlen(text);

        if (flow->column > 0 && width_fit(text, n, flow->room - flow->column - blanks, &width) < n)
                break_line(flow);
        while (*text) {
                size_t length = strcspn(text, " ");

                add_word(flow, style, text, length, blanks);
                blanks = 1;
                text += length;
                text += *text == ' ';
        }
}

void flow_deinit(Flow *flow) {
        free(flow->spans);
}

size_t flow_line_end(const Flow *flow, size_t first, int line) {
        while (first < flow->n && flow->spans[first].line == line)
                first++;
        return first;
}
