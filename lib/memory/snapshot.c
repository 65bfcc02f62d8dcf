/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "lib/memory/snapshot.h"
#include "lib/util/array.h"

int snapshot_spaces_add(SnapshotSpaces *spaces, SnapshotSpace space) {
        int r;

        r = array_reserve(&spaces->items, &spaces->allocated, spaces->n, 1);
        if (r == 0)
                spaces->items[spaces->n++] = space;
        return r;
}

int snapshot_new(Snapshot **ret, uint64_t generation, size_t n_spaces) {
        Snapshot *snapshot;

        snapshot = calloc(1, sizeof(*snapshot) + n_spaces * sizeof(snapshot->spaces[0]));
        if (!snapshot)
                return -ENOMEM;
        urcu_ref_init(&snapshot->ref);
        snapshot->generation = generation;
        snapshot->n_spaces = n_spaces;
        *ret = snapshot;
        return 0;
}

void snapshot_succeed(Snapshot *snapshot, Snapshot *next, SnapshotSpaces *left,
                      const SnapshotSpaces *come) {
        for (size_t i = 0; i < come->n; i++) {
                address_space_ref(come->items[i].space);
                flat_view_ref(come->items[i].view);
        }
        snapshot->left = TAKE_STRUCT(*left);
        snapshot->next = snapshot_ref(next);
}

void snapshot_abandon(Snapshot *snapshot) {
        free(snapshot);
}

Snapshot *snapshot_ref(Snapshot *snapshot) {
        if (snapshot)
                urcu_ref_get(&snapshot->ref);
        return snapshot;
}

static void give_up(const SnapshotSpace *spaces, size_t n) {
        for (size_t i = 0; i < n; i++) {
                address_space_unref(spaces[i].space);
                flat_view_unref(spaces[i].view);
        }
}

static void snapshot_free(Snapshot *snapshot) {
        if (snapshot->next)
                give_up(snapshot->left.items, snapshot->left.n);
        else
                give_up(snapshot->spaces, snapshot->n_spaces);
        free(snapshot->left.items);
        free(snapshot);
}

/* There may be as many behind it as commits were made while it was held: no recursion. */
Snapshot *snapshot_unref(Snapshot *snapshot) {
        while (snapshot && uatomic_sub_return(&snapshot->ref.refcount, 1) == 0) {
                Snapshot *next = snapshot->next;

                snapshot_free(snapshot);
                snapshot = next;
        }
        return NULL;
}

static void snapshot_retired(RcuHead *head) {
        snapshot_unref(caa_container_of(head, Snapshot, rcu));
}

void snapshot_retire(Snapshot *snapshot) {
        rcu_retire(&snapshot->rcu, snapshot_retired);
}

/* The number of the space of that name among the snapshot's; n_spaces if there is none. */
static size_t find_in_snapshot(const Snapshot *snapshot, const char *space) {
        size_t low = 0, high = snapshot->n_spaces;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = strcmp(space, snapshot->spaces[middle].space->name);

                if (order == 0)
                        return middle;
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return snapshot->n_spaces;
}

const FlatView *snapshot_find(const Snapshot *snapshot, const char *space) {
        size_t i = find_in_snapshot(snapshot, space);

        return i < snapshot->n_spaces ? snapshot->spaces[i].view : NULL;
}

AddressSpace *snapshot_find_space(const Snapshot *snapshot, const char *space) {
        size_t i = find_in_snapshot(snapshot, space);

        return i < snapshot->n_spaces ? snapshot->spaces[i].space : NULL;
}
