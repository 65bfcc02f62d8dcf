/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/resource.h>

#include "lib/util/cleanup.h"
#include "tests/unit/home-scene.h"

int home_scene_setup(void **state) {
        static Home home;

        home_init(&home);
        *state = &home;
        return 0;
}

int home_scene_teardown(void **state) {
        home_deinit(*state);
        return 0;
}

void must_be_the_same_again(Home *home) {
        char *before = home_text(home);

        home_must_restart(home);
        assert_text(home_text(home), before);
        free(before);
}

void limit_files(uint64_t bytes) {
        struct rlimit limit;

        assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
        limit.rlim_cur = MIN_OF(bytes, limit.rlim_max);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}
