/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/memory/headroom.h"
#include "lib/memory/map-error.h"
#include "lib/memory/populate.h"
#include "lib/util/cleanup.h"
#include "lib/util/size-words.h"

typedef struct Population Population;

#ifndef MADV_POPULATE_WRITE /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

enum {
        THREADS_MAX = 16,      /* memory is no faster for more */
        STEP_BYTES = 32 << 20, /* some hundredths of a second, after which one may be cancelled */
};

struct Population {
        Backing *backing;
        const char *name;
        const Cancel *cancel;
        uint64_t step;
        uint64_t next; /* atomic: where the next step begins */
        pthread_mutex_t lock;
        int outcome; /* under the lock: the first that is not 0, with its detail */
        Detail detail;
};

/* What a file has on a disk the host can write there. */
static int check_room(const Population *population, uint64_t bytes, Detail *detail) {
        const Headroom headroom = {
                .name = population->name,
                .spec = &population->backing->spec,
                .page = population->backing->page,
                .bytes = bytes,
                .root = "",
        };

        return population->backing->in_memory ? headroom_check(&headroom, detail) : 0;
}

/* An old kernel takes the pages into the file, and maps them when they are touched. */
static int populate_range(const Backing *backing, uint64_t first, uint64_t size) {
        int r;

        do
                r = madvise((char *)backing->host + first, size, MADV_POPULATE_WRITE);
        while (r < 0 && (errno == EINTR || errno == EAGAIN));
        if (r < 0 && errno == EINVAL)
                r = fallocate(backing->fd, FALLOC_FL_KEEP_SIZE, (off_t)(backing->offset + first),
                              (off_t)size);
        return r < 0 ? -errno : 0;
}

static int no_page(const Population *population, int r, Detail *detail) {
        const Backing *backing = population->backing;

        if (backing_check_file(backing, population->name, -r, detail) != 0)
                return MAP_E_NO_MEMORY;
        /* Where touching it would be a SIGBUS. */
        if (r == -EFAULT || r == -ENOSPC)
                return detail_set(detail, MAP_E_NO_MEMORY,
                                  "memory of \"%s\": the kernel has no more pages of %s for it "
                                  "(nr_hugepages, or a limit of its cgroup or file system)",
                                  population->name, size_words(backing->page).text);
        return detail_set(detail, MAP_E_NO_MEMORY, "memory of \"%s\": cannot be populated: %s",
                          population->name, strerror(-r));
}

static int populate_step(Population *population, uint64_t first, uint64_t size, Detail *detail) {
        int r;

        r = cancel_is_requested(population->cancel) ? -ECANCELED
                                                    : check_room(population, size, detail);
        if (r != 0)
                return r;
        r = populate_range(population->backing, first, size);
        if (r < 0)
                return no_page(population, r, detail);
        backing_note_populated(population->backing, size);
        return 0;
}

static void end_with(Population *population, int outcome, const Detail *detail) {
        pthread_mutex_lock(&population->lock);
        if (population->outcome == 0) {
                population->outcome = outcome;
                population->detail = *detail;
        }
        pthread_mutex_unlock(&population->lock);
        __atomic_store_n(&population->next, UINT64_MAX - population->step * THREADS_MAX,
                         __ATOMIC_RELAXED);
}

static void *populate_steps(void *data) {
        Population *population = data;
        uint64_t end = population->backing->mapped, first, size;
        Detail detail = {};
        int r = 0;

        while (r == 0) {
                first = __atomic_fetch_add(&population->next, population->step, __ATOMIC_RELAXED);
                if (first >= end)
                        return NULL;
                size = MIN_OF(population->step, end - first);
                r = populate_step(population, first, size, &detail);
        }
        end_with(population, r, &detail);
        return NULL;
}

/* As many as there are processors for this one. It does with fewer if it gets no more. */
static size_t count_helpers(const Population *population) {
        uint64_t n_steps = (population->backing->mapped - 1) / population->step + 1;
        int n_cpus = 1;
        cpu_set_t cpus;

        if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
                n_cpus = CPU_COUNT(&cpus);
        return MIN_OF(MIN_OF((uint64_t)n_cpus, THREADS_MAX), n_steps) - 1;
}

static void populate_all(Population *population) {
        pthread_t threads[THREADS_MAX];
        size_t n = 0, n_helpers = count_helpers(population);

        while (n < n_helpers && pthread_create(&threads[n], NULL, populate_steps, population) == 0)
                n++;
        populate_steps(population);
        while (n > 0)
                pthread_join(threads[--n], NULL);
}

void backing_give_back(Backing *backing) {
        if (!backing->passed)
                (void)fallocate(backing->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                                (off_t)backing->mapped);
        backing_forget_populated(backing);
}

int backing_populate(Backing *backing, const char *name, const Cancel *cancel, Detail *detail) {
        Population population = {
                .backing = backing,
                .name = name,
                .cancel = cancel,
                .step = MAX_OF(backing->page, (uint64_t)STEP_BYTES),
                .lock = PTHREAD_MUTEX_INITIALIZER,
        };
        int r;

        if (backing_is_populated(backing))
                return 0;
        /* What the file has not got yet, as far as that is known. */
        r = check_room(&population, backing->mapped - backing_resident(backing), detail);
        if (r != 0)
                return r;
        populate_all(&population);
        if (population.outcome == 0)
                return 0;
        backing_give_back(backing);
        if (population.outcome > 0)
                return detail_set(detail, population.outcome, "%s", population.detail.text);
        return population.outcome;
}
