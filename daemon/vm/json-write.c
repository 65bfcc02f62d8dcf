/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/vm/json-write.h"
#include "lib/util/array.h"
#include "lib/util/cleanup.h"
#include "lib/util/range.h"

enum {
        CHUNK_SIZE = 64 * 1024, /* written at once */
        NUMBER_MAX = 20,        /* digits of 2^64 - 1, or a sign and those of 2^63 */
};

/* The buffer */

void json_writer_init(JSONWriter *writer, size_t length_max) {
        *writer = (JSONWriter){.fd = -1, .length_max = length_max};
}

static int write_file(void *userdata, const char *text, size_t n) {
        const JSONWriter *writer = userdata;

        while (n > 0) {
                ssize_t written = write(writer->fd, text, n);

                if (written < 0)
                        return -errno;
                text += written;
                n -= (size_t)written;
        }
        return 0;
}

void json_writer_init_file(JSONWriter *writer, int fd, const Cancel *cancel) {
        json_writer_init_sink(writer, write_file, writer);
        writer->fd = fd;
        writer->cancel = cancel;
}

void json_writer_init_sink(JSONWriter *writer, JSONSink sink, void *userdata) {
        *writer = (JSONWriter){
                .fd = -1, .length_max = SIZE_MAX, .sink = sink, .userdata = userdata};
}

void json_writer_restart(JSONWriter *writer) {
        writer->length = 0;
        writer->error = 0;
        writer->comma = false;
}

void json_writer_deinit(JSONWriter *writer) {
        free(writer->text);
        *writer = (JSONWriter){.fd = -1};
}

void json_fail(JSONWriter *writer, int error) {
        if (writer->error == 0)
                writer->error = error;
        free(writer->text);
        writer->text = NULL;
        writer->length = writer->allocated = 0;
}

static int flush(JSONWriter *writer) {
        int r = 0;

        if (cancel_is_requested(writer->cancel))
                return -ECANCELED;
        if (writer->length > 0)
                r = writer->sink(writer->userdata, writer->text, writer->length);
        if (r == 0)
                writer->length = 0;
        return r;
}

char *json_make_room(JSONWriter *writer, size_t n) {
        int r = 0;

        if (writer->error != 0)
                return NULL;
        if (writer->sink)
                r = flush(writer);
        else if (writer->length > writer->length_max)
                r = -E2BIG;
        if (r == 0)
                r = array_reserve(&writer->text, &writer->allocated, writer->length,
                                  MAX_OF(n + 1, (size_t)CHUNK_SIZE));
        if (r == 0)
                return writer->text + writer->length;
        json_fail(writer, r);
        return NULL;
}

int json_writer_take(JSONWriter *writer, char **ret) {
        char *end = json_room(writer, 2);

        if (!end)
                return writer->error;
        memcpy(end, "\n", 2);
        if (writer->length + 1 > writer->length_max)
                json_fail(writer, -E2BIG);
        else
                *ret = TAKE_PTR(writer->text);
        return writer->error;
}

int json_writer_finish(JSONWriter *writer) {
        char *end = json_room(writer, 1);
        int r;

        if (!end)
                return writer->error;
        *end = '\n';
        writer->length++;
        r = flush(writer);
        if (r < 0)
                json_fail(writer, r);
        return r;
}

/* Its end is where the next byte goes. */
static void advance(JSONWriter *writer, const char *end) {
        writer->length = (size_t)(end - writer->text);
}

/* In front of a key or a value of at most n bytes: where it goes. */
static char *separate(JSONWriter *writer, size_t n) {
        char *at = json_room(writer, n + 1);

        if (at && writer->comma)
                *at++ = ',';
        writer->comma = true;
        return at;
}

/* Structure */

void json_open(JSONWriter *writer, char bracket) {
        char *at = separate(writer, 1);

        writer->comma = false;
        if (!at)
                return;
        *at++ = bracket;
        advance(writer, at);
}

void json_close(JSONWriter *writer, char bracket) {
        char *at = json_room(writer, 1);

        writer->comma = true;
        if (!at)
                return;
        *at++ = bracket;
        advance(writer, at);
}

void json_line(JSONWriter *writer, unsigned indent) {
        char *at = separate(writer, indent + 1);

        writer->comma = false;
        if (!at)
                return;
        *at++ = '\n';
        memset(at, ' ', indent);
        advance(writer, at + indent);
}

/* Strings */

static const char digits[] = "0123456789abcdef";

static char *put_escaped(char *at, unsigned char c) {
        if (c >= 0x20) {
                *at++ = '\\';
                *at++ = (char)c;
                return at;
        }
        at = stpcpy(at, "\\u00");
        *at++ = digits[c >> 4];
        *at++ = digits[c & 15];
        return at;
}

/*
 * Names are UTF-8 without control characters, but the rest of strings must be right, too. Where the
 * string ends there is room for one more byte.
 */
static char *put_string(JSONWriter *writer, const char *string) {
        char *at = separate(writer, 6 * strlen(string) + 3);

        if (!at)
                return NULL;
        *at++ = '"';
        for (; *string; string++) {
                unsigned char c = (unsigned char)*string;

                if (c < 0x20 || c == '"' || c == '\\')
                        at = put_escaped(at, c);
                else
                        *at++ = (char)c;
        }
        *at++ = '"';
        return at;
}

void json_key_string(JSONWriter *writer, const char *key) {
        char *at = put_string(writer, key);

        writer->comma = false;
        if (!at)
                return;
        *at++ = ':';
        advance(writer, at);
}

void json_string(JSONWriter *writer, const char *string) {
        char *at = put_string(writer, string);

        if (at)
                advance(writer, at);
}

void json_boolean(JSONWriter *writer, bool value) {
        char *at = separate(writer, 6);

        if (at)
                advance(writer, stpcpy(at, value ? "true" : "false"));
}

/* Numbers */

static char *put_decimal(char *at, uint64_t number) {
        char reversed[NUMBER_MAX];
        size_t n = 0;

        do
                reversed[n++] = digits[number % 10];
        while (number /= 10);
        while (n > 0)
                *at++ = reversed[--n];
        return at;
}

static char *put_hex(char *at, uint64_t number) {
        unsigned n_digits = (unsigned)(63 - __builtin_clzll(number | 1)) / 4 + 1;

        for (char *digit = at + n_digits; digit > at; number >>= 4)
                *--digit = digits[number & 15];
        return at + n_digits;
}

void json_number(JSONWriter *writer, uint64_t number) {
        char *at = separate(writer, NUMBER_MAX);

        if (at)
                advance(writer, put_decimal(at, number));
}

void json_signed(JSONWriter *writer, int64_t number) {
        char *at = separate(writer, NUMBER_MAX);

        if (!at)
                return;
        if (number < 0)
                *at++ = '-';
        advance(writer, put_decimal(at, number < 0 ? -(uint64_t)number : (uint64_t)number));
}

void json_hex(JSONWriter *writer, uint64_t number) {
        char *at = separate(writer, NUMBER_MAX);

        if (!at)
                return;
        memcpy(at, "\"0x", 3);
        at = put_hex(at + 3, number);
        *at++ = '"';
        advance(writer, at);
}

void json_size(JSONWriter *writer, uint64_t size) {
        if (size == SIZE_WHOLE)
                json_string(writer, "2^64");
        else
                json_hex(writer, size);
}
