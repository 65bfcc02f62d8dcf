/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "tests/unit/fail-allocation.h"

static unsigned countdown;
static bool failed;
static bool for_good;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);

void fail_allocation_at(unsigned n) {
        countdown = n;
        failed = for_good = false;
}

void fail_allocations_from(unsigned n) {
        fail_allocation_at(n);
        for_good = true;
}

bool fail_allocation_done(void) {
        countdown = 0;
        return failed;
}

static bool fails_now(void) {
        if (countdown == 0 || --countdown > 0)
                return false;
        failed = true;
        countdown = for_good;
        errno = ENOMEM;
        return true;
}

void *__wrap_malloc(size_t size) {
        return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size) {
        return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size) {
        return fails_now() ? NULL : __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t n, size_t size) {
        return fails_now() ? NULL : __real_reallocarray(old, n, size);
}
