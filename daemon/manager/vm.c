/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>
#include <string.h>

#include "daemon/manager/caller-dbus.h"
#include "daemon/manager/link-dbus.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/vm-dbus.h"
#include "daemon/manager/vm.h"

#define LETTERS     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS      "0123456789"
#define ID_PART_LEN 24

bool vm_name_is_valid(const char *name) {
        size_t length = strspn(name, LETTERS DIGITS "_.-");

        return isalnum((unsigned char)name[0]) && name[length] == '\0' && length <= VM_NAME_MAX;
}

/* Also a part of a user name: "gm-" and this have to make one that systemd takes. */
bool vm_instance_is_valid(const char *instance) {
        size_t length = strspn(instance, LETTERS DIGITS "_-");

        return length > 0 && instance[length] == '\0' && length <= VM_INSTANCE_MAX;
}

/* No name begins with an underscore, so that what is made of an id is never another VM's name. */
static char *choose_instance(const char *name, const char *id) {
        char *instance;

        if (vm_instance_is_valid(name))
                return strdup(name);
        return asprintf(&instance, "_%.*s", ID_PART_LEN, id) < 0 ? NULL : instance;
}

int vm_new(VM **ret, Manager *manager) {
        VM *vm = calloc(1, sizeof(*vm));

        if (!vm)
                return -ENOMEM;
        vm->manager = manager;
        cds_list_add_tail(&vm->siblings, &manager->vms);
        CDS_INIT_LIST_HEAD(&vm->introductions);
        held_init(&vm->held);
        vm->phase = VM_STARTING;
        *ret = vm;
        return 0;
}

void vm_free_words(char **words) {
        for (char **word = words; word && *word; word++)
                free(*word);
        free(words);
}

void vm_await(VM *vm) {
        vm->awaited = true;
        vm->manager->n_awaited++;
}

/* It is not awaited any more. */
static void vm_known(VM *vm) {
        if (!vm->awaited)
                return;
        vm->awaited = false;
        if (--vm->manager->n_awaited == 0)
                manager_settled(vm->manager);
}

VM *vm_free(VM *vm) {
        if (!vm)
                return NULL;
        cds_list_del(&vm->siblings);
        if (vm->path)
                registry_unlink(&vm->manager->registry, vm);
        vm_known(vm);
        status_changed(&vm->manager->status);
        callers_forget_vm(vm);
        link_free(vm->link);
        process_free(vm->process);
        fd_store_free(vm->store);
        held_refuse(vm, "guestmapd ends");
        sd_event_source_disable_unref(vm->retry);
        sd_event_source_disable_unref(vm->timer);
        sd_event_source_disable_unref(vm->refresh);
        vm_drop_messages(vm);
        ration_forget(vm);
        free(vm->name);
        free(vm->path);
        free(vm->instance);
        free(vm->id);
        free(vm->state);
        free(vm->reason);
        free(vm->accelerator);
        vm_free_words(vm->lost);
        free(vm);
        return NULL;
}

static int set_instance(VM *vm) {
        _cleanup_(freep) char *instance = choose_instance(vm->name, vm->id);

        if (!instance)
                return -ENOMEM;
        if (vm->instance)
                return strcmp(vm->instance, instance) == 0 ? 0 : -EINVAL;
        vm->instance = TAKE_PTR(instance);
        return 0;
}

int vm_set_identity(VM *vm, const char *name, const char *id) {
        _cleanup_(freep) char *path = NULL;
        int r;

        vm->name = strdup(name);
        vm->id = strdup(id);
        if (!vm->name || !vm->id)
                return -ENOMEM;
        r = set_instance(vm);
        if (r < 0)
                return r;
        r = vm_path_from_name(&path, name);
        if (r < 0)
                return r;
        r = registry_link(&vm->manager->registry, vm);
        if (r < 0)
                return r;
        vm->path = TAKE_PTR(path); /* what says that it is in the registry */
        return 0;
}

void vm_forget_identity(VM *vm) {
        registry_unlink(&vm->manager->registry, vm);
        free(vm->path);
        free(vm->name);
        free(vm->id);
        vm->path = vm->name = vm->id = NULL;
}

int vm_set_state(VM *vm, const char *state) {
        char *copy = strdup(state);

        if (!copy)
                return -ENOMEM;
        free(vm->state);
        vm->state = copy;
        return 0;
}

void vm_set_reason(VM *vm, const char *reason) {
        free(vm->reason);
        vm->reason = strdup(reason);
}

void vm_set_phase(VM *vm, VMPhase phase) {
        vm->phase = phase;
        status_changed(&vm->manager->status);
        if (phase == VM_RECOVERING)
                held_expect_overdue(vm);
        if (phase == VM_LIVING || phase == VM_CRASHED)
                vm_known(vm);
}

void vm_rest(VM *vm) {
        vm->retry = sd_event_source_disable_unref(vm->retry);
        vm->timer = sd_event_source_disable_unref(vm->timer);
        vm->refresh = sd_event_source_disable_unref(vm->refresh);
        vm->store = fd_store_free(vm->store);
        vm_drop_messages(vm);
        ration_forget(vm);
        vm->ration = (Ration){};
        vm->announced = vm->started = vm->folding = false;
        vm->attempts = vm->step = 0;
        vm->regions = 0;
        vm_set_phase(vm, VM_STOPPED);
        vm_known(vm);
}
