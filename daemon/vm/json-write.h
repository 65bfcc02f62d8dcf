/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Writing JSON
 *
 * Straight into a buffer, without a tree of objects: a dump of a large map costs as much as its
 * text. The buffer is the whole text, or a piece of it on its way to a file. Commas are the
 * writer's business; that keys and values take turns, and that every bracket is closed, is the
 * caller's.
 *
 * Nothing fails until the end, when json_writer_take() or json_writer_finish() says how it went;
 * after a failure what is written goes nowhere. Who has much to write looks at `error` meanwhile.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/util/cancel.h"

typedef struct JSONWriter JSONWriter;

/* Takes a piece of the text. -errno. */
typedef int (*JSONSink)(void *userdata, const char *text, size_t n);

struct JSONWriter {
        char *text;
        size_t length;
        size_t allocated;
        size_t length_max;
        JSONSink sink; /* NULL: the text stays here */
        void *userdata;
        int fd; /* of a file */
        const Cancel *cancel;
        int error;  /* what failed first, -errno */
        bool comma; /* before the next key or value */
};

/* Into a text of at most so many bytes: beyond, -E2BIG. */
void json_writer_init(JSONWriter *writer, size_t length_max);
/* Into a file, which stays the caller's. It may be cancelled: -ECANCELED. */
void json_writer_init_file(JSONWriter *writer, int fd, const Cancel *cancel);
/* Piece by piece to somebody else, who looks for the last one in `text` himself. */
void json_writer_init_sink(JSONWriter *writer, JSONSink sink, void *userdata);
void json_writer_deinit(JSONWriter *writer);
/* Begins a new text where the old one was. */
void json_writer_restart(JSONWriter *writer);
/* The text, from malloc(), with a newline behind it. The writer is empty then. Its error. */
int json_writer_take(JSONWriter *writer, char **ret);
/* The same for a file: it is all there. */
int json_writer_finish(JSONWriter *writer);

/* For what has failed outside: that is the writer's error, unless it has one. */
void json_fail(JSONWriter *writer, int error);

/* Where n bytes and a terminator fit behind what is written; NULL after a failure. */
char *json_make_room(JSONWriter *writer, size_t n);
static inline char *json_room(JSONWriter *writer, size_t n) {
        return writer->allocated - writer->length > n ? writer->text + writer->length
                                                      : json_make_room(writer, n);
}

/* '{' or '['; '}' or ']'. */
void json_open(JSONWriter *writer, char bracket);
void json_close(JSONWriter *writer, char bracket);
/* What comes next begins a line of its own, indented by so many blanks. */
void json_line(JSONWriter *writer, unsigned indent);

/* A key that has nothing to be escaped: inline, so that a literal is copied and not looked at. */
static inline void json_key(JSONWriter *writer, const char *key) {
        size_t n = strlen(key);
        char *at = json_room(writer, n + 4), *begin = at;

        if (!at)
                return;
        if (writer->comma)
                *at++ = ',';
        *at++ = '"';
        memcpy(at, key, n);
        at += n;
        *at++ = '"';
        *at++ = ':';
        writer->length += (size_t)(at - begin);
        writer->comma = false;
}
/* A key that is somebody's name. */
void json_key_string(JSONWriter *writer, const char *key);

void json_string(JSONWriter *writer, const char *string);
void json_number(JSONWriter *writer, uint64_t number);
void json_signed(JSONWriter *writer, int64_t number);
void json_boolean(JSONWriter *writer, bool value);
/* "0x1000", since common tools round integers above 2^53. */
void json_hex(JSONWriter *writer, uint64_t number);
/* The same; SIZE_WHOLE is "2^64". */
void json_size(JSONWriter *writer, uint64_t size);
