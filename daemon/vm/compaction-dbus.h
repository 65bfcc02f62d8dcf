/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Compaction beside the calls
 *
 * After a commit has been answered, a journal that has become too long is compacted by a job, which
 * borrows the tree meanwhile.
 */

typedef struct Service Service;

/* -errno. */
int compaction_init(Service *service);
/* There was a commit. */
void compaction_consider(Service *service);
