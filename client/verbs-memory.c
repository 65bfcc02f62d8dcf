/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Verbs that look at what is in a guest's memory, and change it
 *
 * What is longer than one message carries goes in pieces, each of which is read or written at once.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "client/client.h"
#include "client/hex-dump.h"
#include "client/json-print.h"
#include "client/memory-copy.h"
#include "client/number.h"
#include "client/verb.h"
#include "lib/util/range.h"

typedef struct Bytes Bytes;
typedef struct Memory Memory;

/* An address space of a VM. */
struct Memory {
        Client *client;
        char *vm;
        char *space;
};

struct Bytes {
        uint8_t *data;
        size_t n;
};

static void memory_deinit(Memory *memory) {
        free(memory->vm);
        free(memory->space);
}

static int memory_find(Memory *memory, Client *client, const char *vm, const char *space) {
        int r;

        memory->client = client;
        r = client_find_vm(client, vm, &memory->vm);
        if (r < 0)
                return r;
        return client_find_space(client, memory->vm, space, &memory->space);
}

static int check_range(uint64_t address, uint64_t length) {
        Range range;

        if (length == 0 || range_place(address, length, &range))
                return 0;
        return fail("%s bytes at %s reach beyond 2^64", number_hex(length).text,
                    number_hex(address).text);
}

/* What is done with bytes that were read, in order. */
typedef int (*Consumer)(void *userdata, const void *data, size_t n);

static int read_piece(const Memory *memory, uint64_t address, uint64_t length, Consumer consume,
                      void *userdata) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const void *data;
        size_t n;
        int r;

        r = client_method(memory->client, &reply, memory->space, GUESTMAP_INTERFACE_ADDRESS_SPACE,
                          "Read", "tt", address, length);
        if (r < 0)
                return r;
        r = sd_bus_message_read_array(reply, 'y', &data, &n);
        return r < 0 ? client_cannot_read(r) : consume(userdata, data, n);
}

static int read_pieces(const Memory *memory, uint64_t address, uint64_t length, Consumer consume,
                       void *userdata) {
        int r = 0;

        if (length > GUESTMAP_ACCESS_MAX)
                client_go_direct(memory->client, memory->vm);
        while (r == 0 && length > 0) {
                uint64_t n = MIN_OF(length, (uint64_t)GUESTMAP_ACCESS_MAX);

                r = read_piece(memory, address, n, consume, userdata);
                address += n;
                length -= n;
        }
        return r;
}

static int dump_bytes(void *userdata, const void *data, size_t n) {
        hex_dump_add(userdata, data, n);
        return 0;
}

static int read_dumped(const Memory *memory, uint64_t address, uint64_t length) {
        HexDump dump;
        int r;

        hex_dump_begin(&dump, address, length ? address + (length - 1) : address);
        r = read_pieces(memory, address, length, dump_bytes, &dump);
        if (r == 0)
                hex_dump_end(&dump);
        return r;
}

static int write_sink(void *userdata, const void *data, size_t n) {
        return sink_write(userdata, data, n);
}

static int read_raw(const Memory *memory, uint64_t address, uint64_t length, const char *path) {
        int r = -EOPNOTSUPP, closed;
        Range range;
        Sink sink;

        if (sink_open(&sink, path) < 0)
                return -EIO;
        if (length > GUESTMAP_ACCESS_MAX && range_place(address, length, &range))
                r = memory_copy(memory->client, memory->vm, memory->space, range, &sink);
        if (r == -EOPNOTSUPP)
                r = read_pieces(memory, address, length, write_sink, &sink);
        closed = sink_close(&sink);
        return r < 0 ? r : closed;
}

static int json_bytes(void *userdata, const void *data, size_t n) {
        char *text = must(malloc(2 * n + 1));
        const uint8_t *bytes = data;

        *text = '\0';
        for (size_t i = 0; i < n; i++)
                sprintf(text + 2 * i, "%02x", bytes[i]);
        json_add_text(userdata, "data", text);
        free(text);
        return 0;
}

static int read_json(const Memory *memory, uint64_t address, uint64_t length) {
        _cleanup_(json_putp) json_object *object = json_new_object();
        int r;

        json_add_hex(object, "address", address);
        json_add_hex(object, "length", length);
        r = read_piece(memory, address, length, json_bytes, object);
        if (r == 0)
                json_print(&memory->client->output, object);
        return r;
}

int verb_read(Client *client, char **arguments) {
        _cleanup_(memory_deinit) Memory memory = {};
        const char *path = client->options[OPTION_OUT];
        uint64_t address, length;
        int r;

        r = client_number(arguments[2], "address", &address);
        if (r == 0)
                r = client_number(arguments[3], "length", &length);
        if (r == 0)
                r = check_range(address, length);
        if (r == 0)
                r = memory_find(&memory, client, arguments[0], arguments[1]);
        if (r < 0)
                return r;
        if (path)
                return read_raw(&memory, address, length, path);
        if (client->output.json != JSON_OFF)
                return read_json(&memory, address, length);
        return read_dumped(&memory, address, length);
}

static void bytes_deinit(Bytes *bytes) {
        free(bytes->data);
}

static int hex_digit(char character) {
        static const char digits[] = "0123456789abcdefABCDEF";
        const char *found = character ? strchr(digits, character) : NULL;

        if (!found)
                return -EINVAL;
        return (int)(found - digits) - (found - digits > 15 ? 6 : 0);
}

/* Two digits for each byte, any number of them. */
static int bytes_from_word(Bytes *bytes, const char *word) {
        bytes->data = must(realloc(bytes->data, bytes->n + strlen(word) / 2 + 1));
        for (const char *at = word; *(at += strspn(at, " ")) != '\0'; at += 2) {
                int high = hex_digit(at[0]), low = hex_digit(at[1]);

                if (high < 0 || low < 0)
                        return fail("\"%s\" is not bytes in hexadecimal, two digits each", word);
                bytes->data[bytes->n++] = (uint8_t)(high << 4 | low);
        }
        return 0;
}

/* All of it before anything is written: so that its length is known, and that it can be read. */
static int bytes_from_file(Bytes *bytes, const char *path) {
        _cleanup_(fclosep) FILE *opened = NULL;
        FILE *file = stdin;
        size_t got;

        if (strcmp(path, "-") != 0) {
                file = opened = fopen(path, "re");
                if (!opened)
                        return fail_errno(-errno, "cannot open %s", path);
        }
        do {
                bytes->data = must(realloc(bytes->data, bytes->n + GUESTMAP_ACCESS_MAX));
                got = fread(bytes->data + bytes->n, 1, GUESTMAP_ACCESS_MAX, file);
                bytes->n += got;
        } while (got > 0);
        return ferror(file) ? fail_errno(-errno, "cannot read %s", path) : 0;
}

static int bytes_read(Bytes *bytes, const Client *client, char **words) {
        const char *path = client->options[OPTION_IN];
        int r = 0;

        if (!*words)
                return bytes_from_file(bytes, path ? path : "-");
        if (path)
                return fail("write: give the bytes, or --in=FILE, not both");
        for (; r == 0 && *words; words++)
                r = bytes_from_word(bytes, *words);
        return r;
}

static int write_piece(const Memory *memory, uint64_t address, const void *data, size_t n) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        int r;

        r = client_request(memory->client, &request, memory->space,
                           GUESTMAP_INTERFACE_ADDRESS_SPACE, "Write");
        if (r < 0)
                return r;
        r = sd_bus_message_append(request, "t", address);
        if (r >= 0)
                r = sd_bus_message_append_array(request, 'y', data, n);
        if (r < 0)
                return client_cannot_ask(r);
        return client_call(memory->client, request, NULL);
}

static int write_pieces(const Memory *memory, uint64_t address, const Bytes *bytes) {
        size_t done = 0;
        int r;

        if (bytes->n > GUESTMAP_ACCESS_MAX)
                client_go_direct(memory->client, memory->vm);
        while (done < bytes->n) {
                size_t n = MIN_OF(bytes->n - done, (size_t)GUESTMAP_ACCESS_MAX);

                r = write_piece(memory, address + done, bytes->data + done, n);
                if (r < 0 && done > 0)
                        fail("%zu bytes were written before that", done);
                if (r < 0)
                        return r;
                done += n;
        }
        return 0;
}

int verb_write(Client *client, char **arguments) {
        _cleanup_(memory_deinit) Memory memory = {};
        _cleanup_(bytes_deinit) Bytes bytes = {};
        uint64_t address;
        int r;

        r = client_number(arguments[2], "address", &address);
        if (r == 0)
                r = bytes_read(&bytes, client, arguments + 3);
        if (r == 0)
                r = check_range(address, bytes.n);
        if (r == 0)
                r = memory_find(&memory, client, arguments[0], arguments[1]);
        if (r < 0)
                return r;
        return json_print_done(&client->output, write_pieces(&memory, address, &bytes));
}
