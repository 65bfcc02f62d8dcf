/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The picture in a terminal
 *
 *     address  bar              size kind  words
 *     0xa0000  ▒▒▒▒▒▒▒▒▒▒▒▒▒▒██  128KiB mmio  vga-lowmem  over pc.ram via ram-below-4g
 *
 * The bar is a cut through the layers, seen from the left: what is seen comes first, and behind it,
 * to the right, what it hides. Names come last in a line, so that no script can push anything out
 * of its column.
 */

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "client/draw.h"
#include "client/flow.h"
#include "client/number.h"
#include "client/picture-words.h"
#include "client/width.h"

enum {
        BAR_WIDTH = 12,
        BAR_WIDTH_WIDE = 28,
        COLUMNS_WIDE = 120,
        EDGE_WIDTH = 2, /* of a hidden layer in the bar */
        EDGES_MAX = 3,  /* hidden layers in the bar */
        ROOM_MIN = 16,  /* columns for words; where there are fewer they are in one line, cut */
};

static const char *const blocks[LOOK_N] = {"█", "▓", "▚", "▒", "░"};
static const char *const letters[LOOK_N] = {"#", "=", "%", "+", "x"};
static const char *const colours[LOOK_N] = {"32", "34", "36", "33", "31"};
static const char *const hidden_colours[LOOK_N] = {"2;32", "2;34", "2;36", "2;33", "2;31"};

/* A drawing of one space while it is written. */
typedef struct Sheet {
        const Canvas *canvas;
        FILE *out;
        bool compared;
        int address_width;
        int bar_width;
        int kind_width;
        int words_at; /* the column where words begin */
        int room;     /* columns for words */
        int column;   /* that a line has come to */
} Sheet;

static const char *const phrase_colours[] = {
        [PHRASE_NAME] = "1", [PHRASE_VIA] = "2",   [PHRASE_FLAGS] = "3",
        [PHRASE_WAS] = "31", [PHRASE_BELOW] = "2",
};

static const struct {
        const char *mark;
        const char *colour;
        const char *word;
} changes[] = {
        [CHANGE_NONE] = {" ", ""},
        [CHANGE_ADDED] = {"+", "32", "added"},
        [CHANGE_REMOVED] = {"-", "31", "removed"},
        [CHANGE_REPLACED] = {"~", "33", "replaced"},
};

static void paint(const Sheet *sheet, const char *colour) {
        if (sheet->canvas->colour && *colour)
                fprintf(sheet->out, "\033[%sm", colour);
}

/* Nothing goes beyond the terminal, where it would be continued below the addresses. */
static void put_character(Sheet *sheet, const char *text, size_t n) {
        bool shown = sheet->canvas->unicode || n == 1;
        int width = 1;

        if (shown)
                (void)width_fit(text, n, INT_MAX, &width);
        if (sheet->column + width <= (int)sheet->canvas->columns)
                fprintf(sheet->out, "%.*s", shown ? (int)n : 1, shown ? text : "?");
        sheet->column += width;
}

/* What is not ASCII is a question mark for each character where a terminal shows ASCII only. */
static void put_text(Sheet *sheet, const char *text, size_t n) {
        for (size_t i = 0, length; i < n; i += length) {
                length = width_character_length(text + i);
                put_character(sheet, text + i, length);
        }
}

_printf_(2, 3) static void put_format(Sheet *sheet, const char *format, ...) {
        va_list arguments;
        char text[64];

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        put_text(sheet, text, strlen(text));
}

static void put_blanks(Sheet *sheet, int n) {
        while (n-- > 0)
                put_text(sheet, " ", 1);
}

static void end_line(Sheet *sheet) {
        fputc('\n', sheet->out);
        sheet->column = 0;
}

/* Taller where it is larger: heights are not to scale, but do not lie either. */
static int height_of(const Band *band) {
        uint64_t size = range_size(band->range);

        if (!band_section(band))
                return 1;
        return 1 + (size >= UINT64_C(1) << 24) + (size >= UINT64_C(1) << 32);
}

static void put(Sheet *sheet, const char *colour, const char *block, int times) {
        paint(sheet, colour);
        while (times-- > 0)
                put_text(sheet, block, strlen(block));
        paint(sheet, *colour ? "0" : "");
}

static const char *block_of(const Sheet *sheet, Look look) {
        return sheet->canvas->unicode ? blocks[look] : letters[look];
}

static const char *gap_block(const Sheet *sheet) {
        return sheet->canvas->unicode ? "╌" : "-";
}

static const char *removed_block(const Sheet *sheet) {
        return sheet->canvas->unicode ? "╳" : "/";
}

static void put_gap(Sheet *sheet, bool removed) {
        if (removed)
                put(sheet, "31", removed_block(sheet), sheet->bar_width);
        else
                put(sheet, "2", gap_block(sheet), sheet->bar_width);
}

static void put_bar(Sheet *sheet, const Picture *picture, const Band *band) {
        int edges = MAX_OF(MIN_OF((int)band->n_layers - 1, (int)EDGES_MAX), 0);
        Look look = look_of_kind(band->now->kind);

        put(sheet, colours[look], block_of(sheet, look), sheet->bar_width - EDGE_WIDTH * edges);
        for (int i = 1; i <= edges; i++) {
                look = look_of_kind(layer_region(picture, band_layer(picture, band, i))->kind);
                put(sheet, hidden_colours[look], block_of(sheet, look), EDGE_WIDTH);
        }
}

/* All but the words, for line number `line` of a band. */
static void put_left(Sheet *sheet, const Picture *picture, const Band *band, int line) {
        NumberText address = line == 0 ? number_hex(band->range.first) : (NumberText){};

        if (sheet->compared) {
                put(sheet, changes[band->change].colour, changes[band->change].mark, 1);
                put_blanks(sheet, 1);
        }
        put_format(sheet, "%*s  ", sheet->address_width, address.text);
        if (line >= height_of(band))
                return;
        if (band->now)
                put_bar(sheet, picture, band);
        else
                put_gap(sheet, band->was);
        if (line == 0)
                put_format(sheet, "  %7s", number_size_about(range_size(band->range)).text);
        if (line == 0 && band->now)
                put_format(sheet, " %s", band->now->kind);
}

static void put_spans(Sheet *sheet, const Span *spans, size_t n) {
        for (size_t i = 0; i < n; i++) {
                put_blanks(sheet, spans[i].blanks);
                paint(sheet, phrase_colours[spans[i].style]);
                put_text(sheet, spans[i].text, spans[i].n);
                paint(sheet, "0");
        }
}

static void put_band(Sheet *sheet, const Picture *picture, const Band *band) {
        Flow flow = {.room = sheet->room};
        Phrases phrases;
        size_t at = 0, end;

        phrases_init(&phrases, picture, band);
        for (size_t i = 0; i < phrases.n; i++)
                flow_phrase(&flow, phrases.list[i].role, phrase_text(&phrases, i));
        for (int line = 0; line <= flow.line || line < height_of(band); line++, at = end) {
                put_left(sheet, picture, band, line);
                end = flow_line_end(&flow, at, line);
                if (end > at)
                        put_blanks(sheet, sheet->words_at - sheet->column);
                put_spans(sheet, flow.spans + at, end - at);
                end_line(sheet);
        }
        flow_deinit(&flow);
        phrases_deinit(&phrases);
}

static void sheet_init(Sheet *sheet, const Drawing *drawing, const Picture *picture,
                       const Canvas *canvas, FILE *out) {
        *sheet = (Sheet){
                .canvas = canvas,
                .out = out,
                .compared = drawing->compared,
                .bar_width = canvas->columns >= COLUMNS_WIDE ? BAR_WIDTH_WIDE : BAR_WIDTH,
        };
        for (size_t i = 0; i < picture->n_bands; i++) {
                const Band *band = &picture->bands[i];
                int address = strlen(number_hex(band->range.first).text);

                sheet->address_width = MAX_OF(sheet->address_width, address);
                if (band->now)
                        sheet->kind_width = MAX_OF(sheet->kind_width, (int)strlen(band->now->kind));
        }
        sheet->words_at = 2 * sheet->compared + sheet->address_width + 2 + sheet->bar_width + 9 +
                          1 + sheet->kind_width + 2;
        sheet->room = (int)canvas->columns - sheet->words_at;
        if (sheet->room < ROOM_MIN)
                sheet->room = INT_MAX;
}

/* Words of their own, from the left edge. */
static void put_words(const Canvas *canvas, FILE *out, const char *text) {
        Flow flow = {.room = MAX_OF((int)canvas->columns, (int)ROOM_MIN)};
        Sheet sheet = {.canvas = canvas, .out = out};

        flow_phrase(&flow, PHRASE_VIA, text);
        for (size_t i = 0; i < flow.n; i++) {
                if (i > 0 && flow.spans[i].line > flow.spans[i - 1].line)
                        end_line(&sheet);
                put_spans(&sheet, &flow.spans[i], 1);
        }
        end_line(&sheet);
        flow_deinit(&flow);
}

static void put_heading(const Drawing *drawing, const DrawingSpace *space, const Canvas *canvas,
                        FILE *out) {
        _cleanup_(freep) char *others = drawing_others(drawing, space);

        fprintf(out, "%s (generation %" PRIu64, space->name, drawing->generation);
        if (drawing->compared)
                fprintf(out, ", compared to %" PRIu64, drawing->from);
        fprintf(out, ", %zu section%s)\n", space->sections->n, PLURAL(space->sections->n));
        if (*others)
                put_words(canvas, out, others);
        fputc('\n', out);
}

static void put_space(const Drawing *drawing, const DrawingSpace *space, const Canvas *canvas,
                      FILE *out) {
        Sheet sheet;

        sheet_init(&sheet, drawing, space->picture, canvas, out);
        if (canvas->legend)
                put_heading(drawing, space, canvas, out);
        for (size_t i = 0; i < space->picture->n_bands; i++)
                put_band(&sheet, space->picture, &space->picture->bands[i]);
        put_format(&sheet, "%*s", 2 * sheet.compared + sheet.address_width, "2^64");
        end_line(&sheet);
}

/* What of a legend is there. */
typedef struct Legend {
        bool looks[LOOK_N];
        bool changes[ELEMENTS_OF(changes)];
        bool hides;
} Legend;

static Legend find_legend(const Drawing *drawing) {
        Legend legend = {};

        for (size_t i = 0; i < drawing->n_spaces; i++) {
                const Picture *picture = drawing->spaces[i].picture;

                for (size_t k = 0; k < picture->n_bands; k++) {
                        const Band *band = &picture->bands[k];

                        legend.changes[band->change] = true;
                        if (!band->now)
                                continue;
                        legend.looks[look_of_kind(band->now->kind)] = true;
                        legend.hides |= band->n_layers > 1;
                }
        }
        return legend;
}

/* On the next line if there is no room for it on this one. */
static void put_entry(Sheet *sheet, const char *colour, const char *block, int times,
                      const char *word) {
        int width = times + 1 + (int)strlen(word);

        if (sheet->column > 0 && sheet->column + 2 + width > (int)sheet->canvas->columns)
                end_line(sheet);
        else if (sheet->column > 0)
                put_blanks(sheet, 2);
        put(sheet, colour, block, times);
        put_format(sheet, " %s", word);
}

/* Only of what is there. */
static void put_legend(const Drawing *drawing, const Canvas *canvas, FILE *out) {
        Sheet sheet = {.canvas = canvas, .out = out};
        Legend legend = find_legend(drawing);

        fputc('\n', out);
        for (Look look = 0; look < LOOK_N; look++)
                if (legend.looks[look])
                        put_entry(&sheet, colours[look], block_of(&sheet, look), 2,
                                  look_names[look]);
        put_entry(&sheet, "2", gap_block(&sheet), 2, "nothing");
        if (legend.changes[CHANGE_REMOVED])
                put_entry(&sheet, "31", removed_block(&sheet), 2, "nothing any more");
        end_line(&sheet);
        for (BandChange change = CHANGE_ADDED; change <= CHANGE_REPLACED; change++)
                if (legend.changes[change])
                        put_entry(&sheet, changes[change].colour, changes[change].mark, 1,
                                  changes[change].word);
        if (sheet.column > 0)
                end_line(&sheet);
        if (legend.hides)
                put_words(canvas, out,
                          "The narrow strips at the right of a bar are what it hides.");
}

void draw_text(const Drawing *drawing, const Canvas *canvas, FILE *out) {
        bool begun = false;

        for (size_t i = 0; i < drawing->n_spaces; i++) {
                if (drawing->spaces[i].like)
                        continue;
                if (begun)
                        fputc('\n', out);
                put_space(drawing, &drawing->spaces[i], canvas, out);
                begun = true;
        }
        if (canvas->legend)
                put_legend(drawing, canvas, out);
}
