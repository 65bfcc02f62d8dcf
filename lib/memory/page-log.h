/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Page log: which pages of a backing were written
 *
 * One bit a page, and all of that once for each reader, who clears what he has seen: one who asks
 * for a region, one who asks for all of the VM's memory. There are no bits for a reader who has
 * never begun. For one who has stopped nothing is marked; what was can still be read.
 *
 * Bits come from three sides: KVM, which logs what guests write to slots and is asked for it
 * before bits are read and before it forgets them (lib/kvm); writes that somebody makes for the
 * guest; writes that come over the bus. Who writes marks when he has written, by an atomic
 * operation on the bits even if they are set: so either that comes before the reader's, which
 * clears them, and he finds what was written, or behind it, and they are set once more.
 *
 * Any thread marks; everything else is the map's thread's.
 *
 * I1: bits of a reader are published once, zero, and stay for the life of the log.
 *
 * Source: this project.
 */

#include <stdbool.h>
#include <stdint.h>

typedef struct PageLog PageLog;

typedef enum PageLogReader {
        PAGE_LOG_REGION,
        PAGE_LOG_VM,
        N_PAGE_LOG_READERS,
} PageLogReader;

struct PageLog {
        uint64_t n_pages;
        uint64_t *bits[N_PAGE_LOG_READERS]; /* rcu_publish()ed; NULL: never begun */
        bool on[N_PAGE_LOG_READERS];        /* atomic: marks are for him, too; he has bits */
};

/* The words that n pages take: bit i % 64 of word i / 64 is page i. */
static inline uint64_t page_log_words(uint64_t n_pages) {
        return n_pages / 64 + (n_pages % 64 != 0);
}

/* No reader has bits, and none is on. */
void page_log_init(PageLog *log, uint64_t n_pages);
void page_log_deinit(PageLog *log);

/* There are bits for the reader; those that there were stay as they are. -ENOMEM. */
int page_log_begin(PageLog *log, PageLogReader reader);
static inline bool page_log_has(const PageLog *log, PageLogReader reader) {
        return log->bits[reader];
}

/* Whether pages are marked for the reader, if he has bits. */
void page_log_set_on(PageLog *log, PageLogReader reader, bool on);
static inline bool page_log_is_on(const PageLog *log, PageLogReader reader) {
        return log->on[reader];
}

/* For readers who are on: n pages from `first` on, which the backing has; or those with a bit. */
void page_log_mark(PageLog *log, uint64_t first, uint64_t n);
void page_log_merge(PageLog *log, uint64_t first, const uint64_t *bits, uint64_t n);

/* Forgets what was marked for one reader. */
void page_log_clear(PageLog *log, PageLogReader reader);
/*
 * Adds the reader's bits of the first n pages to those in `ret`, of page_log_words(n) words, and
 * clears them if asked to. Words without a bit are not touched. Returns how many are set.
 */
uint64_t page_log_read(PageLog *log, PageLogReader reader, uint64_t n, bool clear, uint64_t *ret);
