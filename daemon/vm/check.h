/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Check: whether a VM could be made again from a directory, and which
 *
 * Everything is read and replayed, nothing is changed.
 */

#include <stdbool.h>

typedef enum CheckStatus {
        CHECK_WHOLE = 0, /* these are exit statuses */
        CHECK_TORN = 1,
        CHECK_DAMAGED = 2,
        CHECK_UNREADABLE = 3,
} CheckStatus;

/* Says on standard output, in words or in JSON, what there is. */
CheckStatus check_directory(const char *directory, bool json);
