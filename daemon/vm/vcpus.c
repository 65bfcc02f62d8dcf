/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "daemon/vm/vcpus.h"
#include "daemon/vm/vm.h"
#include "lib/kvm/host.h"
#include "lib/memory/access.h"
#include "lib/memory/dispatch.h"
#include "lib/util/array.h"
#include "lib/util/rcu.h"

/* What a vCPU's own thread works with; one more for who makes coalesced writes. */
typedef struct Guest {
        Dispatcher memory;
        Dispatcher ports;
        CoalescedRing *ring; /* borrowed, as are the next two */
        RunGate *gate;
        int ended_fd;
        uint64_t n_before; /* unanswered coalesced writes when the vCPU was added */
} Guest;

typedef struct VCPUEntry {
        VCPU *vcpu;
        Guest *guest; /* outlives its thread */
        bool present;
} VCPUEntry;

struct VCPUs {
        VM *vm;
        Guest coalesced;
        int ended_fd;
        bool has_ring;
        bool paused;
        VCPUEntry *items; /* ascending by index */
        size_t n;
        size_t allocated;
};

/* The address space that ports are looked up in. */
static const char port_space[] = "io";

static Dispatcher *dispatcher_of(Guest *guest, const Trap *trap) {
        return trap->is_port ? &guest->ports : &guest->memory;
}

/* The kernel cuts accesses at the end of the address space. */
static int make_access(void *userdata, const Trap *trap, Detail *reason) {
        Dispatcher *dispatcher = dispatcher_of(userdata, trap);

        if (trap->is_write)
                return dispatch_write(dispatcher, trap->address, trap->data, trap->length, reason);
        return dispatch_read(dispatcher, trap->address, trap->data, trap->length, reason);
}

static int catch_up(void *userdata, uint64_t *ret_address, Detail *reason) {
        const Guest *guest = userdata;

        return coalesced_ring_drain(guest->ring, guest->memory.patience, ret_address, reason);
}

static void on_ended(void *userdata) {
        const Guest *guest = userdata;

        (void)eventfd_write(guest->ended_fd, 1);
}

/* Where a page cannot be had KVM does not say whose it is. */
static void explain(void *userdata, int error, Detail *reason) {
        const Reader *reader = &((const Guest *)userdata)->memory.reader;
        Detail why = {};
        const FlatView *view;

        rcu_enter();
        view = snapshot_find(map_snapshot(reader->map), reader->space);
        if (view && access_check_files(view, error, &why) != 0) {
                detail_prefix(&why, "%s: ", reason->text);
                *reason = why;
        }
        rcu_leave();
}

static const VCPUOps vcpu_ops = {make_access, on_ended, catch_up, explain};

static bool postpone_write(void *userdata, const Trap *write, PendingWrite *ret) {
        return dispatch_postpone(dispatcher_of(userdata, write), write->address, write->data,
                                 write->length, ret);
}

static int make_write(void *userdata, const PendingWrite *write, const Patience *patience,
                      Detail *reason) {
        Guest *guest = userdata;

        return dispatch_make(&guest->memory, write, patience, reason);
}

/* If no vCPU runs, those that run next see to it. */
static void on_left(void *userdata) {
        const Guest *guest = userdata;

        run_gate_nudge(guest->gate);
}

static const CoalescedOps coalesced_ops = {postpone_write, make_write, on_left};

static void guest_init(Guest *guest, const VCPUs *vcpus, const Patience *patience) {
        dispatcher_init(&guest->memory, vcpus->vm->map, vcpus->vm->memory_space);
        dispatcher_init(&guest->ports, vcpus->vm->map, port_space);
        guest->memory.patience = guest->ports.patience = patience;
        guest->ring = vcpus->vm->ring;
        guest->gate = &vcpus->vm->gate;
        guest->ended_fd = vcpus->ended_fd;
}

int vcpus_new(VCPUs **ret, VM *vm) {
        _cleanup_(closep) int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        VCPUs *vcpus;

        if (fd < 0)
                return -errno;
        vcpus = calloc(1, sizeof(*vcpus));
        if (!vcpus)
                return -ENOMEM;
        vcpus->vm = vm;
        vcpus->ended_fd = TAKE_FD(fd);
        guest_init(&vcpus->coalesced, vcpus, NULL);
        *ret = vcpus;
        return 0;
}

VCPUs *vcpus_free(VCPUs *vcpus) {
        if (!vcpus)
                return NULL;
        for (size_t i = 0; i < vcpus->n; i++)
                vcpu_stop(vcpus->items[i].vcpu);
        coalesced_ring_detach(vcpus->vm->ring);
        for (size_t i = 0; i < vcpus->n; i++) {
                vcpu_free(vcpus->items[i].vcpu);
                free(vcpus->items[i].guest);
        }
        free(vcpus->items);
        safe_close(vcpus->ended_fd);
        free(vcpus);
        return NULL;
}

int vcpus_ended_fd(const VCPUs *vcpus) {
        return vcpus->ended_fd;
}

int vcpus_check_supported(const VCPUs *vcpus, Detail *detail) {
        if (!host_runs_guests())
                return detail_set(detail, VM_E_NOT_SUPPORTED,
                                  "VM \"%s\": there are no vCPUs on hosts that are not x86-64",
                                  vcpus->vm->name);
        if (accelerator_vm_fd(vcpus->vm->accelerator) >= 0)
                return 0;
        return detail_set(detail, VM_E_NOT_SUPPORTED, "VM \"%s\": accelerator \"%s\" runs no vCPUs",
                          vcpus->vm->name, vcpus->vm->accelerator->ops->name);
}

/* Where the index is, or would be. */
static size_t position(const VCPUs *vcpus, uint32_t index) {
        size_t i = 0;

        while (i < vcpus->n && vcpu_index(vcpus->items[i].vcpu) < index)
                i++;
        return i;
}

static VCPUEntry *find_entry(const VCPUs *vcpus, uint32_t index) {
        size_t i = position(vcpus, index);

        return i < vcpus->n && vcpu_index(vcpus->items[i].vcpu) == index ? &vcpus->items[i] : NULL;
}

static int check_index(const VCPUs *vcpus, uint32_t index, Detail *detail) {
        const VCPUEntry *entry = find_entry(vcpus, index);

        if (index >= VCPUS_MAX)
                return detail_set(detail, MAP_E_INVALID_RANGE, "vCPU %u: the highest index is %d",
                                  index, VCPUS_MAX - 1);
        if (entry && entry->present)
                return detail_set(detail, MAP_E_IN_USE, "VM \"%s\" has a vCPU %u", vcpus->vm->name,
                                  index);
        return 0;
}

/* A place for one, not made yet. */
static int insert(VCPUs *vcpus, uint32_t index, VCPUEntry **ret) {
        _cleanup_(freep) Guest *guest = calloc(1, sizeof(*guest));
        size_t at = position(vcpus, index);
        VCPU *vcpu;
        int r;

        if (!guest)
                return -ENOMEM;
        r = array_reserve(&vcpus->items, &vcpus->allocated, vcpus->n, 1);
        if (r < 0)
                return r;
        r = vcpu_new(&vcpu, vcpus->vm->accelerator, &vcpus->vm->gate, index, &vcpu_ops, guest);
        if (r < 0)
                return r;
        memmove(&vcpus->items[at + 1], &vcpus->items[at], (vcpus->n - at) * sizeof(*vcpus->items));
        vcpus->items[at] = (VCPUEntry){.vcpu = vcpu, .guest = TAKE_PTR(guest)};
        vcpus->n++;
        *ret = &vcpus->items[at];
        return 0;
}

static int write_tables(const VCPUs *vcpus, const VCPUSetup *setup, Detail *detail) {
        const FlatView *view;
        int r;

        rcu_enter();
        view = snapshot_find(map_snapshot(vcpus->vm->map), vcpus->vm->memory_space);
        r = view ? vcpu_mode_write_tables(setup, view, detail)
                 : detail_set(detail, MAP_E_INVALID_RANGE,
                              "page-tables: there is no address space \"%s\"",
                              vcpus->vm->memory_space);
        rcu_leave();
        return r;
}

/* The first that is made brings the ring that all of them share. */
static int make(VCPUs *vcpus, VCPU *vcpu, Detail *detail) {
        int r;

        r = vcpu_make(vcpu, detail);
        if (r != 0 || vcpus->has_ring)
                return r;
        coalesced_ring_attach(vcpus->vm->ring, vcpu_mapping(vcpu), &coalesced_ops,
                              &vcpus->coalesced);
        vcpus->has_ring = true;
        return 0;
}

/* A vCPU of an index that has none; its thread sleeps. One that cannot be made keeps its place. */
static int find_or_make(VCPUs *vcpus, uint32_t index, VCPUEntry **ret, Detail *detail) {
        VCPUEntry *entry;
        int r;

        r = vcpus_check_supported(vcpus, detail);
        if (r == 0)
                r = check_index(vcpus, index, detail);
        if (r != 0)
                return r;
        entry = find_entry(vcpus, index);
        if (!entry)
                r = insert(vcpus, index, &entry);
        if (r == 0)
                r = make(vcpus, entry->vcpu, detail);
        if (r == 0)
                *ret = entry;
        return r;
}

static uint64_t n_unanswered(const Guest *guest) {
        return dispatcher_n_unanswered(&guest->memory) + dispatcher_n_unanswered(&guest->ports);
}

static void make_present(const VCPUs *vcpus, VCPUEntry *entry) {
        guest_init(entry->guest, vcpus, vcpu_patience(entry->vcpu));
        entry->guest->n_before = n_unanswered(&vcpus->coalesced);
        entry->present = true;
}

int vcpus_restore(VCPUs *vcpus, uint32_t index, const void *image, size_t size, const VCPUEnd *end,
                  Detail *detail) {
        VCPUEntry *entry;
        int r;

        r = find_or_make(vcpus, index, &entry, detail);
        if (r == 0)
                r = vcpu_restore(entry->vcpu, image, size, end, detail);
        if (r == 0)
                make_present(vcpus, entry);
        return r;
}

int vcpus_add(VCPUs *vcpus, uint32_t index, const VCPUSetup *setup, Detail *detail) {
        VCPUEntry *entry;
        int r;

        r = find_or_make(vcpus, index, &entry, detail);
        if (r == 0 && setup->mode == VCPU_MODE_LONG)
                r = write_tables(vcpus, setup, detail);
        if (r == 0)
                r = vcpu_reset(entry->vcpu, setup, detail);
        if (r == 0)
                make_present(vcpus, entry);
        return r;
}

int vcpus_find(const VCPUs *vcpus, uint32_t index, VCPU **ret, Detail *detail) {
        const VCPUEntry *entry = find_entry(vcpus, index);

        if (!entry || !entry->present)
                return detail_set(detail, VM_E_NO_SUCH_VCPU, "VM \"%s\" has no vCPU %u",
                                  vcpus->vm->name, index);
        *ret = entry->vcpu;
        return 0;
}

int vcpus_remove(VCPUs *vcpus, uint32_t index, Detail *detail) {
        VCPU *vcpu;
        int r;

        r = vcpus_find(vcpus, index, &vcpu, detail);
        if (r != 0)
                return r;
        if (vcpu_state(vcpu) == VCPU_RUNNING)
                return detail_set(detail, MAP_E_IN_USE, "vCPU %u is running", index);
        find_entry(vcpus, index)->present = false;
        return 0;
}

void vcpus_undo_remove(VCPUs *vcpus, uint32_t index) {
        find_entry(vcpus, index)->present = true;
}

static bool take_ends(VCPUs *vcpus, bool *ran) {
        bool all = true;

        for (VCPU *vcpu = vcpus_next(vcpus, NULL); vcpu; vcpu = vcpus_next(vcpus, vcpu)) {
                VCPUEnd end;

                if (vcpu_take_end(vcpu, &end) &&
                    !(end.state == VCPU_STOPPED && strcmp(end.reason.text, "stop") == 0))
                        ran[vcpu_index(vcpu)] = false;
                all = all && vcpu_state(vcpu) != VCPU_RUNNING;
        }
        return all;
}

int vcpus_stop(VCPUs *vcpus, uint64_t usec, bool *ran, Detail *detail) {
        struct pollfd ended = {.fd = vcpus->ended_fd, .events = POLLIN};
        eventfd_t n;

        for (VCPU *vcpu = vcpus_next(vcpus, NULL); vcpu; vcpu = vcpus_next(vcpus, vcpu)) {
                ran[vcpu_index(vcpu)] = vcpu_state(vcpu) == VCPU_RUNNING && !vcpu_is_stepping(vcpu);
                vcpu_stop(vcpu);
        }
        while (!take_ends(vcpus, ran)) {
                if (poll(&ended, 1, (int)(usec / 1000)) == 0)
                        return detail_set(detail, MAP_E_IN_USE, "a vCPU does not stop");
                (void)eventfd_read(vcpus->ended_fd, &n);
        }
        return 0;
}

void vcpus_clear(VCPUs *vcpus) {
        for (size_t i = 0; i < vcpus->n; i++)
                vcpus->items[i].present = false;
}

uint64_t vcpus_n_unanswered(const VCPUs *vcpus, const VCPU *vcpu) {
        const Guest *guest = find_entry(vcpus, vcpu_index(vcpu))->guest;

        return n_unanswered(guest) + n_unanswered(&vcpus->coalesced) - guest->n_before;
}

uint64_t vcpus_n_exits(const VCPUs *vcpus, unsigned kind) {
        uint64_t n = 0;

        for (size_t i = 0; i < vcpus->n; i++)
                n += vcpu_n_exits_ever(vcpus->items[i].vcpu, kind);
        return n;
}

VCPU *vcpus_next(const VCPUs *vcpus, const VCPU *after) {
        for (size_t i = after ? position(vcpus, vcpu_index(after)) + 1 : 0; i < vcpus->n; i++)
                if (vcpus->items[i].present)
                        return vcpus->items[i].vcpu;
        return NULL;
}

void vcpus_pause(VCPUs *vcpus) {
        vcpus->paused = true;
        run_gate_close(&vcpus->vm->gate);
}

void vcpus_resume(VCPUs *vcpus) {
        vcpus->paused = false;
        run_gate_open(&vcpus->vm->gate);
}

bool vcpus_are_paused(const VCPUs *vcpus) {
        return vcpus->paused;
}
