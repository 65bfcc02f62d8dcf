/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>

#include "lib/memory/page-log.h"
#include "lib/util/cleanup.h"
#include "lib/util/rcu.h"

enum { WORD = 64 };

void page_log_init(PageLog *log, uint64_t n_pages) {
        *log = (PageLog){.n_pages = n_pages};
}

void page_log_deinit(PageLog *log) {
        for (unsigned reader = 0; reader < N_PAGE_LOG_READERS; reader++)
                free(log->bits[reader]);
}

int page_log_begin(PageLog *log, PageLogReader reader) {
        uint64_t *bits;

        if (log->bits[reader])
                return 0;
        bits = calloc(page_log_words(log->n_pages), sizeof(*bits));
        if (!bits)
                return -ENOMEM;
        rcu_publish(&log->bits[reader], bits);
        return 0;
}

void page_log_set_on(PageLog *log, PageLogReader reader, bool on) {
        __atomic_store_n(&log->on[reader], on && log->bits[reader], __ATOMIC_RELEASE);
}

/*
 * Some bits of one word, for all readers who are on. Never left out because they are set already: a
 * processor may look before what it wrote is seen, while the reader clears the bits and finds
 * nothing.
 */
static void mark_word(PageLog *log, uint64_t word, uint64_t mask) {
        for (unsigned reader = 0; reader < N_PAGE_LOG_READERS; reader++)
                if (__atomic_load_n(&log->on[reader], __ATOMIC_ACQUIRE))
                        __atomic_fetch_or(&rcu_fetch(&log->bits[reader])[word], mask,
                                          __ATOMIC_RELEASE);
}

/* The n lowest bits, 64 at most. */
static uint64_t low_bits(uint64_t n) {
        return n < WORD ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
}

void page_log_mark(PageLog *log, uint64_t first, uint64_t n) {
        while (n > 0) {
                uint64_t at = first % WORD, part = MIN_OF(n, WORD - at);

                mark_word(log, first / WORD, low_bits(part) << at);
                first += part;
                n -= part;
        }
}

/* Each word of the bits falls into one word of the log, or into two. */
void page_log_merge(PageLog *log, uint64_t first, const uint64_t *bits, uint64_t n) {
        uint64_t shift = first % WORD;

        for (uint64_t i = 0; i * WORD < n; i++) {
                uint64_t word = bits[i] & low_bits(n - i * WORD);
                uint64_t to = first / WORD + i;

                if (word == 0)
                        continue;
                if (word << shift)
                        mark_word(log, to, word << shift);
                if (shift && word >> (WORD - shift))
                        mark_word(log, to + 1, word >> (WORD - shift));
        }
}

/* The bits of a word that are in the mask. Most words have none: those are not written. */
static uint64_t read_word(uint64_t *word, uint64_t mask, bool clear) {
        uint64_t set = __atomic_load_n(word, __ATOMIC_ACQUIRE) & mask;

        if (set && clear)
                set = __atomic_fetch_and(word, ~mask, __ATOMIC_ACQ_REL) & mask;
        return set;
}

void page_log_clear(PageLog *log, PageLogReader reader) {
        for (uint64_t i = 0; log->bits[reader] && i < page_log_words(log->n_pages); i++)
                (void)read_word(&log->bits[reader][i], UINT64_MAX, true);
}

uint64_t page_log_read(PageLog *log, PageLogReader reader, uint64_t n, bool clear, uint64_t *ret) {
        uint64_t count = 0;

        for (uint64_t i = 0; log->bits[reader] && i < page_log_words(n); i++) {
                uint64_t set = read_word(&log->bits[reader][i], low_bits(n - i * WORD), clear);

                if (set) {
                        ret[i] |= set;
                        count += (uint64_t)__builtin_popcountll(set);
                }
        }
        return count;
}
