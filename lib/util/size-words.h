/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Sizes in words, for messages
 *
 * Source: this project.
 */

#include <inttypes.h>
#include <stdio.h>

#include "lib/util/cleanup.h"
#include "lib/util/range.h"

typedef struct SizeWords SizeWords;

/* Room for any size, so that size_words() can be used inside an argument list. */
struct SizeWords {
        char text[24];
};

/* In the largest unit that is exact: "64TiB", "640KiB", "1000B"; "2^64" for SIZE_WHOLE. */
static inline SizeWords size_words(uint64_t size) {
        static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
        SizeWords words;
        size_t unit = 0;

        if (size == SIZE_WHOLE)
                return (SizeWords){"2^64"};
        for (; size > 0 && size % 1024 == 0 && unit + 1 < ELEMENTS_OF(units); unit++)
                size /= 1024;
        snprintf(words.text, sizeof(words.text), "%" PRIu64 "%s", size, units[unit]);
        return words;
}
