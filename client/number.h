/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Numbers as people type and read them
 *
 * What is typed has the grammar of layout documents: decimal without a leading zero, or 0x
 * hexadecimal, a unit KiB, MiB, GiB or TiB behind it if wanted; K, M, G and T are the same, as they
 * are in the files of systemd and guestmapd. A size may also be 2^64, which
 * comes out as GUESTMAP_SIZE_WHOLE. What is printed can be typed again and means the same.
 *
 * Parsers return 0, -EINVAL (not such a number) or -ERANGE (too large); *ret is untouched unless 0.
 */

#include <stdbool.h>
#include <stdint.h>

typedef struct NumberText NumberText;

/* Room for any number in words, so that formatters can be used inside an argument list. */
struct NumberText {
        char text[24];
};

int number_parse(const char *word, uint64_t *ret);
int number_parse_size(const char *word, uint64_t *ret);
int number_parse_u32(const char *word, uint32_t *ret);
/* Decimal with a sign, as priorities are. */
int number_parse_i32(const char *word, int32_t *ret);
/* yes, no and their usual synonyms. */
int number_parse_bool(const char *word, bool *ret);
/* Seconds, or with a unit ms, s, min, h; gives microseconds. */
int number_parse_timeout(const char *word, uint64_t *ret);

/* 0x1000 */
NumberText number_hex(uint64_t value);
/* 0x1000, and 2^64 for GUESTMAP_SIZE_WHOLE */
NumberText number_hex_size(uint64_t size);
/* In the largest unit that is exact: 4GiB, 640KiB, 1000, 2^64 */
NumberText number_size(uint64_t size);
/* For the eye, of four digits at most: 4GiB, 1.97GiB, 16EiB, 1000 */
NumberText number_size_about(uint64_t size);
