/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which pages of a large guest were written: one in a hundred, evenly spread, by the guest itself
 *
 *   bench-dirty [--mib=N] [--repeat=N]
 *
 * 16 GiB unless told otherwise, of which the guest touches 164 MiB. `ioctl` is what the kernel
 * takes to tell, KVM_GET_DIRTY_LOG alone. `look` is that, merged into the page log; `sync` has KVM
 * forget it as well, so that it tells again; `take` gives the bits to who asks, and clears them.
 * `nothing` is a sync when nothing was written.
 */

#include <inttypes.h>

#include "lib/kvm/dirty-log.h"
#include "lib/memory/commit.h"
#include "tests/bench/bench.h"
#include "tests/kvm/processor.h"

enum { IOCTL, LOOK, SYNC, TAKE, NOTHING, N_OPERATIONS };

enum { PAGE_TABLES = 0x80000, PAGE = 4096, STRIDE = 100 };

#define GIB UINT64_C(0x40000000)

static const char *const operations[] = {"ioctl", "look", "sync", "take", "nothing"};

/* Where the memory is: above the processor's own. */
#define MEMORY GIB

static void must_be(bool what, const char *words) {
        if (what)
                return;
        fprintf(stderr, "bench-dirty: %s failed\n", words);
        exit(EXIT_FAILURE);
}

/* The guest writes a byte to each page of the stride, and halts. */
static void guest_write(Processor *processor, uint64_t size) {
        static const uint8_t program[] = {
                0x88, 0x03,                               /* again: mov [rbx], al */
                0x48, 0x81, 0xc3, 0x00, 0x40, 0x06, 0x00, /* add rbx, STRIDE * PAGE */
                0xff, 0xc9,                               /* dec ecx */
                0x75, 0xf3,                               /* jnz again */
                0xf4,                                     /* hlt */
        };
        const VCPUSetup setup = {VCPU_MODE_LONG, PAGE_TABLES,
                                 MEMORY + (size + GIB - 1) / GIB * GIB};
        int r;

        rcu_enter();
        r = vcpu_mode_write_tables(&setup, scene_published(processor->map, "memory"),
                                   &processor->detail);
        rcu_leave();
        must_be(r == 0 && vcpu_reset(processor->vcpu, &setup, &processor->detail) == 0,
                processor->detail.text);
        memcpy(processor->ram + AT, program, sizeof(program));
        processor_set(processor, "rip", AT);
        processor_set(processor, "rbx", MEMORY);
        processor_set(processor, "rcx", (size / PAGE + STRIDE - 1) / STRIDE);
        must_be(processor_run(processor, 0).state == VCPU_HALTED, "the guest");
}

static void report(uint64_t size, uint64_t n_dirty, int operation, Times *times) {
        printf("{\"bench\":\"dirty\",\"operation\":\"%s\",\"mib\":%" PRIu64 ",\"pages\":%" PRIu64
               ",\"dirty\":%" PRIu64 ",\"repeat\":%zu,\"median_ns\":%" PRIu64 ",\"p99_ns\":%" PRIu64
               "}\n",
               operations[operation], size >> 20, size / PAGE, operation == NOTHING ? 0 : n_dirty,
               times->n, times_percentile(times, 50), times_percentile(times, 99));
}

static uint64_t timed_ioctl(Processor *processor, uint32_t slot, uint64_t *bits, uint64_t n) {
        uint64_t start = now_ns();

        must_be(processor->kvm->ops->get_dirty(processor->kvm, slot, n, bits) == 0,
                "KVM_GET_DIRTY_LOG");
        return now_ns() - start;
}

static uint64_t timed_sync(DirtyLog *log, bool clear) {
        uint64_t start = now_ns();

        must_be(dirty_log_sync(log, NULL, clear, NULL) == 0, "the sync");
        return now_ns() - start;
}

static uint64_t timed_take(PageLog *log, uint64_t n_dirty, uint64_t *bits) {
        uint64_t start, found;

        memset(bits, 0, page_log_words(log->n_pages) * sizeof(*bits));
        start = now_ns();
        found = page_log_read(log, PAGE_LOG_REGION, log->n_pages, true, bits);
        start = now_ns() - start;
        must_be(found == n_dirty, "the count");
        return start;
}

static void run(Processor *processor, DirtyLog *log, uint64_t size, size_t repeat) {
        PageLog *pages = &must_find(processor->map, "memory")->backing->log;
        uint64_t n_dirty = (pages->n_pages + STRIDE - 1) / STRIDE;
        uint64_t *bits = calloc(page_log_words(pages->n_pages), sizeof(*bits));
        uint32_t slot = slots_first(processor->slots, MEMORY)->number;
        Times times[N_OPERATIONS];

        must_be(bits != NULL, "a bitmap");
        for (int i = 0; i < N_OPERATIONS; i++)
                times[i] = times_new(repeat);
        for (size_t i = 0; i < repeat; i++) {
                guest_write(processor, size);
                times_add(&times[IOCTL], timed_ioctl(processor, slot, bits, pages->n_pages));
                times_add(&times[LOOK], timed_sync(log, false));
                times_add(&times[SYNC], timed_sync(log, true));
                times_add(&times[TAKE], timed_take(pages, n_dirty, bits));
                times_add(&times[NOTHING], timed_sync(log, true));
        }
        for (int i = 0; i < N_OPERATIONS; i++) {
                report(size, n_dirty, i, &times[i]);
                times_free(&times[i]);
        }
        free(bits);
}

int main(int argc, char **argv) {
        size_t mib = 16384, repeat = 5;
        Processor *processor = NULL;
        DirtyLog *log = NULL;

        bench_options(argc, argv, (const BenchOption[]){{"mib", &mib}, {"repeat", &repeat}, {}});
        if (kvm_probe() < 0)
                return EXIT_SUCCESS;
        rcu_register();
        must_be(processor_setup((void **)&processor) == 0, "a VM");
        must_be(dirty_log_new(&log, processor->kvm, processor->slots) == 0, "a log");
        must_be(listener_register(dirty_log_listener(log), processor->map, NULL) == 0, "a log");
        must_add_memory(processor->map,
                        with_flags(add_region(REGION_RAM, "memory", (uint64_t)mib << 20, "system",
                                              MEMORY, 0),
                                   REGION_DIRTY_LOG));
        must_commit(processor->map);
        run(processor, log, (uint64_t)mib << 20, repeat);
        listener_unregister(dirty_log_listener(log), processor->map);
        dirty_log_free(log);
        (void)processor_teardown((void **)&processor);
        rcu_unregister();
        return EXIT_SUCCESS;
}
