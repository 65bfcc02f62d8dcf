/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/vm/compaction.h"
#include "daemon/vm/journal-record.h"

/* Bytes that may follow any snapshot, however small. */
enum { SLACK = 1 << 20 };

/* Takes over the journal, also on failure. */
static int replace_journal(VM *vm, Journal *journal) {
        _cleanup_(record_freep) Record *record = NULL;
        int r;

        r = record_new(&record, journal);
        if (r < 0) {
                journal_free(journal);
                return r;
        }
        r = record_setup(record, vm);
        if (r == 0)
                r = record_map(record, vm);
        if (r == 0)
                r = journal_install(journal);
        if (r < 0) {
                journal_discard(journal);
                return r;
        }
        if (!vm->record) {
                vm->record = TAKE_PTR(record);
                return journal_settle(journal);
        }
        /* It is the journal from here on. A name that is not on the disk yet is the old one's. */
        journal_become(vm->record->journal, journal);
        (void)journal_settle(vm->record->journal);
        return 0;
}

int compaction_begin_journal(VM *vm, const char *directory, bool durable, Detail *detail) {
        Journal *journal;
        int r;

        r = journal_new(&journal, directory, durable);
        if (r == 0)
                r = replace_journal(vm, journal);
        return record_failed(r, vm, detail);
}

bool compaction_is_due(const VM *vm) {
        const Journal *journal = vm->record ? vm->record->journal : NULL;
        uint64_t since;

        if (!journal)
                return false;
        if (journal->broken < 0)
                return journal->tried == 0;
        since = journal->end - MAX_OF(journal->snapshot, journal->tried);
        return journal->end > journal->tried && since > MAX_OF(journal->snapshot, (uint64_t)SLACK);
}

int compaction_run(VM *vm, Detail *detail) {
        Journal *before = vm->record->journal, *journal;
        int r;

        map_check_in(vm->map);
        r = journal_new_successor(&journal, before);
        if (r == 0)
                r = replace_journal(vm, journal);
        if (r < 0)
                before->tried = before->end;
        return record_failed(r, vm, detail);
}
