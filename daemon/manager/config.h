/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * guestmapd.conf(5)
 *
 * Sections, keys and values as in systemd's own files, and found as these are: the main file first,
 * then the files in the directories of drop-ins in the order of their names, whatever directory
 * they are in. Of two with one name the one in the earlier directory counts; a later setting of a
 * key replaces an earlier one. What is not understood is told in the log, with file and line, and
 * left out: no mistake in a file keeps the service from starting.
 */

#include <stdbool.h>
#include <stdio.h>

#include "daemon/manager/quota.h"

/*
 * Reads the files of the system or of the user; or `file` and what is in `file`.d, unless it is
 * NULL. Files that are not there say nothing.
 */
int config_load(Quotas *ret, bool user, const char *file);

/* Lines of one file; `name` is what the log calls it. For the tests. */
void config_parse(Quotas *quotas, const char *name, FILE *stream);
