/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Readers in threads, the writer in the thread that calls; see torture.h. */

#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/util/rcu.h"
#include "tests/stress/torture.h"

typedef struct Reading {
        pthread_t thread;
        const char *(*look)(void *reader);
        void *reader;
        uint64_t n_looks;
        const char *wrong;
} Reading;

static int over; /* time is up, or a reader has found something; atomic */

static bool is_over(void) {
        return __atomic_load_n(&over, __ATOMIC_RELAXED);
}

static void end_it(void) {
        __atomic_store_n(&over, 1, __ATOMIC_RELAXED);
}

void __real_free(void *pointer);
void __wrap_free(void *pointer);

/* The linker lets every free() in the program end here, but not those in shared libraries. */
void __wrap_free(void *pointer) {
        if (pointer)
                memset(pointer, DEAD_BYTE, malloc_usable_size(pointer));
        __real_free(pointer);
}

static void *read_on(void *data) {
        Reading *reading = data;

        rcu_register();
        while (!is_over()) {
                reading->wrong = reading->look(reading->reader);
                reading->n_looks++;
                if (reading->wrong)
                        end_it();
        }
        rcu_unregister();
        return NULL;
}

static time_t now(void) {
        struct timespec time;

        clock_gettime(CLOCK_MONOTONIC, &time);
        return time.tv_sec;
}

static uint64_t write_on(const Torture *torture, time_t seconds) {
        time_t end = now() + seconds;
        uint64_t n = 0;

        while (!is_over() && now() < end)
                torture->write(torture->writer, n++);
        return n;
}

int torture_run(const Torture *torture, int argc, char **argv) {
        time_t seconds = argc > 1 ? strtol(argv[1], NULL, 10) : TORTURE_SECONDS;
        Reading readings[N_READERS] = {};
        int status = EXIT_SUCCESS;
        uint64_t n_writes;

        printf("1..%d\n", N_READERS);
        for (int i = 0; i < N_READERS; i++) {
                readings[i] = (Reading){.look = torture->look, .reader = torture->readers[i]};
                if (pthread_create(&readings[i].thread, NULL, read_on, &readings[i]) != 0)
                        return EXIT_FAILURE;
        }
        n_writes = write_on(torture, seconds);
        end_it();
        for (int i = 0; i < N_READERS; i++) {
                const char *wrong;

                pthread_join(readings[i].thread, NULL);
                wrong = readings[i].wrong;
                printf("%sok %d - %" PRIu64 " looks beside %" PRIu64 " writes%s%s\n",
                       wrong ? "not " : "", i + 1, readings[i].n_looks, n_writes, wrong ? ": " : "",
                       wrong ? wrong : "");
                if (wrong)
                        status = EXIT_FAILURE;
        }
        return status;
}
