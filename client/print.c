/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/number.h"
#include "client/print.h"
#include "client/width.h"

enum { COLUMNS_MAX = 10 };

struct Table {
        const Column *columns;
        size_t n_columns;
        char **cells; /* row by row */
        size_t n_cells;
        size_t n_allocated;
};

static const char *const paint_on[] = {
        [PAINT_HEADER] = "\033[4m", [PAINT_FAINT] = "\033[2m",    [PAINT_REMOVED] = "\033[31m",
        [PAINT_ADDED] = "\033[32m", [PAINT_CHANGED] = "\033[33m",
};

_printf_(1, 0) static void print_failure(const char *format, va_list arguments) {
        fflush(stdout); /* where both are one, in the order in which they happened */
        fputs("guestmapctl: ", stderr);
        vfprintf(stderr, format, arguments);
}

void *must(void *pointer) {
        if (!pointer) {
                fail("out of memory");
                exit(EXIT_FAILURE);
        }
        return pointer;
}

int fail(const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        print_failure(format, arguments);
        va_end(arguments);
        fputc('\n', stderr);
        return -EINVAL;
}

int fail_errno(int r, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        print_failure(format, arguments);
        va_end(arguments);
        fprintf(stderr, ": %s\n", strerror(-r));
        return r;
}

/* systemd's variable, which overrides all else; false if it is not set, or says nothing. */
static bool read_systemd_colours(bool *ret) {
        const char *word = getenv("SYSTEMD_COLORS");

        if (!word)
                return false;
        if (number_parse_bool(word, ret) >= 0)
                return true;
        *ret = true;
        return strcmp(word, "16") == 0 || strcmp(word, "256") == 0;
}

bool print_wants_colour(void) {
        const char *no_colour = getenv("NO_COLOR");
        const char *terminal = getenv("TERM");
        bool wanted;

        if (read_systemd_colours(&wanted))
                return wanted;
        if (no_colour && *no_colour)
                return false;
        return isatty(STDOUT_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
}

void paint_begin(const Output *output, Paint paint) {
        if (output->colour && paint != PAINT_NONE)
                fputs(paint_on[paint], stdout);
}

void paint_end(const Output *output, Paint paint) {
        if (output->colour && paint != PAINT_NONE)
                fputs("\033[0m", stdout);
}

void vprint_line(const Output *output, Paint paint, const char *format, va_list arguments) {
        paint_begin(output, paint);
        vprintf(format, arguments);
        paint_end(output, paint);
        putchar('\n');
}

void print_line(const Output *output, Paint paint, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        vprint_line(output, paint, format, arguments);
        va_end(arguments);
}

FlagWords flag_words(uint32_t flags, const char *const *names, size_t n_names) {
        FlagWords words = {};
        size_t n = 0;

        for (size_t i = 0; i < n_names; i++)
                if (flags & UINT32_C(1) << i)
                        n += snprintf(words.text + n, sizeof(words.text) - n, "%s%s", n ? "," : "",
                                      names[i]);
        return words;
}

Table *table_new(const Column *columns, size_t n_columns) {
        Table *table = must(calloc(1, sizeof(*table)));

        table->columns = columns;
        table->n_columns = n_columns;
        return table;
}

static void table_clear(Table *table) {
        for (size_t i = 0; i < table->n_cells; i++)
                free(table->cells[i]);
        table->n_cells = 0;
}

Table *table_free(Table *table) {
        if (!table)
                return NULL;
        table_clear(table);
        free(table->cells);
        free(table);
        return NULL;
}

void table_cell(Table *table, const char *format, ...) {
        va_list arguments;
        char *cell = NULL;

        if (table->n_cells == table->n_allocated) {
                table->n_allocated = MAX_OF(table->n_allocated * 2, 64u);
                table->cells =
                        must(reallocarray(table->cells, table->n_allocated, sizeof(*table->cells)));
        }
        va_start(arguments, format);
        if (vasprintf(&cell, format, arguments) < 0)
                cell = NULL;
        va_end(arguments);
        table->cells[table->n_cells++] = must(cell);
}

size_t table_rows(const Table *table) {
        return table->n_cells / table->n_columns;
}

static int column_width(const Table *table, size_t column, bool legend) {
        int width = legend ? width_of(table->columns[column].header) : 0;

        for (size_t i = column; i < table->n_cells; i += table->n_columns)
                width = MAX_OF(width, width_of(table->cells[i]));
        return width;
}

static bool has_header(const Table *table, const Output *output) {
        return output->legend && table->columns[0].header;
}

int table_width(const Table *table, const Output *output) {
        int width = (int)table->n_columns - 1;

        for (size_t i = 0; i < table->n_columns; i++)
                width += column_width(table, i, has_header(table, output));
        return width;
}

/* Nothing is padded behind the last text of a row: no blanks at line ends. */
static void print_row(const Table *table, const char *const *row, const int *widths) {
        size_t n = table->n_columns;
        int owed = 0;

        while (n > 0 && !*row[n - 1])
                n--;
        for (size_t i = 0; i < n; i++) {
                int padding = widths[i] - width_of(row[i]);
                bool right = table->columns[i].right;

                printf("%*s%s", owed + (right ? padding : 0), "", row[i]);
                owed = (right ? 0 : padding) + 1;
        }
}

static void print_header(const Table *table, const Output *output, const int *widths) {
        const char *headers[COLUMNS_MAX];

        for (size_t i = 0; i < table->n_columns; i++)
                headers[i] = table->columns[i].header;
        paint_begin(output, PAINT_HEADER);
        print_row(table, headers, widths);
        paint_end(output, PAINT_HEADER);
        putchar('\n');
}

void table_print_part(const Table *table, const Output *output, size_t first, size_t n) {
        bool legend = has_header(table, output);
        int widths[COLUMNS_MAX];

        for (size_t i = 0; i < table->n_columns; i++)
                widths[i] = column_width(table, i, legend);
        if (legend)
                print_header(table, output, widths);
        for (size_t i = first; i < first + n; i++) {
                print_row(table, (const char *const *)table->cells + i * table->n_columns, widths);
                putchar('\n');
        }
}

void table_print(Table *table, const Output *output) {
        table_print_part(table, output, 0, table_rows(table));
        table_clear(table);
}
