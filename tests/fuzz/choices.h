/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Choices: what a fuzzer's bytes decide
 *
 * Whatever the bytes are they make something that is nearly right. When they have run out every
 * choice is the first one.
 */

#include <stddef.h>
#include <stdint.h>

typedef struct Choices Choices;

struct Choices {
        const uint8_t *data;
        size_t n;
};

/* One of n, n from 1 to 256. */
static inline unsigned choose(Choices *choices, unsigned n) {
        if (choices->n == 0)
                return 0;
        choices->n--;
        return *choices->data++ % n;
}

/* A number where limits are: 0, one, a page, 2^63, all-ones, and what lies beside them. */
static inline uint64_t choose_number(Choices *choices) {
        static const uint64_t numbers[] = {
                0,      1,       2,          7,         8,         0x1000,        0x2000,
                0xfff,  0x10000, 0xfec00000, 1ull << 32, 1ull << 52, 1ull << 63, UINT64_MAX,
                100000, 1ull << 20,
        };
        uint64_t number = numbers[choose(choices, sizeof(numbers) / sizeof(numbers[0]))];

        switch (choose(choices, 8)) {
        case 0:
                return number + 1;
        case 1:
                return number - 1;
        default:
                return number;
        }
}

#define choose_of(choices, list) ((list)[choose((choices), sizeof(list) / sizeof((list)[0]))])

/* The fuzzer's entry; 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
