/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A file that a verb writes
 *
 * The caller's own file is replaced when all is written, by one of the same group and mode:
 * whoever reads it meanwhile has the whole one before. All else that is there already is written
 * to: a link, a pipe, a device, somebody else's file. "-" is standard output.
 */

#include <stdio.h>

typedef void (*OutFilePrint)(void *userdata, FILE *out);

/* Returns 0, or an errno, having said what went wrong. */
int out_file_write(const char *path, OutFilePrint print, void *userdata);
