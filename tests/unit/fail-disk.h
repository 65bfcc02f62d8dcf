/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A disk that fails on demand, and power that does
 *
 * Linked with --wrap for pwritev64, ftruncate64, fdatasync and fsync. What a file has on the disk
 * is what it had when it was last synced, whatever was written since.
 */

#include <stdbool.h>

/* Which calls fail from now on, with EIO. */
typedef struct FailDisk {
        bool writes;
        bool truncations;
        bool syncs; /* of files */
        bool directory_syncs;
} FailDisk;

extern FailDisk fail_disk;

/* The file has what any file had that was synced last. */
void fail_disk_lose_power(const char *path);
