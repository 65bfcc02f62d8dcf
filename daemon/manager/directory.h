/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Directories that a VM's process keeps its files in
 *
 * guestmapd makes and removes them, for processes that it runs itself. They hold files only.
 */

/* Makes it, and those above it that are missing, for this user alone; on disk when it returns. It
 * may be there already. */
int directory_make(const char *path);

/* Has what was renamed or removed in it stay so. */
int directory_sync(const char *path);

/* With all files in it; none of it need be there. */
void directory_remove(const char *path);
