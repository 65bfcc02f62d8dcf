/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/vm/change.h"
#include "daemon/vm/fd-store.h"

void change_begin(Change *change, VM *vm) {
        map_check_in(vm->map);
        *change = (Change){
                .vm = vm,
                .mark = map_mark(vm->map),
        };
}

void change_deinit(Change *change) {
        commit_free(change->commit);
        if (change->vm && !change->applied && !change->staged)
                map_rollback(change->vm->map, change->mark);
        object_changes_deinit(&change->objects);
        *change = (Change){};
}

static bool brings_descriptor(const Edit *edit) {
        return (edit->backing && edit->backing->kept) ||
               (edit->ioeventfd && edit->ioeventfd->kept) || (edit->handler && edit->handler->kept);
}

int change_edit(Change *change, const Edit *edit, Detail *detail) {
        int r;

        r = object_changes_note(&change->objects, change->vm->map, edit);
        if (r != 0)
                return r;
        r = map_edit(change->vm->map, edit, detail);
        if (r != 0)
                return r;
        change->n_edits++;
        change->brings_descriptors |= brings_descriptor(edit);
        return 0;
}

int change_edits(Change *change, const EditList *edits, Detail *detail) {
        int r;

        change->discarded =
                edits_bytes_discarded(edits, change->vm->map, &change->discarded_region);
        for (size_t i = 0; i < edits->n; i++) {
                r = cancel_is_requested(change->cancel)
                            ? -ECANCELED
                            : change_edit(change, &edits->items[i], detail);
                if (r > 0 && edits->numbered)
                        detail_prefix(detail, "edit %zu: ", i + 1);
                if (r != 0)
                        return r;
        }
        return 0;
}

int change_take_staged(Change *change, Transaction *staged) {
        const EditList edits = {.items = staged->edits, .n = staged->n_edits};
        int r;

        for (size_t i = 0; i < edits.n && !change->objects.many; i++) {
                r = object_changes_note(&change->objects, change->vm->map, &edits.items[i]);
                if (r != 0)
                        return r;
        }
        for (size_t i = 0; i < edits.n; i++)
                change->brings_descriptors |= brings_descriptor(&edits.items[i]);
        change->staged = staged;
        change->n_edits = edits.n;
        change->discarded =
                edits_bytes_discarded(&edits, change->vm->map, &change->discarded_region);
        return 0;
}

int change_prepare(Change *change, Detail *detail) {
        if (change->staged)
                return transaction_prepare(change->staged, &change->commit, detail);
        return commit_new(&change->commit, change->vm->map, detail);
}

int change_record(Change *change, Detail *detail) {
        return change->brings_descriptors ? fd_store_settle(change->vm->store, detail) : 0;
}

bool change_waits(const Change *change) {
        return change->brings_descriptors && !fd_store_is_settled(change->vm->store);
}

int change_apply(Change *change, Detail *detail) {
        int r;

        r = commit_apply(change->commit, detail);
        if (r != 0)
                return r;
        change->applied = true;
        object_changes_settle(&change->objects, change->vm->map);
        return 0;
}
