/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>
#include <sys/ioctl.h>

#include "client/draw.h"
#include "client/number.h"

enum { COLUMNS_DEFAULT = 80 };

/* Of the terminal that guestmapctl runs in: stdout may be a pager by now. */
static unsigned terminal_columns(void) {
        const char *columns = getenv("COLUMNS");
        struct winsize size;
        uint32_t n;

        if (columns && number_parse_u32(columns, &n) >= 0 && n > 0)
                return n;
        for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
                if (ioctl(fd, TIOCGWINSZ, &size) >= 0 && size.ws_col > 0)
                        return size.ws_col;
        return COLUMNS_DEFAULT;
}

void canvas_init(Canvas *canvas, const Output *output) {
        *canvas = (Canvas){
                .columns = terminal_columns(),
                .unicode = output->unicode,
                .colour = output->colour,
                .legend = output->legend,
        };
}

static bool alike(const DrawingSpace *a, const DrawingSpace *b) {
        if (a->sections->n != b->sections->n || a->picture->n_bands != b->picture->n_bands)
                return false;
        for (size_t i = 0; i < a->sections->n; i++)
                if (!section_equal(&a->sections->items[i], &b->sections->items[i]))
                        return false;
        for (size_t i = 0; i < a->picture->n_bands; i++)
                if (a->picture->bands[i].change != b->picture->bands[i].change)
                        return false;
        return true;
}

/*
 * Whether one of two spaces that show the same is to be drawn rather than the other: it shows it by
 * fewer paths, or is the one that is called memory, as the CPUs' is, or comes first.
 */
static bool is_plainer(const DrawingSpace *space, const DrawingSpace *other) {
        size_t n = space->picture->n_paths, n_other = other->picture->n_paths;

        if (n != n_other)
                return n < n_other;
        if (strcmp(other->name, "memory") == 0)
                return false;
        return strcmp(space->name, "memory") == 0 || space < other;
}

void drawing_group(Drawing *drawing) {
        for (size_t i = 0; i < drawing->n_spaces; i++) {
                DrawingSpace *space = &drawing->spaces[i];
                const DrawingSpace *best = space;

                for (size_t k = 0; k < drawing->n_spaces; k++)
                        if (is_plainer(&drawing->spaces[k], best) &&
                            alike(&drawing->spaces[k], space))
                                best = &drawing->spaces[k];
                space->like = best == space ? NULL : best;
        }
}

char *drawing_others(const Drawing *drawing, const DrawingSpace *space) {
        const char *before = "Also ";
        char *text = NULL;
        size_t size;
        FILE *out = must(open_memstream(&text, &size));

        for (size_t i = 0; i < drawing->n_spaces; i++) {
                if (drawing->spaces[i].like != space)
                        continue;
                fprintf(out, "%s%s", before, drawing->spaces[i].name);
                before = ", ";
        }
        fclose(out);
        return must(text);
}
