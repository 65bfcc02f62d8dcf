/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Looking up an address among N sections, from rcu_enter() to rcu_leave()
 *
 *   bench-lookup [--n=N] [--rounds=N] [--slice=MICROSECONDS]
 *
 * Addresses are anywhere in any section, or go on in small steps like those of one who scans
 * memory. Each look-up waits for the one before. Without --n: 1,000, 10,000 and 1,000,000.
 *
 * One reader, two readers, and one reader beside a writer who commits all the time take turns, each
 * for a slice of time. With every commit the writer switches a region in the middle on or off, or
 * moves one to just anywhere. What is printed are medians over the rounds of the mean in a slice.
 * The times are the reader's CPU time, so that strangers who have the CPU meanwhile do not count;
 * wall_ns shows whether there were any. Ratios are to the one reader of the same round.
 *
 * If there are two CPUs, the second reader or the writer has the other one, and what the writer
 * retires is freed on its CPU.
 */

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>

#include "lib/memory/reader.h"
#include "tests/bench/bench.h"
#include "tests/bench/siblings.h"

enum {
        READERS_MAX = 2,
        STEP = 64,    /* of addresses that go on */
        BATCH = 1024, /* look-ups between two looks at the clock */
};

typedef enum Cast { ALONE, TWO, BESIDE_TOGGLES, BESIDE_MOVES, N_CASTS } Cast;

typedef struct Bench {
        Map *map;
        size_t n;
        size_t slice_us;
        bool local;
        uint64_t n_commits;
        pthread_barrier_t start;
        unsigned n_reading; /* atomic */
} Bench;

/* One reader's slice. */
typedef struct Lookups {
        Bench *bench;
        pthread_t thread;
        unsigned cpu;
        uint64_t n, wall_ns, cpu_ns;
} Lookups;

/* On the reader's own stack: nobody else writes to these cache lines. */
typedef struct Scan {
        Reader reader;
        size_t n;
        bool local;
        uint64_t last;    /* number of the last address */
        uint64_t no_bits; /* 0, which the compiler does not know */
} Scan;

/* Of one cast, a value each round, in thousandths. */
typedef struct Results {
        Times cpu, wall, throughput, cost, commits;
} Results;

static void pin(unsigned cpu) {
        unsigned n = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(cpu % n, &set);
        (void)sched_setaffinity(0, sizeof(set), &set);
}

static uint64_t cpu_time_ns(void) {
        struct timespec time;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
        return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t next_address(Scan *scan) {
        uint64_t place, offset;

        if (scan->local) {
                uint64_t at = scan->last++ * STEP;

                place = at / SIBLING_SIZE % scan->n;
                offset = at % SIBLING_SIZE;
        } else {
                scan->last = scan->last * 6364136223846793005 + 1442695040888963407;
                place = (scan->last >> 32) * scan->n >> 32;
                offset = (scan->last >> 20) % SIBLING_SIZE;
        }
        return place * SIBLING_SPACING + offset;
}

/* Each address depends, for all that the machine knows, on what was found last. */
static void look_up_batch(Scan *scan) {
        uint64_t found = 0;

        for (unsigned i = 0; i < BATCH; i++) {
                uint64_t address = next_address(scan) | (found & scan->no_bits);
                const Section *section;

                rcu_enter();
                section = reader_find(&scan->reader, address);
                if (!section)
                        abort();
                found = section->range.first;
                rcu_leave();
        }
}

static void *look_up(void *data) {
        static volatile uint64_t no_bits;
        Lookups *lookups = data;
        Bench *bench = lookups->bench;
        Scan scan = {
                .n = bench->n, .local = bench->local, .last = bench->n_commits, .no_bits = no_bits};
        uint64_t begin, end, cpu, n = 0;

        pin(lookups->cpu);
        rcu_register();
        reader_init(&scan.reader, bench->map, "memory");
        look_up_batch(&scan);
        pthread_barrier_wait(&bench->start);

        begin = now_ns();
        cpu = cpu_time_ns();
        end = begin + bench->slice_us * 1000;
        for (; now_ns() < end; n += BATCH)
                look_up_batch(&scan);
        lookups->cpu_ns = cpu_time_ns() - cpu;
        lookups->wall_ns = now_ns() - begin;
        lookups->n = n;
        __atomic_sub_fetch(&bench->n_reading, 1, __ATOMIC_RELAXED);
        rcu_unregister();
        return NULL;
}

static void commit_once(Bench *bench, Cast cast) {
        uint64_t n = bench->n_commits++;

        if (cast == BESIDE_MOVES)
                must_edit_commit(bench->map,
                                 set_offset("one", siblings_gap(n * 2654435761 % bench->n)));
        else
                must_edit_commit(bench->map, n % 2 ? enable("other") : disable("other"));
}

static uint64_t commit_while_they_read(Bench *bench, Cast cast) {
        uint64_t before = bench->n_commits;

        while (__atomic_load_n(&bench->n_reading, __ATOMIC_RELAXED) > 0)
                commit_once(bench, cast);
        return bench->n_commits - before;
}

static void run_slice(Bench *bench, Cast cast, Lookups lookups[], uint64_t *ret_commits) {
        unsigned n = cast == TWO ? 2 : 1;

        bench->n_reading = n;
        pthread_barrier_init(&bench->start, NULL, n + 1);
        for (unsigned i = 0; i < n; i++) {
                lookups[i] = (Lookups){.bench = bench, .cpu = i};
                if (pthread_create(&lookups[i].thread, NULL, look_up, &lookups[i]) != 0)
                        abort();
        }
        pthread_barrier_wait(&bench->start);
        *ret_commits = cast >= BESIDE_TOGGLES ? commit_while_they_read(bench, cast) : 0;
        for (unsigned i = 0; i < n; i++)
                pthread_join(lookups[i].thread, NULL);
        pthread_barrier_destroy(&bench->start);
        rcu_barrier_all();
}

static double per_lookup(const Lookups *lookups) {
        return (double)lookups->cpu_ns / (double)lookups->n;
}

static void add(Times *times, double value) {
        times_add(times, (uint64_t)(value * 1000));
}

static void run_round(Bench *bench, Results results[N_CASTS]) {
        double alone = 0;

        for (Cast cast = ALONE; cast < N_CASTS; cast++) {
                Lookups lookups[READERS_MAX] = {};
                Results *result = &results[cast];
                uint64_t n_commits;
                double throughput;

                run_slice(bench, cast, lookups, &n_commits);
                if (cast == ALONE)
                        alone = per_lookup(&lookups[0]);
                throughput = alone / per_lookup(&lookups[0]);
                if (cast == TWO)
                        throughput += alone / per_lookup(&lookups[1]);
                add(&result->cpu, per_lookup(&lookups[0]));
                add(&result->wall, (double)lookups[0].wall_ns / (double)lookups[0].n);
                add(&result->throughput, throughput);
                add(&result->cost, per_lookup(&lookups[0]) / alone);
                add(&result->commits, (double)n_commits * 1e9 / (double)lookups[0].wall_ns);
        }
}

static double middle(Times *times, unsigned percent) {
        return (double)times_percentile(times, percent) / 1000;
}

static void report(const Bench *bench, Cast cast, Results *result) {
        static const char *const writers[] = {"none", "none", "toggles", "moves"};

        printf("{\"bench\":\"lookup\",\"sections\":%zu,\"addresses\":\"%s\",\"readers\":%d,"
               "\"writer\":\"%s\",\"commits_per_s\":%.0f,\"rounds\":%zu,\"median_ns\":%.1f,\"least_"
               "ns\":%.1f,"
               "\"wall_ns\":%.1f,\"throughput_ratio\":%.2f,\"cost_ratio\":%.2f}\n",
               bench->n, bench->local ? "going on" : "random", cast == TWO ? 2 : 1, writers[cast],
               middle(&result->commits, 50), result->cpu.n, middle(&result->cpu, 50),
               middle(&result->cpu, 0), middle(&result->wall, 50), middle(&result->throughput, 50),
               middle(&result->cost, 50));
        fflush(stdout);
}

static void run(Bench *bench, size_t rounds) {
        Results results[N_CASTS];

        for (Cast i = ALONE; i < N_CASTS; i++)
                results[i] = (Results){times_new(rounds), times_new(rounds), times_new(rounds),
                                       times_new(rounds), times_new(rounds)};
        for (size_t i = 0; i < rounds; i++)
                run_round(bench, results);
        for (Cast i = ALONE; i < N_CASTS; i++) {
                report(bench, i, &results[i]);
                times_free(&results[i].cpu);
                times_free(&results[i].wall);
                times_free(&results[i].throughput);
                times_free(&results[i].cost);
                times_free(&results[i].commits);
        }
}

static void run_all(size_t n, size_t slice_us, size_t rounds) {
        Bench bench = {.map = scene_new(), .n = n, .slice_us = slice_us};

        siblings_add(bench.map, &(Siblings){.n = n, .kind = REGION_MMIO}, must_edit);
        must_edit(bench.map,
                  add_region(REGION_MMIO, "one", SIBLING_SIZE / 2, "system", siblings_gap(0), 0));
        must_edit_commit(bench.map, add_region(REGION_MMIO, "other", SIBLING_SIZE / 4, "system",
                                               siblings_gap(n / 2) + SIBLING_SIZE / 2, 0));
        run(&bench, rounds);
        bench.local = true;
        run(&bench, rounds);
        map_free(bench.map);
}

int main(int argc, char **argv) {
        size_t n = 0, rounds = 21, slice_us = 50000;

        bench_options(argc, argv,
                      (BenchOption[]){{"n", &n}, {"rounds", &rounds}, {"slice", &slice_us}, {}});
        pin(1);
        rcu_register();
        for (size_t i = n ? n : 1000; i <= (n ? n : 1000000); i *= i == 10000 ? 100 : 10)
                run_all(i, slice_us, rounds);
        rcu_unregister();
        return EXIT_SUCCESS;
}
