/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Report: what Apply and Preview say that a commit changes, JSON turned into words
 */

#include <json-c/json.h>
#include <stdint.h>

#include "client/print.h"

/* Prints what a commit has changed, as JSON if that is wanted. */
int report_print(const Output *output, const char *report);
/*
 * Prints what a commit would change. The value is the exit status: EXIT_WOULD_CHANGE if it would
 * change anything.
 */
int report_print_plan(const Output *output, const char *report);
/* In words, what slots have cost: numbers of operations by kind, and members bytes-… of `bytes`. */
void report_print_cost(json_object *operations, json_object *bytes);
