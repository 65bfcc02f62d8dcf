/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/vm/change.h"
#include "daemon/vm/fd-store.h"
#include "daemon/vm/journal-record.h"
#include "daemon/vm/ration.h"

void change_begin(Change *change, VM *vm) {
        map_check_in(vm->map);
        *change = (Change){
                .vm = vm,
                .begun_nsec = counters_now(),
                .mark = map_mark(vm->map),
                .ram_bytes = vm->map->ram_bytes,
        };
}

/* One that cannot be taken back breaks the journal: the next change is refused. */
static void take_back_record(Change *change) {
        if (change->recording)
                (void)record_cut(change->vm->record);
        change->recording = false;
}

void change_deinit(Change *change) {
        take_back_record(change);
        commit_free(change->commit);
        if (change->vm && !change->applied && !change->staged)
                map_rollback(change->vm->map, change->mark);
        if (change->vm)
                ration_settle(change->vm->ration, change->ram_bytes);
        object_changes_deinit(&change->objects);
        prealloc_deinit(&change->prealloc);
        *change = (Change){};
}

static bool brings_descriptor(const Edit *edit) {
        return (edit->backing && edit->backing->kept) ||
               (edit->ioeventfd && edit->ioeventfd->kept) || (edit->handler && edit->handler->kept);
}

/* Before its first edit. */
static int begin_record(Change *change, Detail *detail) {
        VM *vm = change->vm;

        if (!vm->record || change->for_nothing || change->recording)
                return 0;
        change->recording = true;
        return record_failed(record_begin(vm->record), vm, detail);
}

int change_edit(Change *change, const Edit *edit, Detail *detail) {
        int r;

        r = begin_record(change, detail);
        if (r == 0)
                r = object_changes_note(&change->objects, change->vm->map, edit);
        if (r == 0)
                r = map_edit(change->vm->map, edit, detail);
        if (r != 0)
                return r;
        if (change->recording)
                record_edit(change->vm->record, edit);
        change->n_edits++;
        change->brings_descriptors |= brings_descriptor(edit);
        return change->for_nothing ? 0 : prealloc_note(&change->prealloc, edit);
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
        for (size_t i = 0; i < edits.n; i++) {
                change->brings_descriptors |= brings_descriptor(&edits.items[i]);
                r = prealloc_note(&change->prealloc, &edits.items[i]);
                if (r < 0)
                        return r;
        }
        change->staged = staged;
        change->n_edits = edits.n;
        change->discarded =
                edits_bytes_discarded(&edits, change->vm->map, &change->discarded_region);
        return 0;
}

int change_prepare(Change *change, Detail *detail) {
        int r;

        r = change->staged ? transaction_prepare(change->staged, &change->commit, detail)
                           : commit_new(&change->commit, change->vm->map, detail);
        if (r == 0)
                prealloc_settle(&change->prealloc, change->vm->map);
        return r;
}

static int record_staged(Change *change, Detail *detail) {
        const Transaction *staged = change->staged;
        int r;

        r = begin_record(change, detail);
        for (size_t i = 0; r == 0 && i < staged->n_edits; i++)
                record_edit(change->vm->record, &staged->edits[i]);
        return r;
}

static int write_record(Change *change, Detail *detail) {
        VM *vm = change->vm;
        int r;

        r = change->staged ? record_staged(change, detail) : 0;
        if (r != 0)
                return r;
        return record_failed(record_end(vm->record, change->commit->generation), vm, detail);
}

/* Whether there is anything for the journal. */
static bool is_worth_a_record(const Change *change) {
        return change->commit && change->commit->tree_changed && change->vm->record;
}

int change_populate(Change *change, Detail *detail) {
        int r;

        r = prealloc_populate(&change->prealloc, change->cancel, detail);
        if (r == 0)
                prealloc_deinit(&change->prealloc);
        return r;
}

/* First what can be refused; the descriptors before the journal, which says that they are kept. */
int change_record(Change *change, Detail *detail) {
        int r = 0;

        if (change->commit)
                r = ration_take(change->vm->ration, change->vm->map->ram_bytes, detail);
        if (r == 0 && change->prealloc.n > 0)
                return VM_E_UNPREPARED;
        if (r == 0 && change->brings_descriptors)
                r = fd_store_settle(change->vm->store, detail);
        return r == 0 && is_worth_a_record(change) ? write_record(change, detail) : r;
}

bool change_waits(const Change *change) {
        if (change->commit && ration_waits(change->vm->ration, change->vm->map->ram_bytes))
                return true;
        if (change->prealloc.n > 0)
                return false;
        if (is_worth_a_record(change) && change->vm->record->journal->durable)
                return true;
        return change->brings_descriptors && !fd_store_is_settled(change->vm->store);
}

int change_apply(Change *change, Detail *detail) {
        int r;

        r = commit_apply(change->commit, detail);
        if (r != 0) {
                take_back_record(change);
                return r;
        }
        /* Unconfirmed it counts too, unless a recovery cannot carry it out. */
        if (is_worth_a_record(change))
                (void)journal_confirm(change->vm->record->journal);
        else
                take_back_record(change);
        change->recording = false;
        change->applied = true;
        if (change->commit->tree_changed)
                counters_note_commit(&change->vm->counters, change->begun_nsec);
        change->ram_bytes = change->vm->map->ram_bytes;
        object_changes_settle(&change->objects, change->vm->map);
        return 0;
}
