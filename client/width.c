/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <limits.h>
#include <string.h>
#include <wchar.h>

#include "client/width.h"
#include "lib/util/cleanup.h"

size_t width_character_length(const char *text) {
        size_t n = 1;

        while (((unsigned char)text[n] & 0xc0) == 0x80)
                n++;
        return n;
}

static int character_width(const char *text, size_t n) {
        mbstate_t state = {};
        wchar_t wide;
        size_t r;

        if (n == 1)
                return 1;
        r = mbrtowc(&wide, text, n, &state);
        return r == n ? MAX_OF(wcwidth(wide), 0) : 1;
}

size_t width_fit(const char *text, size_t n, int columns, int *ret_width) {
        size_t length, i = 0;

        for (*ret_width = 0; i < n; i += length) {
                int width;

                length = width_character_length(text + i);
                width = character_width(text + i, length);
                if (*ret_width + width > columns)
                        break;
                *ret_width += width;
        }
        return i;
}

int width_of(const char *text) {
        int width;

        (void)width_fit(text, strlen(text), INT_MAX, &width);
        return width;
}
