/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A journal of the test's own: what is logged, entry by entry
 */

#include <stdbool.h>
#include <stddef.h>

typedef struct CaughtJournal CaughtJournal;

struct CaughtJournal {
        char directory[32];
        char path[64];
        int fd;
        char entry[8192]; /* the last that was taken */
        size_t n;
};

/* Entries go there from now on; after the end they are lost. */
void caught_journal_begin(CaughtJournal *journal);
void caught_journal_end(CaughtJournal *journal);

/* The next entry; false: there is none. */
bool caught_journal_take(CaughtJournal *journal);
/* The value of a field of the entry, in a buffer that the next call uses again; NULL: none. */
const char *caught_journal_field(const CaughtJournal *journal, const char *key);
