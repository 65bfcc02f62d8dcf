/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a journal costs: a commit with it and without it, compaction, and recovery
 *
 *   bench-journal [--n=N] [--repeat=N]
 *
 * In-process, accelerator "none", no file system that waits for a disk unless /tmp is one. One
 * region among N is switched off and on, each a commit. Without --n: 1,000 and 1,000,000.
 */

#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/vm/change.h"
#include "daemon/vm/compaction.h"
#include "daemon/vm/recovery.h"
#include "tests/bench/bench.h"
#include "tests/bench/siblings.h"
#include "tests/common/apply.h"
#include "tests/common/unit.h"
#include "tests/property/random.h"

static const char template[] = "/tmp/guestmap-bench-XXXXXX";

static void must(int r, const char *what, const Detail *detail) {
        if (r == 0)
                return;
        fprintf(stderr, "%s: %d: %s\n", what, r, detail->text);
        exit(EXIT_FAILURE);
}

static uint64_t timed(VM *vm, Edit edit) {
        _cleanup_(change_deinit) Change change = {};
        uint64_t start = now_ns();
        Detail detail = {};

        change_begin(&change, vm);
        must(change_edit(&change, &edit, &detail), "edit", &detail);
        must(change_prepare(&change, &detail), "prepare", &detail);
        must(change_record(&change, &detail), "record", &detail);
        must(change_apply(&change, &detail), "apply", &detail);
        change_deinit(&change);
        return now_ns() - start;
}

static void time_commits(VM *vm, size_t n, size_t repeat) {
        Times times = times_new(2 * repeat);
        Random random = {1};
        char name[32];

        for (size_t i = 0; i < repeat; i++) {
                snprintf(name, sizeof(name), "region%" PRIu64, random_below(&random, n));
                times_add(&times, timed(vm, disable(name)));
                times_add(&times, timed(vm, enable(name)));
        }
        printf("{\"bench\":\"journal\",\"regions\":%zu,\"journal\":%s,\"repeat\":%zu,"
               "\"median_ns\":%" PRIu64 ",\"p99_ns\":%" PRIu64 "}\n",
               n, vm->record ? "true" : "false", times.n, times_percentile(&times, 50),
               times_percentile(&times, 99));
        fflush(stdout);
        times_free(&times);
}

static uint64_t journal_size(const char *directory) {
        struct stat status;
        char path[64];

        snprintf(path, sizeof(path), "%s/journal", directory);
        return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

static uint64_t time_compaction(VM *vm) {
        uint64_t start = now_ns();
        Detail detail = {};

        must(compaction_run(vm, &detail), "compaction", &detail);
        return now_ns() - start;
}

static uint64_t time_recovery(const char *directory) {
        uint64_t start = now_ns();
        Recovered recovered;
        Detail detail = {};

        must(recover(&recovered, &(Places){.runtime = directory}, NULL, &detail), "recovery",
             &detail);
        start = now_ns() - start;
        vm_free(recovered.vm);
        return start;
}

static void run(size_t n, size_t repeat) {
        const Siblings siblings = {.n = n, .kind = REGION_MMIO, .placement = PLACE_RANDOM};
        char directory[sizeof(template)];
        VM *vm = must_vm("none");
        uint64_t bytes, compaction;
        Detail detail = {};

        memcpy(directory, template, sizeof(template));
        assert_non_null(mkdtemp(directory));
        must(vm_populate(vm, &detail), "beginning", &detail);
        siblings_add(vm->map, &siblings, must_edit);
        must_commit(vm->map);
        time_commits(vm, n, repeat);
        must(compaction_begin_journal(vm, directory, false, &detail), "journal", &detail);
        bytes = journal_size(directory);
        time_commits(vm, n, repeat);
        compaction = time_compaction(vm);
        vm_free(vm);
        printf("{\"bench\":\"journal\",\"regions\":%zu,\"bytes\":%" PRIu64
               ",\"compaction_ns\":%" PRIu64 ",\"recovery_ns\":%" PRIu64 "}\n",
               n, bytes, compaction, time_recovery(directory));
        fflush(stdout);
        recovery_forget(&(Places){.runtime = directory});
        (void)rmdir(directory);
}

int main(int argc, char **argv) {
        size_t n = 0, repeat = 2000;

        bench_options(argc, argv, (BenchOption[]){{"n", &n}, {"repeat", &repeat}, {}});
        rcu_register();
        for (size_t i = n ? n : 1000; i <= (n ? n : 1000000); i *= 1000)
                run(i, repeat);
        rcu_unregister();
        return EXIT_SUCCESS;
}
