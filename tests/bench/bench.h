/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the benchmarks share: options, a clock, an array of times, and its percentiles
 *
 * Every benchmark prints one JSON object a line, times in nanoseconds.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct BenchOption {
        const char *name; /* NULL ends the list */
        size_t *value;
} BenchOption;

static inline void bench_option(const char *word, const BenchOption *options) {
        for (; options->name; options++) {
                size_t length = strlen(options->name);

                if (strncmp(word, "--", 2) == 0 && strncmp(word + 2, options->name, length) == 0 &&
                    word[2 + length] == '=') {
                        *options->value = strtoull(word + 3 + length, NULL, 0);
                        return;
                }
        }
        fprintf(stderr, "what is %s?\n", word);
        exit(EXIT_FAILURE);
}

/* Options of the form --name=number. Any other word ends the program. */
static inline void bench_options(int argc, char **argv, const BenchOption *options) {
        for (int i = 1; i < argc; i++)
                bench_option(argv[i], options);
}

typedef struct Times {
        uint64_t *items;
        size_t n;
        size_t allocated;
} Times;

static inline uint64_t now_ns(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Room for n times. Ends the program if there is no memory. */
static inline Times times_new(size_t n) {
        Times times = {.items = calloc(n, sizeof(uint64_t)), .allocated = n};

        if (!times.items)
                abort();
        return times;
}

static inline void times_free(Times *times) {
        free(times->items);
        *times = (Times){};
}

/* Beyond the room there is, times are not kept. */
static inline void times_add(Times *times, uint64_t ns) {
        if (times->n < times->allocated)
                times->items[times->n++] = ns;
}

static inline int times_compare(const void *a, const void *b) {
        const uint64_t *left = a, *right = b;

        return (*left > *right) - (*left < *right);
}

/* Sorts. The time that `percent` of all do not exceed; 0 if there are none. */
static inline uint64_t times_percentile(Times *times, unsigned percent) {
        if (times->n == 0)
                return 0;
        qsort(times->items, times->n, sizeof(*times->items), times_compare);
        return times->items[(times->n - 1) * percent / 100];
}
