/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Dump: a report that is too large for a message, as a sealed memfd
 */

/* An empty file, to be written. -errno. */
int dump_open(const char *name, int *ret_fd);
/* Nobody can change it any more, and it is read from its beginning. -errno. */
int dump_seal(int fd);
