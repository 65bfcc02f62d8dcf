/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A file that a verb writes
 *
 * What is there is replaced when all is written, with the mode that it had: whoever reads it
 * meanwhile has the whole one before. A link stays, what it leads to is replaced; a pipe, a
 * terminal or a device is written to. "-" is standard output.
 */

#include <stdio.h>

typedef void (*OutFilePrint)(void *userdata, FILE *out);

/* Returns 0, or an errno, having said what went wrong; what would be replaced is as it was then. */
int out_file_write(const char *path, OutFilePrint print, void *userdata);
