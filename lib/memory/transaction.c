/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/memory/map-error.h"
#include "lib/memory/map.h"
#include "lib/memory/transaction.h"
#include "lib/memory/undo.h"
#include "lib/util/array.h"

/*
 * Notes that a transaction takes of what others change before they are joined, one for each region.
 * With more than TOUCHED_REGIONS_MAX regions changed it cannot be committed any more.
 */
enum {
        TOUCHED_MAX = 64 * 1024,
        TOUCHED_REGIONS_MAX = TOUCHED_MAX / 4 * 3,
};

/* What a commit has set of one region since the transaction began. */
struct Touched {
        Region *region; /* counted reference */
        uint64_t generation;
        uint32_t mask;  /* PROPERTY_* */
        uint32_t flags; /* REGION_* */
};

int transaction_new(Transaction **ret, Map *map) {
        Transaction *transaction;

        transaction = calloc(1, sizeof(*transaction));
        if (!transaction)
                return -ENOMEM;
        transaction->map = map;
        transaction->base_generation = map->generation;
        cds_list_add_tail(&transaction->link, &map->transactions);
        *ret = transaction;
        return 0;
}

Transaction *transaction_free(Transaction *transaction) {
        if (!transaction)
                return NULL;
        if (transaction->map->checked_out == transaction)
                map_check_in(transaction->map);
        transaction_unstage(transaction, 0);
        for (size_t i = 0; i < transaction->n_touched; i++)
                region_unref(transaction->touched[i].region);
        cds_list_del(&transaction->link);
        free(transaction->touched);
        free(transaction->edits);
        free(transaction);
        return NULL;
}

void map_check_in(Map *map) {
        if (!map->checked_out)
                return;
        map_rollback(map, 0);
        map->checked_out = NULL;
}

int transaction_check_out(Transaction *transaction, Detail *detail) {
        Map *map = transaction->map;
        int r;

        if (map->checked_out == transaction)
                return 0;
        map_check_in(map);
        for (size_t i = 0; i < transaction->n_edits; i++) {
                r = map_edit(map, &transaction->edits[i], detail);
                if (r == 0)
                        continue;
                map_rollback(map, 0);
                if (r < 0)
                        return r;
                detail_prefix(detail, "edit %zu: ", i + 1);
                return MAP_E_CONFLICT;
        }
        map->checked_out = transaction;
        return 0;
}

int transaction_stage(Transaction *transaction, Edit *edit, Detail *detail) {
        Map *map = transaction->map;
        int r;

        if (transaction->n_edits >= map->limits.edits)
                return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                                  "Edits: %zu in the transaction, the limit is %" PRIu64,
                                  transaction->n_edits, map->limits.edits);
        r = array_reserve(&transaction->edits, &transaction->n_allocated, transaction->n_edits, 1);
        if (r == 0)
                r = transaction_check_out(transaction, detail);
        if (r == 0)
                r = map_edit(map, edit, detail);
        if (r == 0)
                transaction->edits[transaction->n_edits++] = TAKE_STRUCT(*edit);
        return r;
}

void transaction_unstage(Transaction *transaction, size_t n) {
        if (transaction->map->checked_out == transaction && n < transaction->n_edits)
                map_check_in(transaction->map);
        while (transaction->n_edits > n)
                edit_deinit(&transaction->edits[--transaction->n_edits]);
}

/* By name: a region that was removed and added again is the same one to a transaction. */
static int compare_touched(const void *a, const void *b) {
        const Touched *left = a, *right = b;

        return strcmp(left->region->name, right->region->name);
}

/* One note for each name, by name: all that was set, and when for the last time. */
static void join_touched(Transaction *transaction) {
        Touched *items = transaction->touched;
        size_t end = 0;

        if (transaction->n_touched > 1)
                qsort(items, transaction->n_touched, sizeof(*items), compare_touched);
        for (size_t i = 0; i < transaction->n_touched; i++) {
                Touched *last = end > 0 ? &items[end - 1] : NULL;

                if (!last || compare_touched(last, &items[i]) != 0) {
                        items[end++] = items[i];
                        continue;
                }
                last->mask |= items[i].mask;
                last->flags |= items[i].flags;
                last->generation = MAX_OF(last->generation, items[i].generation);
                region_unref(items[i].region);
        }
        transaction->n_touched = end;
}

static const Touched *find_touched(const Transaction *transaction, const char *name) {
        size_t low = 0, high = transaction->n_touched;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = strcmp(name, transaction->touched[middle].region->name);

                if (order == 0)
                        return &transaction->touched[middle];
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}

/* What an edit sets of the region it names. */
static Touched set_by(const Edit *edit) {
        switch (edit->verb) {
        case EDIT_ADD_REGION:
        case EDIT_ADD_ALIAS:
                return (Touched){.mask = UINT32_MAX, .flags = UINT32_MAX};
        case EDIT_MOVE_REGION:
                return (Touched){.mask = PROPERTY_PARENT | PROPERTY_OFFSET | PROPERTY_PRIORITY};
        case EDIT_SET_REGION:
                return (Touched){.mask = edit->mask & ~PROPERTY_FLAGS, .flags = edit->flags_mask};
        case EDIT_SET_HANDLER:
                return (Touched){.mask = PROPERTY_HANDLER};
        default:
                return (Touched){};
        }
}

static int check_edit(const Transaction *transaction, size_t i, Detail *detail) {
        const Edit *edit = &transaction->edits[i];
        const Touched *touched = find_touched(transaction, edit->name);
        Touched set = set_by(edit);

        if (!touched || (!(touched->mask & set.mask) && !(touched->flags & set.flags)))
                return 0;
        return detail_set(detail, MAP_E_CONFLICT,
                          "edit %zu: region \"%s\" was changed by the commit of generation %" PRIu64
                          ", the transaction began at %" PRIu64,
                          i + 1, edit->name, touched->generation, transaction->base_generation);
}

static int check_touched(Transaction *transaction, Detail *detail) {
        int r = 0;

        if (transaction->overrun)
                return detail_set(detail, MAP_E_CONFLICT,
                                  "more than %d regions were changed since generation %" PRIu64,
                                  TOUCHED_REGIONS_MAX, transaction->base_generation);
        join_touched(transaction);
        for (size_t i = 0; r == 0 && i < transaction->n_edits; i++)
                r = check_edit(transaction, i, detail);
        return r;
}

int transaction_prepare(Transaction *transaction, Commit **ret, Detail *detail) {
        int r;

        r = check_touched(transaction, detail);
        if (r == 0)
                r = transaction_check_out(transaction, detail);
        if (r == 0)
                r = commit_new(ret, transaction->map, detail);
        return r;
}

static Touched set_between(const RegionState *before, const RegionState *after) {
        Touched set = {.flags = before->flags ^ after->flags};

        if (set.flags & REGION_PRESENT)
                return (Touched){.mask = UINT32_MAX, .flags = UINT32_MAX};
        if (before->place != after->place)
                set.mask |= PROPERTY_PARENT | PROPERTY_OFFSET | PROPERTY_PRIORITY;
        if (before->parent != after->parent)
                set.mask |= PROPERTY_PARENT;
        if (before->offset != after->offset)
                set.mask |= PROPERTY_OFFSET;
        if (before->priority != after->priority)
                set.mask |= PROPERTY_PRIORITY;
        if (before->size != after->size)
                set.mask |= PROPERTY_SIZE;
        if (before->target_offset != after->target_offset)
                set.mask |= PROPERTY_TARGET_OFFSET;
        return set;
}

/* Joins the notes when there are too many. Rarely: what it leaves must be well below that. */
static bool has_room(Transaction *transaction) {
        if (transaction->n_touched < TOUCHED_MAX)
                return true;
        join_touched(transaction);
        return transaction->n_touched <= TOUCHED_REGIONS_MAX;
}

static void note(Transaction *transaction, Touched touched) {
        if (transaction->overrun)
                return;
        if (!has_room(transaction) ||
            array_reserve(&transaction->touched, &transaction->n_touched_allocated,
                          transaction->n_touched, 1) < 0) {
                transaction->overrun = true;
                return;
        }
        region_ref(touched.region);
        transaction->touched[transaction->n_touched++] = touched;
}

static void note_everywhere(Map *map, Touched touched) {
        Transaction *transaction;

        cds_list_for_each_entry(transaction, &map->transactions, link)
                if (transaction != map->checked_out)
                        note(transaction, touched);
}

void transactions_note_changes(Map *map, uint64_t generation) {
        const Undo *undo;
        size_t i = 0;

        if (cds_list_empty(&map->transactions))
                return;
        while ((undo = map_next_changed(map, &i))) {
                Touched touched = set_between(&undo->before, &undo->region->state);

                touched.region = undo->region;
                touched.generation = generation;
                if (touched.mask != 0 || touched.flags != 0)
                        note_everywhere(map, touched);
        }
        for (i = 0; i < map->n_undo; i++)
                if (map->undo[i].kind == UNDO_HANDLER)
                        note_everywhere(map, (Touched){map->undo[i].region, generation,
                                                       .mask = PROPERTY_HANDLER});
}

void transaction_committed(Map *map) {
        Transaction *transaction = map->checked_out;

        map->checked_out = NULL;
        if (transaction)
                transaction_unstage(transaction, 0);
}
