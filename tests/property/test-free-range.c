/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Free ranges against an oracle that knows each byte of a small part of the address space: at its
 * beginning, at its end, and somewhere between
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/memory/free-range.h"
#include "lib/memory/map-error.h"
#include "tests/common/made-view.h"
#include "tests/property/random.h"
#include "tests/property/seeds.h"

enum { BYTES = 200, QUESTIONS = 100 };

typedef struct Life Life;

struct Life {
        uint64_t base; /* address of byte 0 */
        bool taken[BYTES];
        FlatView *view;
        uint64_t n_found, n_refused;
};

/* Sections of random lengths with random gaps, or none, between them. */
static void fill(Life *life, Random *random) {
        uint64_t gap = 1 + random_below(random, 40), length = 1 + random_below(random, 40);
        Section sections[BYTES];
        size_t n = 0, at = random_below(random, gap);

        memset(life->taken, false, sizeof(life->taken));
        while (at < BYTES) {
                size_t end = at + random_below(random, length);

                if (end >= BYTES)
                        end = BYTES - 1;
                sections[n++] = (Section){.range = {life->base + at, life->base + end}};
                memset(life->taken + at, true, end - at + 1);
                at = end + 1 + random_below(random, gap);
        }
        life->view = made_view(sections, n, NULL, 0);
}

static bool is_free(const Life *life, uint64_t at, uint64_t size) {
        for (uint64_t i = at; i < at + size; i++)
                if (life->taken[i])
                        return false;
        return true;
}

/* Tries every address, the lowest first; all numbers are those of bytes. False: there is none. */
static bool oracle(const Life *life, uint64_t size, uint64_t align, uint64_t first, uint64_t last,
                   uint64_t *ret) {
        for (uint64_t at = first; at <= last && size <= last - at + 1; at++) {
                if ((life->base + at) % align != 0 || !is_free(life, at, size))
                        continue;
                *ret = at;
                return true;
        }
        return false;
}

static bool ask(Life *life, Random *random) {
        uint64_t first = random_below(random, BYTES), last = random_below(random, BYTES);
        uint64_t lowest = first < last ? first : last, highest = first < last ? last : first;
        FreeRequest request = {
                .size = 1 + random_below(random, random_one_in(random, 2) ? 8 : BYTES),
                .align = UINT64_C(1) << random_below(random, 6),
                .first = life->base + lowest,
                .last = life->base + highest,
        };
        uint64_t found = 0, expected = 0;
        int r = free_range_find(life->view, &request, &found, NULL);

        if (!oracle(life, request.size, request.align, lowest, highest, &expected)) {
                life->n_refused++;
                return r == MAP_E_NO_FREE_RANGE;
        }
        life->n_found++;
        return r == 0 && found == life->base + expected;
}

static bool run(Life *life, uint64_t seed) {
        static const uint64_t bases[] = {0, UINT64_C(1) << 40, UINT64_MAX - BYTES + 1};
        Random random = {seed};
        bool good = true;

        life->base = bases[random_below(&random, ELEMENTS_OF(bases))];
        fill(life, &random);
        for (int i = 0; good && i < QUESTIONS; i++)
                good = ask(life, &random);
        life->view = flat_view_unref(life->view);
        if (!good)
                printf("# --seed=%" PRIu64 " --seeds=1\n", seed);
        return good;
}

int main(int argc, char **argv) {
        Seeds seeds = {.first = 1, .n = 5000};
        Life life = {};
        bool good = true;

        if (!seeds_parse(&seeds, argc, argv))
                return EXIT_FAILURE;
        for (uint64_t i = 0; good && i < seeds.n; i++)
                good = run(&life, seeds.first + i);
        printf("1..1\n# %" PRIu64 " places found, %" PRIu64 " times there was none\n", life.n_found,
               life.n_refused);
        if (!good || life.n_found == 0 || life.n_refused == 0)
                printf("not ");
        printf("ok 1 - the lowest place is the oracle's\n");
        return EXIT_SUCCESS;
}
