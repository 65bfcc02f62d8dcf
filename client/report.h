/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Report: what Apply and Preview say that a commit changes, JSON turned into words
 */

#include <stdbool.h>

#include "client/print.h"

/*
 * Prints it, as JSON if that is wanted. With `would` it is about a commit that has not been made:
 * then the value is the exit status, EXIT_WOULD_CHANGE if that commit would change anything.
 */
int report_print(const Output *output, const char *report, bool would);
