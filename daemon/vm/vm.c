/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "daemon/vm/vm.h"

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
        r = listener_register(slots_listener(slots), vm->map, detail);
        if (r != 0)
                return r;
        vm->slots = TAKE_PTR(slots);
        return 0;
}

int vm_new(VM **ret, const char *name, const char *id, uint32_t owner, const char *accelerator,
           const char *memory_space, Detail *detail) {
        _cleanup_(vm_freep) VM *vm = NULL;
        int r;

        if (!map_name_is_valid(memory_space))
                return detail_set(detail, MAP_E_INVALID_NAME,
                                  "memory-space \"%.128s\": an address space's name is 1 to 128 "
                                  "bytes of UTF-8 without control characters",
                                  memory_space);
        vm = calloc(1, sizeof(*vm));
        if (!vm)
                return -ENOMEM;
        vm->owner = owner;
        vm->name = strdup(name);
        vm->id = strdup(id);
        vm->memory_space = strdup(memory_space);
        if (!vm->name || !vm->id || !vm->memory_space)
                return -ENOMEM;
        r = map_new(&vm->map, &map_limits_default);
        if (r != 0)
                return r;
        r = vm_make_accelerator(vm, accelerator, detail);
        if (r != 0)
                return r;
        r = vm_make_slots(vm, detail);
        if (r != 0)
                return r;
        *ret = TAKE_PTR(vm);
        return 0;
}

VM *vm_free(VM *vm) {
        if (!vm)
                return NULL;
        if (vm->slots)
                listener_unregister(slots_listener(vm->slots), vm->map);
        slots_free(vm->slots);
        accelerator_free(vm->accelerator);
        map_free(vm->map);
        free(vm->memory_space);
        free(vm->id);
        free(vm->name);
        free(vm);
        return NULL;
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

int vm_equip_edit(VM *vm, Edit *edit, Detail *detail) {
        int r;

        if (edit->verb != EDIT_ADD_REGION || edit->backing || !region_kind_has_backing(edit->kind))
                return 0;
        r = backing_new_memfd(&edit->backing, vm->last_backing + 1, edit->name, edit->size, detail);
        if (r == 0)
                vm->last_backing++;
        return r;
}
