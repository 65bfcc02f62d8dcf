/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What changes of a map cost in slot operations
 *
 *   bench-slots [--repeat=N] [--pieces=N]
 *
 * First what a PC's chipset does (tests/common/chipset.h), each row in a PC of its own, with the
 * table of slots and, where there is one, with KVM: operations and bytes of unchanged memory
 * remapped, the first time and when slots have been cut, and the time of one commit with its edits
 * and ioctls. Then one window that opens and closes in RAM which lies in N pieces, and one more
 * DIMM when slots have run out, so that two pieces are joined. Without --pieces: 100, 1,000, 10,000
 * and 30,000.
 */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "lib/util/rcu.h"
#include "tests/bench/bench.h"
#include "tests/common/chipset.h"
#include "tests/common/memory.h"

enum { PAGE = 4096 };

static Accelerator *new_accelerator(bool kvm) {
        Accelerator *accelerator = NULL;
        Detail detail = {};

        if (kvm ? accelerator_new_kvm(&accelerator, &detail)
                : accelerator_new_none(&accelerator, 0))
                abort();
        return accelerator;
}

/* The chipset's rows */

typedef struct RowTimes {
        size_t n_ops_first;
        uint64_t unchanged_first;
        Times times;
} RowTimes;

static void make(Chipset *chipset, const ChipsetChange *change, RowTimes *row) {
        uint64_t start;

        chipset_forget(chipset);
        start = now_ns();
        change->make(chipset);
        times_add(&row->times, (now_ns() - start) / chipset->n_commits);
}

static void make_first(Chipset *chipset, const ChipsetChange *change, RowTimes *row) {
        make(chipset, change, row);
        row->n_ops_first = chipset->n_ops;
        row->unchanged_first = chipset->bytes_unchanged;
        row->times.n = 0;
}

static void report(const Chipset *chipset, const char *qemu, const ChipsetChange *change,
                   RowTimes *row) {
        printf("{\"bench\":\"slots\",\"change\":\"%s\",\"accelerator\":\"%s\",\"commits\":%zu,"
               "\"qemu_operations\":\"%s\",\"operations_first\":%zu,\"bytes_unchanged_first\":"
               "%" PRIu64 ",\"operations\":%zu,\"bytes_unchanged\":%" PRIu64
               ",\"median_ns\":%" PRIu64 "}\n",
               change->name, chipset->accelerator->ops->name, chipset->n_commits, qemu,
               row->n_ops_first, row->unchanged_first, chipset->n_ops, chipset->bytes_unchanged,
               times_percentile(&row->times, 50));
        fflush(stdout);
        times_free(&row->times);
}

static void run_row(const ChipsetRow *row, bool kvm, size_t repeat) {
        RowTimes there = {.times = times_new(repeat)}, back = {.times = times_new(repeat)};
        Chipset *chipset = chipset_new(new_accelerator(kvm));

        if (row->begin)
                row->begin(chipset);
        make_first(chipset, &row->there, &there);
        make_first(chipset, &row->back, &back);
        for (size_t i = 1; i < repeat; i++) {
                make(chipset, &row->there, &there);
                make(chipset, &row->back, &back);
        }
        make(chipset, &row->there, &there);
        report(chipset, row->qemu, &row->there, &there);
        make(chipset, &row->back, &back);
        report(chipset, row->qemu, &row->back, &back);
        chipset_free(chipset);
}

/* RAM in many pieces */

typedef struct Pieces {
        Map *map;
        Accelerator *accelerator;
        Slots *slots;
        uint64_t n;
} Pieces;

static const char *numbered(const char *what, uint64_t i) {
        static char name[32];

        snprintf(name, sizeof(name), "%s%" PRIu64, what, i);
        return name;
}

/* Two pages for each window, which have been opened and closed. */
static Pieces pieces_new(uint64_t n) {
        Pieces pieces = {.map = scene_new(), .accelerator = new_accelerator(false), .n = n};

        if (slots_new(&pieces.slots, pieces.accelerator, "memory") != 0 ||
            listener_register(slots_listener(pieces.slots), pieces.map, NULL) != 0)
                abort();
        must_add_memory(pieces.map, add_region(REGION_RAM, "ram", n * PAGE, "system", 0, 0));
        must_commit(pieces.map);
        for (uint64_t i = 0; i < n / 2; i++)
                must_edit(pieces.map, add_region(REGION_MMIO, numbered("window", i), PAGE, "system",
                                                 2 * i * PAGE, 1));
        must_commit(pieces.map);
        for (uint64_t i = 0; i < n / 2; i++)
                must_edit(pieces.map, disable(numbered("window", i)));
        must_commit(pieces.map);
        return pieces;
}

static void pieces_free(Pieces *pieces) {
        listener_unregister(slots_listener(pieces->slots), pieces->map);
        slots_free(pieces->slots);
        accelerator_free(pieces->accelerator);
        map_free(pieces->map);
}

static void report_pieces(const Pieces *pieces, const char *change, uint64_t n_ops, Times *times) {
        printf("{\"bench\":\"slots-pieces\",\"change\":\"%s\",\"pieces\":%" PRIu64
               ",\"operations\":%" PRIu64 ",\"median_ns\":%" PRIu64 ",\"p99_ns\":%" PRIu64 "}\n",
               change, pieces->n, n_ops, times_percentile(times, 50), times_percentile(times, 99));
        fflush(stdout);
        times->n = 0;
}

static uint64_t n_ops(const Pieces *pieces) {
        const SlotStats *stats = slots_stats(pieces->slots);
        uint64_t n = 0;

        for (unsigned kind = 0; kind < N_SLOT_OP_KINDS; kind++)
                n += stats->operations[kind];
        return n;
}

/* Opens and closes the window in the middle. */
static void toggle_window(Pieces *pieces, bool open, Times *times) {
        const char *window = numbered("window", pieces->n / 4);
        uint64_t start = now_ns();

        must_edit_commit(pieces->map, open ? enable(window) : disable(window));
        times_add(times, now_ns() - start);
}

static void add_dimm(Pieces *pieces, uint64_t i, Times *times) {
        uint64_t start;

        must_add_memory(pieces->map, add_region(REGION_RAM, numbered("dimm", i), PAGE, "system",
                                                (UINT64_C(1) << 32) + 2 * i * PAGE, 0));
        start = now_ns();
        must_commit(pieces->map);
        times_add(times, now_ns() - start);
}

static void run_pieces(uint64_t n, size_t repeat) {
        Pieces pieces = pieces_new(n);
        Times open = times_new(repeat), close = times_new(repeat), join = times_new(repeat);
        uint64_t before = n_ops(&pieces);

        for (size_t i = 0; i < repeat; i++) {
                toggle_window(&pieces, true, &open);
                toggle_window(&pieces, false, &close);
        }
        report_pieces(&pieces, "window opened", (n_ops(&pieces) - before) / (2 * repeat), &open);
        report_pieces(&pieces, "window closed", (n_ops(&pieces) - before) / (2 * repeat), &close);

        pieces.accelerator->n_slots = slots_used(pieces.slots);
        before = n_ops(&pieces);
        repeat = MIN_OF(repeat, n / 4);
        for (size_t i = 0; i < repeat; i++)
                add_dimm(&pieces, i, &join);
        report_pieces(&pieces, "DIMM added, slots joined", (n_ops(&pieces) - before) / repeat,
                      &join);
        times_free(&open);
        times_free(&close);
        times_free(&join);
        pieces_free(&pieces);
}

int main(int argc, char **argv) {
        static const struct option options[] = {{"repeat", required_argument, NULL, 'r'},
                                                {"pieces", required_argument, NULL, 'p'},
                                                {}};
        static const uint64_t all[] = {100, 1000, 10000, 30000};
        uint64_t pieces = 0, repeat = 200;
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
                if (c == 'r')
                        repeat = MAX_OF(strtoull(optarg, NULL, 0), 1u);
                else if (c == 'p')
                        pieces = MAX_OF(strtoull(optarg, NULL, 0), 4u);
                else
                        return EXIT_FAILURE;
        rcu_register();
        for (int kvm = 0; kvm <= (kvm_probe() == 0); kvm++)
                for (size_t i = 0; i < n_chipset_rows; i++)
                        run_row(&chipset_rows[i], kvm, repeat);
        for (size_t i = 0; i < ELEMENTS_OF(all); i++)
                if (!pieces || i == 0)
                        run_pieces(pieces ? pieces : all[i], repeat);
        rcu_unregister();
        return EXIT_SUCCESS;
}
