/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a vCPU costs, and what it costs to change memory under one
 *
 *   bench-vcpu [--repeat=N] [--exits=N]
 *
 * First a read that leaves the guest and comes back: with a bare KVM_RUN in a loop, and with a
 * latch that answers, by way of the gate, the look-up and the handler; in turns, the time of one
 * read. Then slots that are added, and deleted and created again, while a guest runs in a loop
 * that does not use them: beside it and with the gate held; and the holding alone, which is the
 * kick. Without /dev/kvm nothing is measured.
 */

#include <inttypes.h>
#include <linux/kvm.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "lib/memory/dispatch.h"
#include "lib/memory/handler.h"
#include "tests/bench/bench.h"
#include "tests/kvm/processor.h"

enum { REGISTERS = 0x200000, HOLE = 0x40000000 };

/* A vCPU as any program may have one. */
typedef struct Bare {
        int fd;
        struct kvm_run *run;
} Bare;

/* One as guestmap-vmd has it. */
typedef struct Guest {
        Dispatcher dispatcher;
        int ended_fd;
        VCPU *vcpu;
} Guest;

static const uint8_t read_on[] = {
        0xa1, 0x00, 0x00, 0x20, 0x00, /* mov eax, [REGISTERS] */
        0x49,                         /* dec ecx */
        0x75, 0xf8,                   /* jnz to the first */
        0xf4,                         /* hlt */
};
static const uint8_t run_on[] = {0xeb, 0xfe}; /* jmp to itself */

static void must_be(bool condition, const char *what) {
        if (condition)
                return;
        perror(what);
        exit(EXIT_FAILURE);
}

static void begin_at(VCPURegisters *registers, uint32_t n_exits) {
        registers->general.rip = AT;
        registers->general.rcx = n_exits;
}

static Bare bare_new(const Processor *processor) {
        int kvm_fd, size;
        Bare bare;

        must_be(kvm_open(&kvm_fd) == 0, "/dev/kvm");
        size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
        bare.fd = ioctl(accelerator_vm_fd(processor->kvm), KVM_CREATE_VCPU, 1);
        must_be(size > 0 && bare.fd >= 0, "KVM_CREATE_VCPU");
        bare.run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, bare.fd, 0);
        must_be(bare.run != MAP_FAILED, "kvm_run");
        safe_close(kvm_fd);
        return bare;
}

static uint64_t bare_time(const Bare *bare, uint32_t n_exits) {
        const VCPUSetup setup = {VCPU_MODE_FLAT};
        VCPURegisters registers;
        uint64_t start;

        must_be(vcpu_registers_read(&registers, bare->fd) == 0, "registers");
        vcpu_mode_set_registers(&setup, &registers);
        begin_at(&registers, n_exits);
        must_be(vcpu_registers_write(&registers, bare->fd, NULL) == 0, "registers");
        start = now_ns();
        while (ioctl(bare->fd, KVM_RUN, 0) == 0 && bare->run->exit_reason == KVM_EXIT_MMIO)
                memset(bare->run->mmio.data, 0, bare->run->mmio.len);
        must_be(bare->run->exit_reason == KVM_EXIT_HLT, "the bare guest");
        return (now_ns() - start) / n_exits;
}

static int on_trap(void *userdata, const Trap *trap, Detail *reason) {
        Guest *guest = userdata;

        return dispatch_read(&guest->dispatcher, trap->address, trap->data, trap->length, reason);
}

static void on_ended(void *userdata) {
        const Guest *guest = userdata;

        (void)eventfd_write(guest->ended_fd, 1);
}

static void guest_init(Guest *guest, Processor *processor) {
        static const VCPUOps ops = {on_trap, on_ended};

        dispatcher_init(&guest->dispatcher, processor->map, "memory");
        guest->ended_fd = eventfd(0, EFD_CLOEXEC);
        must_be(guest->ended_fd >= 0 &&
                        vcpu_new(&guest->vcpu, processor->kvm, &processor->gate, 2, &ops, guest) ==
                                0 &&
                        vcpu_make(guest->vcpu, NULL) == 0,
                "a vCPU");
}

static void guest_deinit(Guest *guest) {
        vcpu_free(guest->vcpu);
        safe_close(guest->ended_fd);
}

static uint64_t guest_time(Guest *guest, uint32_t n_exits) {
        const VCPUSetup setup = {VCPU_MODE_FLAT};
        VCPURegisters registers;
        eventfd_t n;
        VCPUEnd end;
        uint64_t start;

        must_be(vcpu_reset(guest->vcpu, &setup, NULL) == 0 &&
                        vcpu_read(guest->vcpu, &registers, NULL) == 0,
                "registers");
        begin_at(&registers, n_exits);
        must_be(vcpu_write(guest->vcpu, &registers, NULL) == 0, "registers");
        start = now_ns();
        must_be(vcpu_start(guest->vcpu, 0, NULL) == 0 && eventfd_read(guest->ended_fd, &n) == 0 &&
                        vcpu_take_end(guest->vcpu, &end) && end.state == VCPU_HALTED,
                "the guest");
        return (now_ns() - start) / n_exits;
}

static void add_latch(Map *map) {
        _cleanup_(handler_unrefp) Handler *latch = NULL;

        must_be(handler_new_latch(&latch, 0) == 0, "a latch");
        must_edit(map, add_region(REGION_MMIO, "device", 0x1000, "system", REGISTERS, 0));
        must_edit_commit(map, set_handler("device", latch));
}

static void report_trip(const char *who, Times *times) {
        printf("{\"bench\":\"vcpu\",\"trip\":\"%s\",\"n\":%zu,\"median_ns\":%" PRIu64
               ",\"worst_ns\":%" PRIu64 "}\n",
               who, times->n, times_percentile(times, 50), times_percentile(times, 100));
        fflush(stdout);
}

static void run_trips(Processor *processor, size_t repeat, uint32_t n_exits) {
        Times bare_times = times_new(repeat), latch_times = times_new(repeat);
        Bare bare = bare_new(processor);
        Guest guest;

        guest_init(&guest, processor);
        add_latch(processor->map);
        memcpy(processor->ram + AT, read_on, sizeof(read_on));
        for (size_t i = 0; i < repeat; i++) {
                times_add(&bare_times, bare_time(&bare, n_exits));
                times_add(&latch_times, guest_time(&guest, n_exits));
        }
        report_trip("bare KVM_RUN", &bare_times);
        report_trip("latch", &latch_times);
        guest_deinit(&guest);
        safe_close(bare.fd);
        times_free(&bare_times);
        times_free(&latch_times);
}

/* Slots beside a guest that runs */

static void set_slot(Processor *processor, uint64_t size) {
        const SlotOp op = {processor->kvm->n_slots - 1, 0, HOLE, size, (uintptr_t)processor->ram};

        must_be(accelerator_set_slot(processor->kvm, &op) == 0, "a slot");
}

static void nothing(Processor *processor) {}

static void create(Processor *processor) {
        set_slot(processor, MIB);
}

static void delete (Processor *processor) {
        set_slot(processor, 0);
}

static void replace(Processor *processor) {
        delete (processor);
        create(processor);
}

static uint64_t change_time(Processor *processor, bool held, void (*change)(Processor *processor)) {
        uint64_t start = now_ns();

        if (held)
                run_gate_hold(&processor->gate);
        change(processor);
        if (held)
                run_gate_release(&processor->gate);
        return now_ns() - start;
}

/* Each of them `repeat` times, with time for the guest to run in between. */
static void run_change(Processor *processor, const char *what, bool held, size_t repeat,
                       void (*before)(Processor *), void (*change)(Processor *),
                       void (*after)(Processor *)) {
        Times times = times_new(repeat);

        for (size_t i = 0; i < repeat; i++) {
                before(processor);
                (void)nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
                times_add(&times, change_time(processor, held, change));
                after(processor);
        }
        printf("{\"bench\":\"vcpu\",\"change\":\"%s\",\"held\":%s,\"n\":%zu,\"median_ns\":%" PRIu64
               ",\"worst_ns\":%" PRIu64 "}\n",
               what, held ? "true" : "false", times.n, times_percentile(&times, 50),
               times_percentile(&times, 100));
        fflush(stdout);
        times_free(&times);
}

static void run_changes(Processor *processor, size_t repeat) {
        processor_load(processor, VCPU_MODE_FLAT, AT, run_on, sizeof(run_on));
        must_be(vcpu_start(processor->vcpu, 0, NULL) == 0, "the guest");
        run_change(processor, "nothing: the kick", true, repeat, nothing, nothing, nothing);
        for (int held = 0; held < 2; held++) {
                run_change(processor, "a slot created", held, repeat, nothing, create, delete);
                run_change(processor, "a slot deleted", held, repeat, create, delete, nothing);
                run_change(processor, "a slot replaced", held, repeat, create, replace, delete);
        }
}

int main(int argc, char **argv) {
        size_t repeat = 200, n_exits = 2000;
        Processor *processor;

        bench_options(argc, argv,
                      (const BenchOption[]){{"repeat", &repeat}, {"exits", &n_exits}, {}});
        if (kvm_probe() < 0)
                return EXIT_SUCCESS;
        rcu_register();
        must_be(processor_setup((void **)&processor) == 0, "a VM");
        run_trips(processor, repeat / 10 + 1, (uint32_t)n_exits);
        run_changes(processor, repeat);
        (void)processor_teardown((void **)&processor);
        rcu_unregister();
        return EXIT_SUCCESS;
}
