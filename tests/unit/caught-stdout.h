/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the code under test prints
 *
 * A test listed as CAUGHT(test) runs with stdout in a file; caught_text() gives stdout back and
 * returns what was printed, valid until the next call. Each such test calls it once.
 */

#include <stdio.h>
#include <unistd.h>

static int real_stdout;
static FILE *caught;
static char caught_buffer[4096];

/* Sends stdout to a file until caught_text(). */
static inline int catch_stdout(void **state) {
        fflush(stdout);
        caught = tmpfile();
        real_stdout = dup(STDOUT_FILENO);
        if (!caught || real_stdout < 0)
                return -1;
        return dup2(fileno(caught), STDOUT_FILENO) < 0 ? -1 : 0;
}

static inline const char *caught_text(void) {
        size_t n;

        fflush(stdout);
        dup2(real_stdout, STDOUT_FILENO);
        close(real_stdout);
        rewind(caught);
        n = fread(caught_buffer, 1, sizeof(caught_buffer) - 1, caught);
        caught_buffer[n] = '\0';
        fclose(caught);
        return caught_buffer;
}

#define CAUGHT(test) cmocka_unit_test_setup(test, catch_stdout)
