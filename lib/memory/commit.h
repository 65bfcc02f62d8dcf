/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Commit: from edits that were made to a map that is in force
 *
 *   dirty ─▶ render ─▶ diff ─▶ listeners prepare │ apply │ undo ─▶ publish ─▶ tell ─▶ retire
 *
 * commit_new() does the first four steps and changes nothing that anybody sees; its result says
 * what would change, and is all that a dry run needs. commit_apply() does the rest.
 * Until then the edits lie in the map, undone by map_rollback().
 *
 * Source: QEMU's memory_region_transaction_commit().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/memory/diff.h"
#include "lib/memory/flat-view.h"
#include "lib/util/detail.h"

typedef struct Commit Commit;
typedef struct Map Map;
typedef struct SpaceChange SpaceChange;

/* What happens to one address space. Spaces that show the same root share the diff. */
struct SpaceChange {
        const char *space;
        const FlatView *old; /* an empty view where the space is new */
        const FlatView *new; /* an empty view where the space goes */
        const Diff *diff;
        uint64_t since; /* the last generation that changed its sections; 0 where it is new */
};

struct Commit {
        Map *map;
        uint64_t generation;  /* that the map has once this is applied */
        bool tree_changed;    /* false: nothing to do, the generation stays */
        SpaceChange *changes; /* by name of the space; those with a change only */
        size_t n_changes;
        struct CommitPlan *plan; /* private to commit.c */
};

/*
 * Renders and diffs what the edits since the last commit dirtied and asks the listeners.
 * Any MapError that a listener or the renderer gives; -ENOMEM. On failure the edits are still in
 * the map: map_rollback() undoes them.
 */
int commit_new(Commit **ret, Map *map, Detail *detail);
/*
 * Carries it out: on success the generation is commit->generation, the views are published, the
 * listeners were told. On failure everything is as before commit_new(), the edits included.
 */
int commit_apply(Commit *commit, Detail *detail);
Commit *commit_free(Commit *commit);
DEFINE_CLEANUP(Commit *, commit_free);
