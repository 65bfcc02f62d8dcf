/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Journal: a file that grows by whole records
 *
 * The file "journal" in a directory of the VM's own. It is made as "journal.new" and takes its name
 * when it is complete enough to begin from; so is the one that takes its place when it is
 * compacted.
 * What a record says is not known here; how it looks is in journal-scan.h.
 *
 *   begin ─▶ write … ─▶ end ─▶ confirm or cut
 *
 * A record is written behind the last one, in as many pieces as there are; its header comes last,
 * unless all of it is one piece. It counts from journal_end() on. Until the next one begins it can
 * be cut off again: then no process finds it, also after the power has failed if the journal is
 * durable. If that cannot be had the journal is broken and takes no further record, until a
 * successor takes its place.
 *
 * Used by whoever has the map; `directory` and `durable` never change.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/util/cleanup.h"
#include "lib/util/counter.h"

typedef struct Journal Journal;
typedef struct JournalCounters JournalCounters;

#define JOURNAL_NAME "journal"

/* Of a journal and of those in whose place it is. */
struct JournalCounters {
        uint64_t bytes; /* written */
        uint64_t syncs; /* to the disk, of the file or its directory */
        uint64_t compactions;
};

struct Journal {
        int directory;
        int fd;
        bool durable;      /* records are on the disk when journal_end() returns */
        bool untidy;       /* there may be something behind `end` */
        bool unsettled;    /* its name is not on the disk yet: no record is before it is */
        int broken;        /* -errno, why what was taken back may still be there; 0: it is not */
        uint64_t end;      /* behind the last whole record */
        uint64_t start;    /* where the last record begins that was begun */
        uint64_t written;  /* bytes of it, without header */
        uint32_t crc;      /* of these */
        uint64_t sequence; /* of the last whole record */
        uint64_t snapshot; /* bytes of what the journal began with */
        uint64_t tried;    /* bytes that there were when it could not be compacted */
        JournalCounters counters;
};

/* A new one, empty, that is not in its place yet. -errno, as from all functions here. */
int journal_new(Journal **ret, const char *directory, bool durable);
/* The same to take the place of another one. */
int journal_new_successor(Journal **ret, const Journal *journal);
/* The one in its place, to go on behind a record that ends there; what is behind it is cut off. */
int journal_open(Journal **ret, const char *directory, bool durable, uint64_t end,
                 uint64_t sequence);
Journal *journal_free(Journal *journal);
DEFINE_CLEANUP(Journal *, journal_free);

/*
 * Gives a new journal its name, in the place of one that was there: it is the snapshot. A durable
 * one has it for sure once it is settled, at the next record at the latest.
 */
int journal_install(Journal *journal);
int journal_settle(Journal *journal);
/*
 * Goes on as a successor that is in its place, which has nothing left then. The directory stays:
 * others may look at that meanwhile.
 */
void journal_become(Journal *journal, Journal *successor);
/* Takes away a new one that will not get there. */
void journal_discard(Journal *journal);

/* Begins a record. One that was begun and did not end is forgotten. */
int journal_begin(Journal *journal);
int journal_write(Journal *journal, const char *text, size_t n);
/* The last piece. On failure there is no such record. */
int journal_end(Journal *journal, const char *text, size_t n);
/*
 * What the last record tells has happened. On failure it stays a record that is not confirmed; so
 * it may if the power fails before the next one has ended.
 */
int journal_confirm(Journal *journal);
/* Takes back the record that was begun last, whole or not. On failure the journal may be broken. */
int journal_cut(Journal *journal);

/* Reads all of a file of such a directory. The caller frees *ret. -ENOENT: there is none. */
int journal_read(const char *directory, const char *file, char **ret, size_t *ret_length);
