/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Writing JSON
 *
 * Straight into a text that grows, without a tree of objects: a dump of a large map costs as much
 * as its text. Commas are the writer's business; that keys and values take turns, and that every
 * bracket is closed, is the caller's.
 *
 * Nothing fails until json_writer_take(), which says whether there was memory for all of it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct JSONWriter JSONWriter;

struct JSONWriter {
        FILE *stream;
        char *text;
        size_t length;
        bool comma; /* before the next key or value */
};

int json_writer_init(JSONWriter *writer);
void json_writer_deinit(JSONWriter *writer);
/* The text, from malloc(), with a newline behind it. The writer is empty then. -ENOMEM. */
int json_writer_take(JSONWriter *writer, char **ret);

/* '{' or '['; '}' or ']'. */
void json_open(JSONWriter *writer, char bracket);
void json_close(JSONWriter *writer, char bracket);
void json_key(JSONWriter *writer, const char *key);
/* What comes next begins a line of its own, indented by so many blanks. */
void json_line(JSONWriter *writer, unsigned indent);

void json_string(JSONWriter *writer, const char *string);
void json_number(JSONWriter *writer, uint64_t number);
void json_signed(JSONWriter *writer, int64_t number);
void json_boolean(JSONWriter *writer, bool value);
/* "0x1000", since common tools round integers above 2^53. */
void json_hex(JSONWriter *writer, uint64_t number);
/* The same; SIZE_WHOLE is "2^64". */
void json_size(JSONWriter *writer, uint64_t size);
