/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Slow unmap: memory that another thread unmaps stays until the test lets it go
 *
 *   slow_unmap_begin();
 *   …                           who lets memory go does not wait for this
 *   slow_unmap_end("dimm0");    and that region's is gone now, or the test fails
 *
 * munmap() goes through here, by --wrap.
 */

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "lib/util/cleanup.h"
#include "tests/common/unit.h"

static struct {
        bool is_on;      /* atomic */
        pthread_t test;  /* which is not kept, so that it notices */
        sem_t may_go_on; /* whoever passes lets the next one in */
} slow_unmap;

int __real_munmap(void *at, size_t size);
int __wrap_munmap(void *at, size_t size);

int __wrap_munmap(void *at, size_t size) {
        if (__atomic_load_n(&slow_unmap.is_on, __ATOMIC_ACQUIRE) &&
            !pthread_equal(pthread_self(), slow_unmap.test)) {
                sem_wait(&slow_unmap.may_go_on);
                sem_post(&slow_unmap.may_go_on);
        }
        return __real_munmap(at, size);
}

/* Whether this process has the memory of a region of that name mapped. */
static inline bool memory_is_mapped(const char *region) {
        _cleanup_(fclosep) FILE *file = fopen("/proc/self/maps", "re");
        char line[512], name[128];

        snprintf(name, sizeof(name), "/memfd:%s (deleted)", region);
        while (file && fgets(line, sizeof(line), file))
                if (strstr(line, name))
                        return true;
        return false;
}

static inline void slow_unmap_begin(void) {
        sem_init(&slow_unmap.may_go_on, 0, 0);
        slow_unmap.test = pthread_self();
        __atomic_store_n(&slow_unmap.is_on, true, __ATOMIC_RELEASE);
}

static inline void slow_unmap_end(const char *region) {
        enum { TRIES = 10000, NAP_NSEC = 1000000 };

        __atomic_store_n(&slow_unmap.is_on, false, __ATOMIC_RELEASE);
        sem_post(&slow_unmap.may_go_on);
        for (int i = 0; memory_is_mapped(region); i++) {
                assert_true(i < TRIES);
                nanosleep(&(struct timespec){.tv_nsec = NAP_NSEC}, NULL);
        }
}
