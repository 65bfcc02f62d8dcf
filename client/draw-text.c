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
#include <stdlib.h>
#include <string.h>

#include "client/draw.h"
#include "client/flow.h"
#include "client/number.h"
#include "client/picture-words.h"

enum {
        BAR_WIDTH = 12,
        BAR_WIDTH_WIDE = 28,
        COLUMNS_WIDE = 120,
        EDGE_WIDTH = 2, /* of a hidden layer in the bar */
        EDGES_MAX = 3,  /* hidden layers in the bar */
        ROOM_MIN = 16,  /* columns for words, however narrow the terminal */
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
} Sheet;

static const char *const phrase_colours[] = {
        [PHRASE_NAME] = "1", [PHRASE_VIA] = "2",   [PHRASE_FLAGS] = "3",
        [PHRASE_WAS] = "31", [PHRASE_BELOW] = "2",
};

static const struct {
        const char *mark;
        const char *colour;
} changes[] = {
        [CHANGE_NONE] = {" ", ""},
        [CHANGE_ADDED] = {"+", "32"},
        [CHANGE_REMOVED] = {"-", "31"},
        [CHANGE_REPLACED] = {"~", "33"},
};

static void paint(const Sheet *sheet, const char *colour) {
        if (sheet->canvas->colour && *colour)
                fprintf(sheet->out, "\033[%sm", colour);
}

/* Taller where it is larger: heights are not to scale, but do not lie either. */
static int height_of(const Band *band) {
        uint64_t size = range_size(band->range);

        if (!band_section(band))
                return 1;
        return 1 + (size >= UINT64_C(1) << 24) + (size >= UINT64_C(1) << 32);
}

static void put(const Sheet *sheet, const char *colour, const char *block, int times) {
        paint(sheet, colour);
        while (times-- > 0)
                fputs(block, sheet->out);
        paint(sheet, *colour ? "0" : "");
}

static const char *block_of(const Sheet *sheet, Look look) {
        return sheet->canvas->unicode ? blocks[look] : letters[look];
}

static void put_gap(const Sheet *sheet, bool removed) {
        bool unicode = sheet->canvas->unicode;

        if (removed)
                put(sheet, "31", unicode ? "╳" : "/", sheet->bar_width);
        else
                put(sheet, "2", unicode ? "╌" : "-", sheet->bar_width);
}

static void put_bar(const Sheet *sheet, const Picture *picture, const Band *band) {
        int edges = MAX_OF(MIN_OF((int)band->n_layers - 1, (int)EDGES_MAX), 0);
        Look look = look_of_kind(band->now->kind);

        put(sheet, colours[look], block_of(sheet, look), sheet->bar_width - EDGE_WIDTH * edges);
        for (int i = 1; i <= edges; i++) {
                look = look_of_kind(layer_region(picture, band_layer(picture, band, i))->kind);
                put(sheet, hidden_colours[look], block_of(sheet, look), EDGE_WIDTH);
        }
}

/* All but the words, for line number `line` of a band; returns how many columns that took. */
static int put_left(const Sheet *sheet, const Picture *picture, const Band *band, int line) {
        NumberText address = line == 0 ? number_hex(band->range.first) : (NumberText){};
        int n = 0;

        if (sheet->compared) {
                put(sheet, changes[band->change].colour, changes[band->change].mark, 1);
                n += 1 + fprintf(sheet->out, " ");
        }
        n += fprintf(sheet->out, "%*s  ", sheet->address_width, address.text);
        if (line >= height_of(band))
                return n;
        if (band->now)
                put_bar(sheet, picture, band);
        else
                put_gap(sheet, band->was);
        n += sheet->bar_width;
        if (line == 0)
                n += fprintf(sheet->out, "  %7s", number_size_about(range_size(band->range)).text);
        if (line == 0 && band->now)
                n += fprintf(sheet->out, " %s", band->now->kind);
        return n;
}

/* What is not ASCII is a question mark for each character where a terminal shows ASCII only. */
static void put_text(const Sheet *sheet, const char *text, size_t n) {
        for (size_t i = 0; i < n; i++) {
                unsigned char c = text[i];

                if (sheet->canvas->unicode || c < 0x80)
                        fputc(c, sheet->out);
                else if ((c & 0xc0) != 0x80)
                        fputc('?', sheet->out);
        }
}

static void put_spans(const Sheet *sheet, const Span *spans, size_t n, int padding) {
        for (size_t i = 0; i < n; i++) {
                fprintf(sheet->out, "%*s", padding + spans[i].blanks, "");
                paint(sheet, phrase_colours[spans[i].style]);
                put_text(sheet, spans[i].text, spans[i].n);
                paint(sheet, "0");
                padding = 0;
        }
}

static void put_band(const Sheet *sheet, const Picture *picture, const Band *band) {
        Flow flow = {.room = sheet->room};
        Phrases phrases;
        size_t at = 0, end;

        phrases_init(&phrases, picture, band);
        for (size_t i = 0; i < phrases.n; i++)
                flow_phrase(&flow, phrases.list[i].role, phrase_text(&phrases, i));
        for (int line = 0; line <= flow.line || line < height_of(band); line++, at = end) {
                int columns = put_left(sheet, picture, band, line);

                end = flow_line_end(&flow, at, line);
                put_spans(sheet, flow.spans + at, end - at, sheet->words_at - columns);
                fputc('\n', sheet->out);
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
        sheet->room = MAX_OF((int)canvas->columns - sheet->words_at, (int)ROOM_MIN);
}

/* Words of their own, from the left edge. */
static void put_words(const Canvas *canvas, FILE *out, const char *text) {
        Flow flow = {.room = MAX_OF((int)canvas->columns, (int)ROOM_MIN)};
        Sheet sheet = {.canvas = canvas, .out = out};

        flow_phrase(&flow, PHRASE_VIA, text);
        for (size_t i = 0; i < flow.n; i++) {
                if (i > 0 && flow.spans[i].line > flow.spans[i - 1].line)
                        fputc('\n', out);
                put_spans(&sheet, &flow.spans[i], 1, 0);
        }
        fputc('\n', out);
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
        fprintf(out, "%*s\n", 2 * sheet.compared + sheet.address_width, "2^64");
}

static bool hides_something(const Drawing *drawing) {
        for (size_t i = 0; i < drawing->n_spaces; i++) {
                const Picture *picture = drawing->spaces[i].picture;

                for (size_t k = 0; picture && k < picture->n_bands; k++)
                        if (picture->bands[k].now && picture->bands[k].n_layers > 1)
                                return true;
        }
        return false;
}

/* Only of what is there. */
static void put_legend(const Drawing *drawing, const Canvas *canvas, FILE *out) {
        Sheet sheet = {.canvas = canvas, .out = out};
        bool there[LOOK_N] = {};

        for (size_t i = 0; i < drawing->n_spaces; i++)
                for (size_t k = 0; k < drawing->spaces[i].sections->n; k++)
                        there[look_of_kind(drawing->spaces[i].sections->items[k].kind)] = true;
        fputc('\n', out);
        for (Look look = 0; look < LOOK_N; look++) {
                if (!there[look])
                        continue;
                put(&sheet, colours[look], block_of(&sheet, look), 2);
                fprintf(out, " %s  ", look_names[look]);
        }
        put(&sheet, "2", canvas->unicode ? "╌" : "-", 2);
        fputs(" nothing\n", out);
        if (hides_something(drawing))
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
