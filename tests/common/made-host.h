/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A made-up host: files for what reads /sys and /proc, below a directory
 *
 *   cmocka_unit_test_setup_teardown(test, made_host_setup, made_host_teardown)
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/util/cleanup.h"
#include "tests/common/unit.h"

static char made_host[] = "/tmp/guestmap-host-XXXXXX";

static inline int made_host_setup(void **state) {
        strcpy(made_host + sizeof(made_host) - sizeof("XXXXXX"), "XXXXXX");
        return mkdtemp(made_host) ? 0 : -1;
}

static inline int made_host_teardown(void **state) {
        char command[64];

        snprintf(command, sizeof(command), "rm -r %s", made_host);
        return system(command);
}

/* The path below the directory; the directories that it is in are made. */
static inline void made_host_path(char full[static 256], const char *path) {
        snprintf(full, 256, "%s%s", made_host, path);
        for (char *slash = full + sizeof(made_host); (slash = strchr(slash, '/')); slash++) {
                *slash = '\0';
                (void)mkdir(full, 0700);
                *slash = '/';
        }
}

static inline void put_file(const char *path, const char *text) {
        _cleanup_(fclosep) FILE *file = NULL;
        char full[256];

        made_host_path(full, path);
        file = fopen(full, "we");
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
}

static inline void put_link(const char *path, const char *target) {
        char full[256];

        made_host_path(full, path);
        assert_int_equal(symlink(target, full), 0);
}
