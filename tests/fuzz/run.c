/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Stands in for libFuzzer: gives a target what is in the files and folders named, then bytes drawn
 * from a seed, so that the corpora are regression tests with any compiler
 *
 *   fuzz-NAME [PATH…]
 */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/choices.h"

enum { SIZE_MAX_READ = 1 << 20, DRAWN = 64, DRAWN_BYTES = 512 };

static size_t n_runs;

static void run_file(const char *path) {
        uint8_t *data = malloc(SIZE_MAX_READ);
        FILE *file = fopen(path, "re");
        size_t n;

        if (!data || !file) {
                perror(path);
                exit(EXIT_FAILURE);
        }
        n = fread(data, 1, SIZE_MAX_READ, file);
        fclose(file);
        LLVMFuzzerTestOneInput(data, n);
        free(data);
        n_runs++;
}

static void run_path(const char *path) {
        struct dirent **names = NULL;
        struct stat status;
        int n;

        if (stat(path, &status) == 0 && !S_ISDIR(status.st_mode)) {
                run_file(path);
                return;
        }
        n = scandir(path, &names, NULL, alphasort);
        if (n < 0) {
                perror(path);
                exit(EXIT_FAILURE);
        }
        for (int i = 0; i < n; i++) {
                char file[4096];

                snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
                if (names[i]->d_name[0] != '.')
                        run_file(file);
                free(names[i]);
        }
        free(names);
}

static void run_drawn(unsigned seed) {
        struct random_data state = {};
        uint8_t data[DRAWN_BYTES];
        char buffer[64];

        initstate_r(seed, buffer, sizeof(buffer), &state);
        for (size_t i = 0; i < sizeof(data); i++) {
                int32_t value;

                random_r(&state, &value);
                data[i] = (uint8_t)(value >> 8);
        }
        LLVMFuzzerTestOneInput(data, sizeof(data));
        n_runs++;
}

int main(int argc, char **argv) {
        for (int i = 1; i < argc; i++)
                run_path(argv[i]);
        for (unsigned seed = 0; seed < DRAWN; seed++)
                run_drawn(seed);
        printf("%zu inputs\n", n_runs);
        return 0;
}
