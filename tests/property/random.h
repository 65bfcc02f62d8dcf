/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Random numbers that are the same for the same seed (splitmix64)
 */

#include <stdbool.h>
#include <stdint.h>

typedef struct Random {
        uint64_t state;
} Random;

static inline uint64_t random_next(Random *random) {
        uint64_t z = random->state += 0x9e3779b97f4a7c15;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
}

/* One of 0 … n - 1. */
static inline uint64_t random_below(Random *random, uint64_t n) {
        return random_next(random) % n;
}

static inline bool random_one_in(Random *random, uint64_t n) {
        return random_below(random, n) == 0;
}
