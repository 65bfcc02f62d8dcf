/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "daemon/manager/audit.h"
#include "daemon/manager/auth.h"
#include "daemon/manager/error-dbus.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/rights.h"
#include "daemon/manager/vm-dbus.h"

uint32_t auth_rights(Caller *caller, VM *vm) {
        if (caller->manager->settings.user || caller->uid == 0 || (vm && vm->owner == caller->uid))
                return GUESTMAP_RIGHTS_ALL;
        return GUESTMAP_RIGHT_INSPECT;
}

static VM *vm_of_argument(Manager *manager, sd_bus_message *m) {
        const char *name;
        VM *vm = NULL;

        if (sd_bus_message_read(m, "s", &name) >= 0)
                vm = registry_find(&manager->registry, name);
        (void)sd_bus_message_rewind(m, 1);
        return vm;
}

/* Whether a call is about a VM, even if about none that there is. */
static bool is_about_vm(Manager *manager, sd_bus_message *m, VM **ret) {
        const char *path = sd_bus_message_get_path(m);
        size_t n = strlen(GUESTMAP_PATH_VM);

        if (strncmp(path, GUESTMAP_PATH_VM, n) == 0 && path[n] == '/')
                *ret = vm_from_path(manager, path);
        else if (sd_bus_message_is_method_call(m, GUESTMAP_INTERFACE_MANAGER, "DestroyVM"))
                *ret = vm_of_argument(manager, m);
        else
                return false;
        return true;
}

static int refuse(Caller *caller, VM *vm, sd_bus_message *m, uint32_t needed, sd_bus_error *error) {
        const char *interface = sd_bus_message_get_interface(m);

        if (!vm)
                return error_set(error, ERROR_ACCESS_DENIED,
                                 "%s.%s: uid %u may not %s VMs, only root may",
                                 interface ? interface : "?", sd_bus_message_get_member(m),
                                 caller->uid, rights_verb(needed));
        return error_set(error, ERROR_ACCESS_DENIED,
                         "%s.%s: uid %u may not %s VM \"%s\", only its owner %u and root may",
                         interface ? interface : "?", sd_bus_message_get_member(m), caller->uid,
                         rights_verb(needed), vm->name, vm->owner);
}

static int check_rights(Caller *caller, sd_bus_message *m, sd_bus_error *error) {
        uint32_t needed;
        VM *vm = NULL;

        /* Where there is no VM there is nothing to guard: the handler says that there is none. */
        if (is_about_vm(caller->manager, m, &vm) && !vm)
                return 0;
        needed = rights_needed(sd_bus_message_get_interface(m), sd_bus_message_get_member(m));
        if ((needed & ~auth_rights(caller, vm)) == 0)
                return 0;
        audit_denied(caller, vm, m);
        return refuse(caller, vm, m, needed, error);
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *sender = sd_bus_message_get_sender(m);
        Manager *manager = userdata;
        Caller *caller;
        int r;

        if (!sd_bus_message_is_method_call(m, NULL, NULL))
                return 0;
        if (!sender) /* no bus leaves it out */
                return error_set(error, ERROR_ACCESS_DENIED, "the call has no sender");
        r = callers_get(manager, sender, &caller);
        if (r < 0)
                return r;
        r = caller_stand_in_line(caller, m, error);
        if (r != 0)
                return r;
        return check_rights(caller, m, error);
}

int auth_register(Manager *manager) {
        return sd_bus_add_filter(manager->bus, NULL, on_message, manager);
}
