/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What people read: messages, tables, colours
 *
 * Results go to stdout, and there only; what went wrong goes to stderr, once, from the function
 * that noticed it. So fail() and its like print and return a negative errno, and whoever gets a
 * negative value from a function of this program passes it on without another word.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/util/array.h"
#include "lib/util/cleanup.h"

typedef struct Column Column;
typedef struct FlagWords FlagWords;
typedef struct Output Output;
typedef struct Table Table;

typedef enum JSONMode {
        JSON_OFF,
        JSON_SHORT,
        JSON_PRETTY,
} JSONMode;

typedef enum Paint {
        PAINT_NONE,
        PAINT_HEADER,
        PAINT_FAINT,
        PAINT_REMOVED,
        PAINT_ADDED,
        PAINT_CHANGED,
} Paint;

/* What a noun has behind it after a number. */
#define PLURAL(n) ((n) == 1 ? "" : "s")

/* How results are wanted. */
struct Output {
        JSONMode json;
        bool colour;  /* stdout is a terminal, and nobody has asked for none */
        bool legend;  /* headers and footers */
        bool plain;   /* lists, not trees */
        bool unicode; /* the terminal shows more than ASCII */
};

struct Column {
        const char *header;
        bool right; /* flush right, as numbers are */
};

/* Room for the words of a few flags. */
struct FlagWords {
        char text[64];
};

/* Ends the program when there is no memory for a result: nothing useful could follow. */
void *must(void *pointer);
/* Room for n items more in a growing array, lib/util/array.h. */
#define must_reserve(items, allocated, used, n)                                                    \
        do {                                                                                       \
                if (array_reserve(items, allocated, used, n) < 0)                                  \
                        must(NULL);                                                                \
        } while (0)

/* Returns -EINVAL. */
int fail(const char *format, ...) _printf_(1, 2);
/* The same with the words of a negative errno behind it; returns that. */
int fail_errno(int r, const char *format, ...) _printf_(2, 3);

/* Whether colours are wanted on stdout: asked before a pager takes its place. */
bool print_wants_colour(void);
/* Around what is printed in a colour, where colours are wanted. */
void paint_begin(const Output *output, Paint paint);
void paint_end(const Output *output, Paint paint);
/* A whole line; the format has no newline. */
void print_line(const Output *output, Paint paint, const char *format, ...) _printf_(3, 4);
void vprint_line(const Output *output, Paint paint, const char *format, va_list arguments)
        _printf_(3, 0);

/* The names of the bits that are set, bit 0 first, with commas between. */
FlagWords flag_words(uint32_t flags, const char *const *names, size_t n_names);

/*
 * A table is filled cell by cell, row by row, and printed with columns as wide as their cells.
 * `columns` is borrowed; at most ten of them. Without headers it is a plain list.
 */
Table *table_new(const Column *columns, size_t n_columns);
Table *table_free(Table *table);
DEFINE_CLEANUP(Table *, table_free);
void table_cell(Table *table, const char *format, ...) _printf_(2, 3);
size_t table_rows(const Table *table);
/* Of its longest row, as it would be printed. */
int table_width(const Table *table, const Output *output);
/* n rows of it, which are there, in columns for all of them. */
void table_print_part(const Table *table, const Output *output, size_t first, size_t n);
/* Empties the table after printing, so that it can be filled again. */
void table_print(Table *table, const Output *output);
