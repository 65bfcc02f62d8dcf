/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The picture as SVG
 *
 * One document without anything from outside; its colours follow the scheme of whoever looks on. A
 * row is a band: its first address, its bar with the strips of what it hides, its words.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/draw.h"
#include "client/flow.h"
#include "client/number.h"
#include "client/picture-words.h"

/* Pixels, but for the last two. */
enum {
        WIDTH = 1010,
        MARGIN = 24,
        ADDRESS_AT = 188, /* where addresses end */
        BAR_AT = 200,
        BAR_WIDTH = 208,
        EDGE_WIDTH = 28,
        EDGES_MAX = 4,
        SIZE_AT = 482, /* where sizes end */
        KIND_AT = 492,
        WORDS_AT = 562,
        LINE = 17,
        ROW = 23,
        HEADING = 64,
        LEGEND = 60,
        WORDS_ROOM = 58,  /* columns */
        WIDTH_ROOM = 130, /* columns */
};

static const char *const style =
        "svg{--ink:#1f2328;--faint:#6a737d;--paper:#fff;--line:#d0d7de;--hatch:#fff;"
        "--ram:#4c9f70;--rom:#4a7fc1;--romd:#3a9fa8;--mmio:#d9a23b;--reserved:#c9607c;"
        "--added:#1a7f37;--removed:#cf222e;--replaced:#9a6700}"
        "@media(prefers-color-scheme:dark){svg{--ink:#e6edf3;--faint:#8b949e;--paper:#0d1117;"
        "--line:#30363d;--hatch:#0d1117;--ram:#4f9d72;--rom:#5b8fd0;--romd:#44a3ab;--mmio:#c9973f;"
        "--reserved:#c0627b;--added:#3fb950;--removed:#f85149;--replaced:#d29922}}"
        "text{font:12px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:var(--ink);"
        "white-space:pre}"
        ".paper{fill:var(--paper)}.title{font-size:17px;font-weight:600}"
        ".end{text-anchor:end}.faint,.via,.below{fill:var(--faint)}.name{font-weight:700}"
        ".flags{font-style:italic}.was,.removed{fill:var(--removed)}.added{fill:var(--added)}"
        ".replaced{fill:var(--replaced)}text.added,text.removed,text.replaced{font-weight:700}."
        "tick{stroke:var(--line)}"
        ".gap{fill:none;stroke:var(--faint);stroke-dasharray:2 3}.hidden{opacity:.45}"
        ".ram{fill:var(--ram)}.rom{fill:var(--rom)}.romd{fill:var(--romd)}.mmio{fill:var(--mmio)}"
        ".reserved{fill:var(--reserved)}.hatch{stroke:var(--hatch);stroke-opacity:.3;fill:none}"
        "rect.added,rect.removed,rect.replaced{fill:none;stroke-width:2}"
        "rect.added{stroke:var(--added)}rect.removed{stroke:var(--removed);stroke-dasharray:4 3}"
        "rect.replaced{stroke:var(--replaced)}";

/* Laid over the colour of a kind, for those who see no colours. */
static const char *const hatches[LOOK_N] = {
        [LOOK_ROM] = "M0 8L8 0M-2 2L2-2M6 10L10 6",
        [LOOK_ROMD] = "M0 0L8 8M0 8L8 0",
        [LOOK_MMIO] = "M0 4H8",
        [LOOK_RESERVED] = "M4 0V8",
};

static const char *const role_classes[] = {
        [PHRASE_NAME] = "name", [PHRASE_VIA] = "via",     [PHRASE_FLAGS] = "flags",
        [PHRASE_WAS] = "was",   [PHRASE_BELOW] = "below",
};

static const struct {
        const char *mark;
        const char *class;
} changes[] = {
        [CHANGE_NONE] = {"", ""},
        [CHANGE_ADDED] = {"+", "added"},
        [CHANGE_REMOVED] = {"−", "removed"},
        [CHANGE_REPLACED] = {"~", "replaced"},
};

static void put_text(FILE *out, const char *text, size_t n) {
        for (size_t i = 0; i < n; i++) {
                if (text[i] == '<')
                        fputs("&lt;", out);
                else if (text[i] == '>')
                        fputs("&gt;", out);
                else if (text[i] == '&')
                        fputs("&amp;", out);
                else
                        fputc(text[i], out);
        }
}

static int height_of(const Band *band) {
        uint64_t size = range_size(band->range);

        if (!band_section(band))
                return ROW;
        return ROW + 12 * ((size >= UINT64_C(1) << 24) + (size >= UINT64_C(1) << 32));
}

static void put_rectangle(FILE *out, const char *class, int x, int y, int width, int height) {
        fprintf(out, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"", class, x, y,
                width, height);
}

static void put_block(FILE *out, Look look, bool hidden, int x, int y, int width, int height) {
        char class[32];

        snprintf(class, sizeof(class), "%s%s", look_names[look], hidden ? " hidden" : "");
        put_rectangle(out, class, x, y, width, height);
        fputs("/>", out);
        if (!hatches[look])
                return;
        put_rectangle(out, hidden ? "hidden" : "", x, y, width, height);
        fprintf(out, " fill=\"url(#%s)\"/>", look_names[look]);
}

/* A cut through the layers: what is seen to the left, what it hides to the right. */
static void put_bar(FILE *out, const Picture *picture, const Band *band, int y, int height) {
        int edges = MAX_OF(MIN_OF((int)band->n_layers - 1, (int)EDGES_MAX), 0);
        int width = BAR_WIDTH - EDGE_WIDTH * edges;

        put_block(out, look_of_kind(band->now->kind), false, BAR_AT, y, width, height);
        for (int i = 0; i < edges; i++) {
                const Layer *layer = band_layer(picture, band, i + 1);

                put_block(out, look_of_kind(layer_region(picture, layer)->kind), true,
                          BAR_AT + width + EDGE_WIDTH * i + 2, y, EDGE_WIDTH - 2, height);
        }
}

static void put_left(FILE *out, const Picture *picture, const Band *band, int y) {
        int base = y + ROW - 8, height = height_of(band);

        fprintf(out, "<text class=\"end%s\" x=\"%d\" y=\"%d\">%s</text>", band->now ? "" : " faint",
                ADDRESS_AT, base, number_hex(band->range.first).text);
        if (band->now)
                put_bar(out, picture, band, y + 1, height - 2);
        else
                fprintf(out, "<path class=\"gap\" d=\"M%d %dV%dM%d %dV%d\"/>", BAR_AT, y,
                        y + height, BAR_AT + BAR_WIDTH, y, y + height);
        if (band->change != CHANGE_NONE) {
                put_rectangle(out, changes[band->change].class, BAR_AT, y + 1, BAR_WIDTH,
                              height - 2);
                fprintf(out, "/><text class=\"%s\" x=\"%d\" y=\"%d\">%s</text>",
                        changes[band->change].class, MARGIN - 16, base, changes[band->change].mark);
        }
        fprintf(out, "<text class=\"end faint\" x=\"%d\" y=\"%d\">%s</text>", SIZE_AT, base,
                number_size_about(range_size(band->range)).text);
        fprintf(out, "<text class=\"faint\" x=\"%d\" y=\"%d\">%s</text>", KIND_AT, base,
                band->now ? band->now->kind : "");
}

/* One line; words of one style are one span. */
static void put_line(FILE *out, const Span *spans, size_t n, int x, int y) {
        int style_before = -1;

        if (n == 0)
                return;
        fprintf(out, "<text x=\"%d\" y=\"%d\">", x, y);
        for (size_t i = 0; i < n; i++) {
                if (spans[i].style != style_before) {
                        fputs(style_before < 0 ? "" : "</tspan>", out);
                        fprintf(out, "<tspan class=\"%s\">", role_classes[spans[i].style]);
                        style_before = spans[i].style;
                }
                fprintf(out, "%*s", spans[i].blanks, "");
                put_text(out, spans[i].text, spans[i].n);
        }
        fputs("</tspan></text>", out);
}

/* Returns the row's height. */
static int put_band(FILE *out, const Picture *picture, const Band *band, int y) {
        Flow flow = {.room = WORDS_ROOM};
        Phrases phrases;
        int height;

        phrases_init(&phrases, picture, band);
        for (size_t i = 0; i < phrases.n; i++)
                flow_phrase(&flow, phrases.list[i].role, phrase_text(&phrases, i));
        height = MAX_OF(height_of(band), LINE * flow.line + ROW);
        fputs("<g>", out);
        put_left(out, picture, band, y);
        for (size_t at = 0, end, line = 0; at < flow.n; at = end, line++) {
                end = flow_line_end(&flow, at, line);
                put_line(out, flow.spans + at, end - at, WORDS_AT, y + ROW - 8 + LINE * line);
        }
        fputs("</g>\n", out);
        flow_deinit(&flow);
        phrases_deinit(&phrases);
        return height;
}

/* Spaces that show the same, in as many lines as they take; returns how many. */
static int put_others(FILE *out, const Drawing *drawing, const DrawingSpace *space, int y) {
        _cleanup_(freep) char *others = drawing_others(drawing, space);
        Flow flow = {.room = WIDTH_ROOM};
        int lines;

        flow_phrase(&flow, PHRASE_VIA, others);
        for (size_t at = 0, end, line = 0; at < flow.n; at = end, line++) {
                end = flow_line_end(&flow, at, line);
                put_line(out, flow.spans + at, end - at, MARGIN, y + LINE * line);
        }
        lines = flow.n > 0 ? flow.line + 1 : 0;
        flow_deinit(&flow);
        return lines;
}

/* Returns its height. */
static int put_heading(FILE *out, const Drawing *drawing, const DrawingSpace *space, int y) {
        fprintf(out, "<text class=\"title\" x=\"%d\" y=\"%d\">", MARGIN, y + 26);
        put_text(out, drawing->vm, strlen(drawing->vm));
        fputs(" · ", out);
        put_text(out, space->name, strlen(space->name));
        fprintf(out, "</text><text class=\"faint\" x=\"%d\" y=\"%d\">generation %" PRIu64, MARGIN,
                y + 46, drawing->generation);
        if (drawing->compared)
                fprintf(out, ", compared to %" PRIu64, drawing->from);
        fprintf(out, ", %zu section%s</text>\n", space->sections->n, PLURAL(space->sections->n));
        return HEADING + LINE * put_others(out, drawing, space, y + 46 + LINE);
}

/* Returns where the next one may begin. */
static int put_space(FILE *out, const Drawing *drawing, const DrawingSpace *space, int y) {
        y += put_heading(out, drawing, space, y);
        for (size_t i = 0; i < space->picture->n_bands; i++)
                y += put_band(out, space->picture, &space->picture->bands[i], y);
        fprintf(out, "<text class=\"end faint\" x=\"%d\" y=\"%d\">2^64</text>\n", ADDRESS_AT,
                y + ROW - 8);
        return y + ROW + MARGIN;
}

static void put_legend(FILE *out, int y) {
        int x = BAR_AT;

        for (Look look = 0; look < LOOK_N; look++, x += 96) {
                put_block(out, look, false, x, y, 18, 14);
                fprintf(out, "<text class=\"faint\" x=\"%d\" y=\"%d\">%s</text>", x + 24, y + 11,
                        look_names[look]);
        }
        fprintf(out,
                "<text class=\"faint\" x=\"%d\" y=\"%d\">"
                "The pale strips at the right of a bar are what it hides.</text>\n",
                BAR_AT, y + 34);
}

static void put_head(FILE *out, int height) {
        fprintf(out,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
                "height=\"%d\" role=\"img\">\n<style>%s</style>\n<defs>",
                WIDTH, height, WIDTH, height, style);
        for (Look look = 0; look < LOOK_N; look++)
                if (hatches[look])
                        fprintf(out,
                                "<pattern id=\"%s\" width=\"8\" height=\"8\" "
                                "patternUnits=\"userSpaceOnUse\"><path class=\"hatch\" "
                                "d=\"%s\"/></pattern>",
                                look_names[look], hatches[look]);
        fprintf(out, "</defs>\n<rect class=\"paper\" width=\"%d\" height=\"%d\"/>\n", WIDTH,
                height);
}

/* The body comes first: only then it is known how high the document is. */
void draw_svg(const Drawing *drawing, FILE *out) {
        _cleanup_(freep) char *body = NULL;
        size_t size;
        FILE *stream = must(open_memstream(&body, &size));
        int y = 0;

        for (size_t i = 0; i < drawing->n_spaces; i++)
                if (!drawing->spaces[i].like)
                        y = put_space(stream, drawing, &drawing->spaces[i], y);
        put_legend(stream, y);
        fclose(stream);
        put_head(out, y + LEGEND);
        fputs(must(body), out);
        fputs("</svg>\n", out);
}
