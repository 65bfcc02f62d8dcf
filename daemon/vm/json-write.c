/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "daemon/vm/json-write.h"
#include "lib/util/cleanup.h"
#include "lib/util/range.h"

int json_writer_init(JSONWriter *writer) {
        *writer = (JSONWriter){};
        writer->stream = open_memstream(&writer->text, &writer->length);
        return writer->stream ? 0 : -errno;
}

void json_writer_deinit(JSONWriter *writer) {
        if (writer->stream)
                fclose(writer->stream);
        free(writer->text);
        *writer = (JSONWriter){};
}

int json_writer_take(JSONWriter *writer, char **ret) {
        bool failed;

        fputc('\n', writer->stream);
        failed = ferror(writer->stream);
        failed = fclose(TAKE_PTR(writer->stream)) != 0 || failed;
        if (failed)
                return -ENOMEM;
        *ret = TAKE_PTR(writer->text);
        return 0;
}

/* In front of a key or a value. */
static void separate(JSONWriter *writer) {
        if (writer->comma)
                fputc(',', writer->stream);
        writer->comma = true;
}

void json_open(JSONWriter *writer, char bracket) {
        separate(writer);
        fputc(bracket, writer->stream);
        writer->comma = false;
}

void json_close(JSONWriter *writer, char bracket) {
        fputc(bracket, writer->stream);
        writer->comma = true;
}

/* Names are UTF-8 without control characters, but the rest of strings must be right, too. */
static void write_quoted(JSONWriter *writer, const char *string) {
        fputc('"', writer->stream);
        for (; *string; string++) {
                unsigned char c = (unsigned char)*string;

                if (c < 0x20) {
                        fprintf(writer->stream, "\\u%04x", c);
                        continue;
                }
                if (c == '"' || c == '\\')
                        fputc('\\', writer->stream);
                fputc(c, writer->stream);
        }
        fputc('"', writer->stream);
}

void json_key(JSONWriter *writer, const char *key) {
        separate(writer);
        write_quoted(writer, key);
        fputc(':', writer->stream);
        writer->comma = false;
}

void json_line(JSONWriter *writer, unsigned indent) {
        if (writer->comma)
                fputc(',', writer->stream);
        fprintf(writer->stream, "\n%*s", (int)indent, "");
        writer->comma = false;
}

void json_string(JSONWriter *writer, const char *string) {
        separate(writer);
        write_quoted(writer, string);
}

void json_number(JSONWriter *writer, uint64_t number) {
        separate(writer);
        fprintf(writer->stream, "%" PRIu64, number);
}

void json_signed(JSONWriter *writer, int64_t number) {
        separate(writer);
        fprintf(writer->stream, "%" PRId64, number);
}

void json_boolean(JSONWriter *writer, bool value) {
        separate(writer);
        fputs(value ? "true" : "false", writer->stream);
}

void json_hex(JSONWriter *writer, uint64_t number) {
        separate(writer);
        fprintf(writer->stream, "\"0x%" PRIx64 "\"", number);
}

void json_size(JSONWriter *writer, uint64_t size) {
        if (size == SIZE_WHOLE)
                json_string(writer, "2^64");
        else
                json_hex(writer, size);
}
