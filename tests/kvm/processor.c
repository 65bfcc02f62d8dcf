/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "tests/kvm/processor.h"

enum { PAGE_TABLES = 0x80000, GIVE_UP_MSEC = 20000 };

static int on_trap(void *userdata, const Trap *trap, Detail *reason) {
        Processor *processor = userdata;
        unsigned n = __atomic_fetch_add(&processor->n_traps, 1, __ATOMIC_RELAXED);

        if (n < PROCESSOR_TRAPS_MAX) {
                processor->traps[n] = (NotedTrap){.trap = *trap};
                processor->traps[n].trap.data = NULL;
                if (trap->is_write)
                        memcpy(&processor->traps[n].value, trap->data, trap->length);
        }
        if (trap->address == PROCESSOR_REFUSED)
                return detail_set(reason, 1, "nobody takes access %u", n);
        if (!trap->is_write)
                memset(trap->data, PROCESSOR_ANSWER, trap->length);
        return 0;
}

static void on_ended(void *userdata) {
        const Processor *processor = userdata;

        (void)eventfd_write(processor->ended_fd, 1);
}

const VCPUOps processor_ops = {.trap = on_trap, .ended = on_ended};

void processor_new_vcpu(Processor *processor, uint32_t index) {
        processor->vcpu = vcpu_free(processor->vcpu);
        assert_int_equal(vcpu_new(&processor->vcpu, processor->kvm, &processor->gate, index,
                                  &processor_ops, processor),
                         0);
        if (vcpu_make(processor->vcpu, &processor->detail) != 0)
                fail_msg("%s", processor->detail.text);
}

int processor_setup(void **state) {
        Processor *processor = calloc(1, sizeof(*processor));

        assert_non_null(processor);
        processor->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
        assert_true(processor->ended_fd >= 0);
        if (accelerator_new_kvm(&processor->kvm, &processor->detail) != 0)
                fail_msg("%s", processor->detail.text);
        processor->map = scene_new();
        assert_int_equal(slots_new(&processor->slots, processor->kvm, "memory"), 0);
        assert_int_equal(run_gate_init(&processor->gate), 0);
        slots_set_gate(processor->slots, &processor->gate);
        assert_int_equal(listener_register(slots_listener(processor->slots), processor->map, NULL),
                         0);
        must_add_memory(processor->map, add_region(REGION_RAM, "ram", MIB, "system", 0, 0));
        must_commit(processor->map);
        processor->ram = must_host(processor->map, "ram");
        processor_new_vcpu(processor, 0);
        *state = processor;
        return 0;
}

int processor_teardown(void **state) {
        Processor *processor = *state;

        vcpu_free(processor->vcpu);
        listener_unregister(slots_listener(processor->slots), processor->map);
        slots_free(processor->slots);
        run_gate_deinit(&processor->gate);
        accelerator_free(processor->kvm);
        map_free(processor->map);
        safe_close(processor->ended_fd);
        free(processor);
        return 0;
}

/* After a reset the code segment is at the end of the first 4 GiB. */
static void place_at_0(Processor *processor) {
        processor_set(processor, "cs.base", 0);
        processor_set(processor, "cs.selector", 0);
}

void processor_load(Processor *processor, VCPUMode mode, uint64_t rip, const uint8_t *program,
                    size_t size) {
        const VCPUSetup setup = {mode, PAGE_TABLES, UINT64_C(4) << 30};
        int r;

        rcu_enter();
        r = vcpu_mode_write_tables(&setup, scene_published(processor->map, "memory"),
                                   &processor->detail);
        rcu_leave();
        if (r != 0 || vcpu_reset(processor->vcpu, &setup, &processor->detail) != 0)
                fail_msg("%s", processor->detail.text);
        memcpy(processor->ram + rip, program, size);
        if (mode == VCPU_MODE_REAL)
                place_at_0(processor);
        processor_set(processor, "rip", rip);
}

VCPUEnd processor_await(Processor *processor) {
        struct pollfd poll_fd = {.fd = processor->ended_fd, .events = POLLIN};
        eventfd_t n;
        VCPUEnd end;

        if (poll(&poll_fd, 1, GIVE_UP_MSEC) != 1)
                fail_msg("the vCPU does not stop");
        assert_int_equal(eventfd_read(processor->ended_fd, &n), 0);
        assert_true(vcpu_take_end(processor->vcpu, &end));
        return end;
}

VCPUEnd processor_run(Processor *processor, uint32_t steps) {
        assert_int_equal(vcpu_start(processor->vcpu, steps, &processor->detail), 0);
        return processor_await(processor);
}

static VCPURegisters read_all(Processor *processor) {
        VCPURegisters registers;

        if (vcpu_read(processor->vcpu, &registers, &processor->detail) != 0)
                fail_msg("%s", processor->detail.text);
        return registers;
}

void assert_end(VCPUEnd end, VCPUState state, const char *reason, uint64_t address) {
        assert_string_equal(end.reason.text, reason);
        assert_int_equal(end.state, state);
        assert_int_equal(end.address, address);
}

uint64_t processor_get(Processor *processor, const char *name) {
        VCPURegisters registers = read_all(processor);
        size_t i = 0;

        while (vcpu_register_name(i) && strcmp(vcpu_register_name(i), name) != 0)
                i++;
        assert_non_null(vcpu_register_name(i));
        return vcpu_register_get(&registers, i);
}

void processor_set(Processor *processor, const char *name, uint64_t value) {
        VCPURegisters registers = read_all(processor);

        if (vcpu_register_set(&registers, name, value, &processor->detail) != 0 ||
            vcpu_write(processor->vcpu, &registers, &processor->detail) != 0)
                fail_msg("%s", processor->detail.text);
}

uint64_t processor_exits(Processor *processor, const char *word) {
        for (unsigned kind = 0; kind < N_VCPU_EXITS; kind++)
                if (vcpu_exit_word(kind) && strcmp(vcpu_exit_word(kind), word) == 0)
                        return vcpu_n_exits(processor->vcpu, kind);
        fail_msg("\"%s\" is no kind of exit", word);
        return 0;
}

void processor_need_kvm(void) {
        int r = kvm_probe();

        if (r == 0)
                return;
        printf("1..0 # SKIP /dev/kvm cannot be used here: %s\n", strerror(-r));
        exit(EXIT_SUCCESS); /* to a reader of TAP, that line says it all */
}
