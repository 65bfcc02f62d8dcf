/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Huge pages for a test: as many more as it needs, while it needs them
 *
 *   if (!huge_pages_take(&pages, HUGE_2M, 4))
 *           skip();                            after saying so
 *   …
 *   huge_pages_give_back(&pages);
 *
 * The host's pool is one for all: a lock keeps tests from taking pages from each other.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/file.h>

#include "lib/util/cleanup.h"

typedef struct HugePages HugePages;

#define HUGE_2M (UINT64_C(2) << 20)
#define HUGE_1G (UINT64_C(1) << 30)

struct HugePages {
        uint64_t page;
        long before;
        int lock;
};

/* nr_hugepages, free_hugepages, …; -1: there are no pages of that size. */
static inline long huge_pages_number(uint64_t page, const char *what) {
        _cleanup_(fclosep) FILE *file = NULL;
        char path[128];
        long n = -1;

        snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/%s",
                 page / 1024, what);
        file = fopen(path, "re");
        return file && fscanf(file, "%ld", &n) == 1 ? n : -1;
}

static inline void huge_pages_set(uint64_t page, long n) {
        _cleanup_(fclosep) FILE *file = NULL;
        char path[128];

        snprintf(path, sizeof(path),
                 "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/nr_hugepages", page / 1024);
        file = fopen(path, "we");
        if (file)
                fprintf(file, "%ld\n", n);
}

static inline void huge_pages_give_back(HugePages *pages) {
        huge_pages_set(pages->page, pages->before);
        pages->lock = safe_close(pages->lock);
}

/* Only root may, and only where the host has room. */
static inline bool huge_pages_take(HugePages *pages, uint64_t page, long n) {
        *pages = (HugePages){
                .page = page,
                .before = -1,
                .lock = open("/tmp/guestmap-huge-pages.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600),
        };
        if (pages->lock < 0 || flock(pages->lock, LOCK_EX) < 0)
                return false;
        pages->before = huge_pages_number(page, "nr_hugepages");
        if (pages->before >= 0)
                huge_pages_set(page, pages->before + n);
        if (pages->before >= 0 && huge_pages_number(page, "nr_hugepages") == pages->before + n)
                return true;
        if (pages->before >= 0)
                huge_pages_give_back(pages);
        return false;
}
