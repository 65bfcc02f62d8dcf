/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * UTF-8, for checking what comes from outside
 *
 * Source: RFC 3629.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/*
 * The length of the character that begins at `at`, of which `left` bytes may be looked at; 0 if
 * there is no well-formed one: cut short, overlong, a surrogate, or beyond U+10FFFF; and 0 for a
 * noncharacter (U+FDD0 to U+FDEF, and the last two of each plane), which no message of sd-bus can
 * carry.
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
        if ((character >= 0xfdd0 && character <= 0xfdef) || (character & 0xfffe) == 0xfffe)
                return 0;
        return n;
}

/* Whether a well-formed character of n bytes is a control: C0, DEL, and C1 as UTF-8 has it. */
static inline bool utf8_is_control(const char *at, size_t n) {
        const unsigned char *bytes = (const unsigned char *)at;

        if (n == 1)
                return bytes[0] < 0x20 || bytes[0] == 0x7f;
        return bytes[0] == 0xc2 && bytes[1] < 0xa0;
}

/*
 * Any bytes as a message can show them: as they are, but \xNN for each byte of a control or of
 * what is no character; cut, with "..." behind it, where there is no room for all and these dots.
 */
static inline void utf8_show(char *to, size_t size, const char *text) {
        size_t left = strlen(text), at = 0, n;

        for (; left > 0; text += n, left -= n) {
                n = utf8_length(text, left);
                bool as_it_is = n > 0 && !utf8_is_control(text, n);

                n = n > 0 ? n : 1;
                if (at + (as_it_is ? n : 4 * n) + sizeof("...") > size) {
                        memcpy(to + at, "...", sizeof("..."));
                        return;
                }
                for (size_t i = 0; i < n; i++)
                        at += (size_t)snprintf(to + at, size - at, as_it_is ? "%c" : "\\x%02x",
                                               (unsigned char)text[i]);
        }
        to[at] = '\0';
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
