/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Scan: the parts of a line of a dump, for the two parsers
 *
 * A part is taken off the front, or off the end, of what is left of the line; false if it is not
 * there, and then nothing is taken.
 */

#include "client/mtree.h"

typedef struct MtreeScan MtreeScan;

/* Goes through a text line by line, which are cut apart in place. */
struct MtreeScan {
        char *rest;    /* behind this line */
        char *at;      /* what is left of it */
        unsigned line; /* from 1 */
        MtreeError *error;
};

/* How many lines a text has, at most. */
size_t mtree_scan_count(const char *text);
/* Whether there is another line, without what ends it. */
bool mtree_scan_next(MtreeScan *scan);
/* Whether nothing is left of this one but what a monitor prints. */
bool mtree_scan_is_noise(const MtreeScan *scan);
/* Fills the error; returns -EINVAL. */
int mtree_scan_refuse(MtreeScan *scan, const char *format, ...)
        __attribute__((__format__(__printf__, 2, 3)));

size_t mtree_scan_blanks(MtreeScan *scan);
bool mtree_scan_word(MtreeScan *scan, const char *word);
/* "FIRST-LAST (prio N, TYPE): "; in `section` what both kinds of line have. */
int mtree_scan_range(MtreeScan *scan, MtreeSection *section, bool *ret_nonvolatile);
/* What is behind the last `mark` on the line, an address; the line ends before the mark then. */
bool mtree_scan_tail(MtreeScan *scan, const char *mark, uint64_t *ret);
/* What is behind the last `mark`, two addresses with "-" between. */
bool mtree_scan_window(MtreeScan *scan, const char *mark, uint64_t *ret_first);
/* Takes `word` off the end. */
bool mtree_scan_end(MtreeScan *scan, const char *word);
/* Takes off what -o appends: who owns the region. */
void mtree_scan_owner(MtreeScan *scan);
/* What is left, as a name that guestmap can have. */
int mtree_scan_name(MtreeScan *scan, const char **ret);
