/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/hex-dump.h"
#include "lib/util/cleanup.h"

void hex_dump_begin(HexDump *dump, uint64_t first, uint64_t last) {
        *dump = (HexDump){.address = first, .width = last >= UINT32_MAX ? 16 : 8};
}

static void print_address(const HexDump *dump) {
        printf("%0*" PRIx64, dump->width, dump->address);
}

static void print_text(const uint8_t *data, size_t n) {
        putchar('|');
        for (size_t i = 0; i < n; i++)
                putchar(data[i] < 0x80 && isprint(data[i]) ? data[i] : '.');
        puts("|");
}

static void print_line(const HexDump *dump, const uint8_t *data, size_t n) {
        print_address(dump);
        for (size_t i = 0; i < HEX_DUMP_LINE; i++) {
                fputs(i % 8 == 0 ? "  " : " ", stdout);
                if (i < n)
                        printf("%02x", data[i]);
                else
                        fputs("  ", stdout);
        }
        fputs("  ", stdout);
        print_text(data, n);
}

static void add_line(HexDump *dump, const uint8_t *data, size_t n) {
        if (dump->begun && n == HEX_DUMP_LINE && memcmp(dump->line, data, n) == 0) {
                if (!dump->same)
                        puts("*");
                dump->same = true;
                return;
        }
        print_line(dump, data, n);
        memcpy(dump->line, data, n);
        dump->begun = true;
        dump->same = false;
}

void hex_dump_add(HexDump *dump, const void *data, size_t n) {
        const uint8_t *at = data;

        while (n > 0) {
                size_t length = MIN_OF(n, (size_t)HEX_DUMP_LINE);

                add_line(dump, at, length);
                dump->address += length;
                at += length;
                n -= length;
        }
}

void hex_dump_end(const HexDump *dump) {
        if (!dump->begun)
                return;
        /* The byte behind the last one of all has no address. */
        if (dump->address == 0)
                putchar('1');
        print_address(dump);
        putchar('\n');
}
