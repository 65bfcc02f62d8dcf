/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A VM with a journal, patches for it, and what is the same when its process is another
 */

#include "tests/common/home.h"
#include "tests/common/unit.h"

#define PATCH(edits) "{\"guestmap\": 1, \"edits\": [" edits "]}"
#define AND          ","
#define RAM(name, size, offset)                                                                    \
        "{\"add-region\": {\"name\": \"" name "\", \"kind\": \"ram\", \"size\": \"" size           \
        "\", \"parent\": \"system\", \"offset\": \"" offset "\"}}"
#define MMIO(name, offset)                                                                         \
        "{\"add-region\": {\"name\": \"" name "\", \"kind\": \"mmio\", \"size\": 4096, "           \
        "\"parent\": \"system\", \"offset\": \"" offset "\"}}"

/* The test's state is a Home. */
int home_scene_setup(void **state);
int home_scene_teardown(void **state);

/* When the process is killed and another one comes. */
void must_be_the_same_again(Home *home);

/* Files of this process cannot grow beyond that; UINT64_MAX: no limit. */
void limit_files(uint64_t bytes);
