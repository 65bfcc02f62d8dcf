/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Huge pages for a test: as many more as it needs, while it needs them
 *
 *   if (!huge_pages_take(HUGE_2M, 4))
 *           skip();                            after saying so
 *   …
 *   huge_pages_give_back();
 *
 * The host's pool is one for all: a lock keeps tests from taking pages from each other. A process
 * of its own holds it, and gives the pages back also when the test's ends in any other way, or when
 * the next test of a program wants some and this one has failed.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "lib/util/cleanup.h"

#define HUGE_2M (UINT64_C(2) << 20)
#define HUGE_1G (UINT64_C(1) << 30)

/* The keeper of the pages; it goes when `end` is closed. */
static struct {
        pid_t keeper; /* 0: there is none */
        int end;
} huge_pages;

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

static inline void huge_pages_give_back(void) {
        if (huge_pages.keeper == 0)
                return;
        close(huge_pages.end);
        if (huge_pages.keeper > 0)
                waitpid(huge_pages.keeper, NULL, 0);
        huge_pages.keeper = 0;
}

/* Says by a byte that there are n more, and takes them back when the other end is closed. */
static inline void huge_pages_keep(uint64_t page, long n, int end) {
        int lock = open("/tmp/guestmap-huge-pages.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        long before;
        char byte = 0;

        if (lock < 0 || flock(lock, LOCK_EX) < 0)
                return;
        before = huge_pages_number(page, "nr_hugepages");
        if (before < 0)
                return;
        huge_pages_set(page, before + n);
        if (huge_pages_number(page, "nr_hugepages") == before + n &&
            send(end, &byte, 1, MSG_NOSIGNAL) == 1)
                (void)recv(end, &byte, 1, 0);
        huge_pages_set(page, before);
}

/* Only root may, and only where the host has room. */
static inline bool huge_pages_take(uint64_t page, long n) {
        int ends[2];
        char byte;

        huge_pages_give_back();
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                return false;
        huge_pages.keeper = fork();
        if (huge_pages.keeper == 0) {
                close(ends[0]);
                /* Whoever kills the test and all of its group does not mean this one. */
                setsid();
                huge_pages_keep(page, n, ends[1]);
                _exit(0);
        }
        close(ends[1]);
        huge_pages.end = ends[0];
        if (huge_pages.keeper > 0 && recv(ends[0], &byte, 1, 0) == 1)
                return true;
        huge_pages_give_back();
        return false;
}
