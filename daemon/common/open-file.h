/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Open files: which descriptors of this process are of one
 */

/* 0, or -errno: the kernel does not compare them. */
int open_files_check(void);

/* The order in which the kernel has the open files of two descriptors; 0: they are of one. */
int open_files_compare(int a, int b);
