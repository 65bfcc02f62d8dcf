/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/vm/fd-store.h"
#include "daemon/vm/journal-record.h"
#include "daemon/vm/vcpus.h"
#include "daemon/vm/vm.h"
#include "lib/memory/handler-socket.h"
#include "lib/util/utf8.h"

enum {
        DESCRIPTORS_RESERVED = 256, /* for the bus, dumps, descriptors on their way */
};

/* How many descriptors may be taken by what is in the map. */
static int descriptors_max(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > INT_MAX)
                return INT_MAX;
        return (int)limit.rlim_cur - MIN_OF(DESCRIPTORS_RESERVED, (int)limit.rlim_cur / 2);
}

static int vm_make_accelerator(VM *vm, const char *name, Detail *detail) {
        int r;

        if (strcmp(name, "none") == 0)
                return accelerator_new_none(&vm->accelerator, 0);
        if (strcmp(name, "kvm") != 0)
                return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                  "accelerator \"%.64s\" is neither \"kvm\" nor \"none\"", name);
        r = kvm_probe();
        if (r < 0)
                return detail_set(detail, VM_E_NOT_SUPPORTED,
                                  "VM \"%s\": accelerator \"kvm\": /dev/kvm: %s", vm->name,
                                  strerror(-r));
        return accelerator_new_kvm(&vm->accelerator, detail);
}

static int vm_make_slots(VM *vm, Detail *detail) {
        _cleanup_(slots_freep) Slots *slots = NULL;
        int r;

        r = slots_new(&slots, vm->accelerator, vm->memory_space);
        if (r != 0)
                return r;
        slots_set_gate(slots, &vm->gate);
        r = listener_register(slots_listener(slots), vm->map, detail);
        if (r != 0)
                return r;
        vm->slots = TAKE_PTR(slots);
        return 0;
}

static int vm_make_bus(VM *vm, const char *space, bool ports, Bus **ret, Detail *detail) {
        _cleanup_(bus_freep) Bus *bus = NULL;
        int r;

        r = bus_new(&bus, vm->accelerator, space, ports);
        if (r == 0)
                r = listener_register(bus_listener(bus), vm->map, detail);
        if (r == 0)
                *ret = TAKE_PTR(bus);
        return r;
}

static int vm_make_ring(VM *vm, Detail *detail) {
        _cleanup_(coalesced_ring_freep) CoalescedRing *ring = NULL;
        int r;

        r = coalesced_ring_new(&ring, vm->accelerator);
        if (r == 0)
                r = listener_register(coalesced_ring_listener(ring), vm->map, detail);
        if (r == 0)
                vm->ring = TAKE_PTR(ring);
        return r;
}

static int vm_make_dirty_log(VM *vm, Detail *detail) {
        _cleanup_(dirty_log_freep) DirtyLog *log = NULL;
        int r;

        r = dirty_log_new(&log, vm->accelerator, vm->slots);
        if (r == 0)
                r = listener_register(dirty_log_listener(log), vm->map, detail);
        if (r == 0)
                vm->dirty_log = TAKE_PTR(log);
        return r;
}

/* In the order in which they take part in a commit. */
static int vm_make_listeners(VM *vm, Detail *detail) {
        int r;

        r = vm_make_bus(vm, vm->memory_space, false, &vm->memory_bus, detail);
        if (r == 0)
                r = vm_make_bus(vm, "io", true, &vm->port_bus, detail);
        if (r == 0)
                r = vm_make_ring(vm, detail);
        if (r == 0)
                r = vm_make_slots(vm, detail);
        if (r == 0)
                r = vm_make_dirty_log(vm, detail);
        return r;
}

static Bus *vm_free_bus(VM *vm, Bus *bus) {
        if (bus)
                listener_unregister(bus_listener(bus), vm->map);
        return bus_free(bus);
}

int vm_new(VM **ret, const char *name, const char *id, uint32_t owner, const char *accelerator,
           const char *memory_space, Detail *detail) {
        _cleanup_(vm_freep) VM *vm = NULL;
        int r;

        if (!map_name_is_valid(memory_space)) {
                char shown[64];

                utf8_show(shown, sizeof(shown), memory_space);
                return detail_set(
                        detail, MAP_E_INVALID_NAME,
                        "memory-space \"%s\": an address space's name is 1 to %d bytes of "
                        "UTF-8 without control characters",
                        shown, MAP_NAME_MAX);
        }
        vm = calloc(1, sizeof(*vm));
        if (!vm)
                return -ENOMEM;
        r = run_gate_init(&vm->gate);
        if (r < 0)
                return r;
        vm->owner = owner;
        vm->descriptors_max = descriptors_max();
        vm->name = strdup(name);
        vm->id = strdup(id);
        vm->memory_space = strdup(memory_space);
        if (!vm->name || !vm->id || !vm->memory_space)
                return -ENOMEM;
        vm->limits = vm_limits_default;
        r = map_new(&vm->map, &vm->limits.map);
        if (r != 0)
                return r;
        r = vm_make_accelerator(vm, accelerator, detail);
        if (r != 0)
                return r;
        r = vm_make_listeners(vm, detail);
        if (r != 0)
                return r;
        r = vcpus_new(&vm->vcpus, vm);
        if (r == 0)
                r = access_log_new(&vm->access_log);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(vm);
        return 0;
}

void vm_set_limits(VM *vm, const VMLimits *limits) {
        vm->limits = *limits;
        vm->map->limits = limits->map;
        if (vm->store)
                fd_store_set_limit(vm->store, limits->stored_descriptors);
}

VM *vm_free(VM *vm) {
        if (!vm)
                return NULL;
        record_free(vm->record);
        vcpus_free(vm->vcpus);
        if (vm->dirty_log)
                listener_unregister(dirty_log_listener(vm->dirty_log), vm->map);
        dirty_log_free(vm->dirty_log);
        access_log_close(vm->access_log);
        if (vm->slots)
                listener_unregister(slots_listener(vm->slots), vm->map);
        slots_free(vm->slots);
        if (vm->ring)
                listener_unregister(coalesced_ring_listener(vm->ring), vm->map);
        coalesced_ring_free(vm->ring);
        vm_free_bus(vm, vm->port_bus);
        vm_free_bus(vm, vm->memory_bus);
        run_gate_deinit(&vm->gate);
        accelerator_free(vm->accelerator);
        map_free(vm->map);
        free(vm->memory_space);
        free(vm->id);
        free(vm->name);
        free(vm);
        return NULL;
}

const char *vm_state(const VM *vm) {
        if (vm->lost & VM_LOST_VCPUS)
                return "vcpus-lost";
        return vcpus_are_paused(vm->vcpus) ? "paused" : "running";
}

static int vm_add_root(VM *vm, const char *region, uint64_t size, const char *space,
                       Detail *detail) {
        _cleanup_(edit_deinit) Edit root = {}, seen = {};
        int r;

        r = edit_init(&root, EDIT_ADD_REGION, region);
        if (r != 0)
                return r;
        root.kind = REGION_CONTAINER;
        root.size = size;
        root.flags = REGION_ENABLED;
        r = map_edit(vm->map, &root, detail);
        if (r != 0)
                return r;

        r = edit_init(&seen, EDIT_ADD_ADDRESS_SPACE, space);
        if (r != 0)
                return r;
        seen.parent = strdup(region);
        if (!seen.parent)
                return -ENOMEM;
        return map_edit(vm->map, &seen, detail);
}

int vm_populate(VM *vm, Detail *detail) {
        _cleanup_(commit_freep) Commit *commit = NULL;
        int r;

        r = vm_add_root(vm, "system", SIZE_WHOLE, "memory", detail);
        if (r != 0)
                return r;
        r = vm_add_root(vm, "io", 65536, "io", detail);
        if (r != 0)
                return r;
        r = commit_new(&commit, vm->map, detail);
        if (r != 0)
                return r;
        return commit_apply(commit, detail);
}

int vm_open_backing(const Backing *backing, bool writable, int *ret_fd, Detail *detail) {
        int r;

        r = backing_open(backing, writable, ret_fd);
        if ((r == -EACCES || r == -EPERM) && backing->passed)
                return detail_set(detail, VM_E_NOT_SUPPORTED,
                                  "backing %" PRIu64 ": guestmap-vmd, uid %u, may not open the "
                                  "file, which was passed in, for reading only: %s",
                                  backing->id, geteuid(), strerror(-r));
        if (r < 0)
                return detail_set(detail, MAP_E_NO_MEMORY,
                                  "backing %" PRIu64 ": cannot open it: %s", backing->id,
                                  strerror(-r));
        return 0;
}
