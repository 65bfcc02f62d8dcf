/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * UTF-8, for checking what comes from outside
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * The length of the character that begins at `at`, of which `left` bytes may be looked at; 0 if
 * there is no well-formed one: cut short, overlong, a surrogate, or beyond U+10FFFF.
 */
static inline size_t utf8_length(const char *at, size_t left) {
        const unsigned char *bytes = (const unsigned char *)at;
        uint32_t least, character;
        size_t n;

        if (left == 0)
                return 0;
        if (bytes[0] < 0x80)
                return 1;
        n = bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : 2;
        if (bytes[0] < 0xc0 || bytes[0] > 0xf4 || n > left)
                return 0;
        character = bytes[0] & (0x7fu >> n);
        for (size_t i = 1; i < n; i++) {
                if ((bytes[i] & 0xc0) != 0x80)
                        return 0;
                character = character << 6 | (bytes[i] & 0x3f);
        }
        least = n == 4 ? 0x10000 : n == 3 ? 0x800 : 0x80;
        if (character < least || character > 0x10ffff || (character & 0xfffff800) == 0xd800)
                return 0;
        return n;
}

/* The length of the longest beginning of well-formed text that has at most `max` bytes. */
static inline size_t utf8_cut(const char *text, size_t max) {
        size_t n = strnlen(text, max);

        if (text[n] == '\0')
                return n;
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
                n--;
        return n;
}
