/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Pages that are written and marked, beside a reader who clears what he has seen
 *
 * Every page is marked already when its writer comes to it and its reader takes the mark away. Then
 * the reader has seen what was written, or the page is marked once more. A writer who only looks
 * whether there is a mark loses it here: processors look before what they wrote is seen.
 *
 * Each waits for the other to be done with the page before, so that both come to a page at once.
 * Who waits in vain goes on alone: the other may not be running at all.
 */

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/memory/page-log.h"

typedef struct Page Page;

enum {
        N_PAGES = 8192,
        N_SWEEPS = 1000,
        SECONDS = 3,           /* whichever comes first */
        PATIENCE = 200 * 1000, /* looks for the other */
        LINE = 64,
        N_LINES = 16,
};

/* A log of one page, and the page, which is as long as a processor is kept busy with writing. */
struct Page {
        _Alignas(LINE) PageLog log;
        _Alignas(LINE) uint64_t written[N_LINES][LINE / sizeof(uint64_t)]; /* atomic: the sweep */
        _Alignas(LINE) uint64_t seen;  /* by who took the mark away */
        _Alignas(LINE) uint64_t taken; /* atomic: in which sweep that was */
};

static Page pages[N_PAGES];
static pthread_barrier_t barrier;
static bool over; /* set before the barrier that a sweep begins with */

static const uint64_t *last_line(const Page *page) {
        return &page->written[N_LINES - 1][0];
}

/* Until the number is the sweep's, if the last time that came to be. */
static bool follow(bool follows, const uint64_t *number, uint64_t sweep) {
        for (unsigned i = 0; follows && i < PATIENCE; i++)
                if (__atomic_load_n(number, __ATOMIC_RELAXED) == sweep)
                        return true;
        return false;
}

/* Marks twice, as one who writes twice: the second time the processor has the bits at hand. */
static void write_sweep(uint64_t sweep) {
        bool follows = true;

        for (unsigned i = 0; i < N_PAGES; i++) {
                follows = i == 0 || follow(follows, &pages[i - 1].taken, sweep);
                page_log_mark(&pages[i].log, 0, 1);
                for (unsigned line = 0; line < N_LINES; line++)
                        __atomic_store_n(&pages[i].written[line][0], sweep, __ATOMIC_RELAXED);
                page_log_mark(&pages[i].log, 0, 1);
        }
}

static void *write_pages(void *data) {
        for (uint64_t sweep = 1;; sweep++) {
                (void)pthread_barrier_wait(&barrier);
                if (over)
                        return NULL;
                write_sweep(sweep);
                (void)pthread_barrier_wait(&barrier);
        }
}

static bool take_mark(Page *page) {
        uint64_t bits = 0;

        return page_log_read(&page->log, PAGE_LOG_REGION, 1, true, &bits) > 0;
}

static void read_sweep(uint64_t sweep) {
        bool follows = true;

        for (unsigned i = 0; i < N_PAGES; i++) {
                follows = i == 0 || follow(follows, last_line(&pages[i - 1]), sweep);
                (void)take_mark(&pages[i]);
                pages[i].seen = __atomic_load_n(last_line(&pages[i]), __ATOMIC_RELAXED);
                __atomic_store_n(&pages[i].taken, sweep, __ATOMIC_RELAXED);
        }
}

/* How many it came to before the writer. */
static uint64_t count_first(uint64_t sweep) {
        uint64_t n = 0;

        for (unsigned i = 0; i < N_PAGES; i++)
                n += pages[i].seen != sweep;
        return n;
}

/* How many were written, not seen, and are not marked. Then all are marked. */
static uint64_t count_lost(uint64_t sweep) {
        uint64_t n = 0;

        for (unsigned i = 0; i < N_PAGES; i++) {
                n += !take_mark(&pages[i]) && pages[i].seen != sweep;
                page_log_mark(&pages[i].log, 0, 1);
        }
        return n;
}

static uint64_t read_sweeps(void) {
        uint64_t n_lost = 0, n_first = 0, sweep;
        time_t end = time(NULL) + SECONDS;

        for (sweep = 1; sweep <= N_SWEEPS && time(NULL) < end; sweep++) {
                (void)pthread_barrier_wait(&barrier);
                read_sweep(sweep);
                n_first += count_first(sweep);
                (void)pthread_barrier_wait(&barrier);
                n_lost += count_lost(sweep);
        }
        over = true;
        (void)pthread_barrier_wait(&barrier);
        printf("# %" PRIu64 " of %" PRIu64 " pages were read first\n", n_first,
               (sweep - 1) * N_PAGES);
        return n_lost;
}

int main(void) {
        uint64_t n_lost;
        pthread_t writer;

        for (unsigned i = 0; i < N_PAGES; i++) {
                page_log_init(&pages[i].log, 1);
                if (page_log_begin(&pages[i].log, PAGE_LOG_REGION) < 0)
                        return EXIT_FAILURE;
                page_log_set_on(&pages[i].log, PAGE_LOG_REGION, true);
        }
        (void)count_lost(0);
        if (pthread_barrier_init(&barrier, NULL, 2) != 0 ||
            pthread_create(&writer, NULL, write_pages, NULL) != 0)
                return EXIT_FAILURE;
        n_lost = read_sweeps();
        (void)pthread_join(writer, NULL);
        pthread_barrier_destroy(&barrier);
        for (unsigned i = 0; i < N_PAGES; i++)
                page_log_deinit(&pages[i].log);
        printf("%s 1 - %" PRIu64 " marks are lost\n1..1\n", n_lost == 0 ? "ok" : "not ok", n_lost);
        return n_lost == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
