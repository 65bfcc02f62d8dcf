/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How many random lives, how long, and from which seed on: --seed=N --seeds=N --steps=N
 */

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct Seeds Seeds;

struct Seeds {
        uint64_t first, n, steps;
};

/* Keeps what is not given. False: something else was. */
static inline bool seeds_parse(Seeds *seeds, int argc, char **argv) {
        static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                                {"seeds", required_argument, NULL, 'n'},
                                                {"steps", required_argument, NULL, 't'},
                                                {}};
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
                uint64_t *value = c == 's'   ? &seeds->first
                                  : c == 'n' ? &seeds->n
                                  : c == 't' ? &seeds->steps
                                             : NULL;

                if (!value)
                        return false;
                *value = strtoull(optarg, NULL, 0);
        }
        return true;
}
