/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "client/flow.h"
#include "client/print.h"

/* Bytes of a character; at least one. */
static size_t character_length(const char *text) {
        size_t n = 1;

        while (((unsigned char)text[n] & 0xc0) == 0x80)
                n++;
        return n;
}

/* Columns that it takes on a terminal. */
static int character_width(const char *text, size_t n) {
        mbstate_t state = {};
        wchar_t wide;
        size_t r = mbrtowc(&wide, text, n, &state);

        return r == n ? MAX_OF(wcwidth(wide), 0) : 1;
}

/* So many bytes of a text of n take `columns` at most; *ret_width is what they take. */
static size_t fit(const char *text, size_t n, int columns, int *ret_width) {
        size_t length, i = 0;

        for (*ret_width = 0; i < n; i += length) {
                int width;

                length = character_length(text + i);
                width = character_width(text + i, length);
                if (*ret_width + width > columns)
                        break;
                *ret_width += width;
        }
        return i;
}

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

        if (flow->column > 0 && fit(text, n, flow->room - flow->column - blanks, &width) < n)
                break_line(flow);
        while (n > 0) {
                int before = flow->column > 0 ? blanks : flow->line > 0 ? FLOW_INDENT : 0;
                size_t fits = fit(text, n, flow->room - flow->column - before, &width);

                if (fits == 0)
                        fits = character_length(text); /* wider than a line */
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

        if (flow->column > 0 && fit(text, n, flow->room - flow->column - blanks, &width) < n)
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
