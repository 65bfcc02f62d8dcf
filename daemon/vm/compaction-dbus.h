/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Compaction beside the calls
 *
 * After a commit has been answered, a journal that has become too long, or that it has found
 * broken, is compacted by a job, which borrows the tree meanwhile.
 */

typedef struct Service Service;

/* -errno. */
int compaction_init(Service *service);
/* There was a commit, or it has failed. */
void compaction_consider(Service *service);
