/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Dump: text that is too large for a message, as a sealed memfd
 */

/* The text in a file that nobody can change any more, read from its beginning. -errno. */
int dump_to_memfd(const char *name, const char *text, int *ret_fd);
