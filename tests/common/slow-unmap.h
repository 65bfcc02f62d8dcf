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
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lib/util/cleanup.h"
#include "tests/common/unit.h"

static pthread_mutex_t slow_unmap = PTHREAD_MUTEX_INITIALIZER;

int __real_munmap(void *at, size_t size);
int __wrap_munmap(void *at, size_t size);

/* The test's own thread is not kept, so that it notices what it does itself. */
int __wrap_munmap(void *at, size_t size) {
        if (gettid() != getpid()) {
                pthread_mutex_lock(&slow_unmap);
                pthread_mutex_unlock(&slow_unmap);
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
        pthread_mutex_lock(&slow_unmap);
}

static inline void slow_unmap_end(const char *region) {
        enum { TRIES = 10000, NAP_NSEC = 1000000 };

        pthread_mutex_unlock(&slow_unmap);
        for (int i = 0; memory_is_mapped(region); i++) {
                assert_true(i < TRIES);
                nanosleep(&(struct timespec){.tv_nsec = NAP_NSEC}, NULL);
        }
}
