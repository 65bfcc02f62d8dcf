/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Hex dump: bytes on stdout as hexdump -C prints them
 *
 * Lines of sixteen bytes with the address in front and the printable characters behind; of lines
 * that say the same as the one before, a "*" in place of all. The last line is the address behind
 * the last byte.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct HexDump HexDump;

enum { HEX_DUMP_LINE = 16 };

struct HexDump {
        uint64_t address; /* of the next byte */
        int width;        /* digits of an address */
        bool begun;       /* there is a line before */
        bool same;        /* and a "*" stands for what came after it */
        uint8_t line[HEX_DUMP_LINE];
};

/* For the bytes from first to last, which need not be known yet. */
void hex_dump_begin(HexDump *dump, uint64_t first, uint64_t last);
/* The next n bytes; n is a multiple of HEX_DUMP_LINE but for the last time. */
void hex_dump_add(HexDump *dump, const void *data, size_t n);
void hex_dump_end(const HexDump *dump);
