/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A file that a verb writes
 *
 * What is there is replaced when all is written, by a file of the same owner, group and mode:
 * whoever reads it meanwhile has the whole one before. A link stays, what it leads to is replaced.
 * A pipe, a terminal, a device is written to, and a file beside which none like it can be made.
 * "-" is standard output.
 */

#include <stdio.h>

typedef void (*OutFilePrint)(void *userdata, FILE *out);

/* Returns 0, or an errno, having said what went wrong. */
int out_file_write(const char *path, OutFilePrint print, void *userdata);
