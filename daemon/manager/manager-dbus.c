/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/stat.h>

#include "api/names.h"
#include "daemon/manager/audit.h"
#include "daemon/manager/creation-dbus.h"
#include "daemon/manager/departure-dbus.h"
#include "daemon/manager/error-dbus.h"
#include "daemon/manager/manager-dbus.h"
#include "daemon/manager/metrics-dbus.h"
#include "daemon/manager/quota.h"

static int read_vm(Manager *manager, sd_bus_message *m, bool stopped_too, VM **ret,
                   sd_bus_error *error) {
        const char *name;
        bool there;
        VM *vm;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        *ret = vm = registry_find(&manager->registry, name);
        there = vm && (vm_is_visible(vm) || (stopped_too && vm->phase == VM_STOPPED));
        if (!there && manager->n_awaited > 0)
                return error_set(error, GUESTMAP_ERROR_VM_GONE,
                                 "VM \"%.*s\" was not found again so far; the call had no effect",
                                 error_quotable(name), name);
        if (!there)
                return error_set(error, GUESTMAP_ERROR_NO_SUCH_VM, "no VM \"%.*s\"",
                                 error_quotable(name), name);
        return 0;
}

static int method_create_vm(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return audit_failure(creation_method(userdata, m, error), userdata, m, error);
}

static int destroy_vm(Manager *manager, sd_bus_message *m, sd_bus_error *error) {
        VM *vm;
        int r;

        r = read_vm(manager, m, true, &vm, error);
        if (r < 0)
                return r;
        if (vm->phase == VM_LEAVING)
                return error_set(error, GUESTMAP_ERROR_VM_GONE, "VM \"%s\" is being destroyed",
                                 vm->name);
        return departure_method(vm, m, error);
}

static int method_destroy_vm(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return audit_failure(destroy_vm(userdata, m, error), userdata, m, error);
}

static int method_get_vm(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        VM *vm;
        int r;

        r = read_vm(userdata, m, false, &vm, error);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(m, "o", vm->path);
}

static int append_vms(Manager *manager, sd_bus_message *m) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "(sots)");
        for (VM *vm = registry_first(&manager->registry); r >= 0 && vm; vm = registry_next(vm))
                if (vm_is_visible(vm))
                        r = sd_bus_message_append(m, "(sots)", vm->name, vm->path, vm->generation,
                                                  vm->state);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int method_list_vms(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = append_vms(userdata, reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(m, "s", GUESTMAP_VERSION);
}

/* What the first version of the contract has goes without saying. */
static int get_features(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(m, "as", 0);
}

/*
 * As a unit the VM's process is in the group kvm, which guestmapd is not. Whose file it is cannot
 * be seen from its user namespace: that the group is that one is taken for granted.
 */
static bool kvm_is_open_to_units(void) {
        struct stat status;

        return stat("/dev/kvm", &status) == 0 && S_ISCHR(status.st_mode) &&
               ((status.st_mode & 0060) == 0060 || (status.st_mode & 0006) == 0006);
}

static int get_kvm_available(sd_bus *bus, const char *path, const char *interface,
                             const char *property, sd_bus_message *m, void *userdata,
                             sd_bus_error *error) {
        Manager *manager = userdata;
        bool available = manager->settings.units ? kvm_is_open_to_units()
                                                 : access("/dev/kvm", R_OK | W_OK) == 0;

        return sd_bus_message_append(m, "b", available);
}

static int get_limits(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Manager *manager = userdata;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{st}");
        for (Quota quota = 0; r >= 0 && quota < QUOTA_COUNT; quota++)
                r = sd_bus_message_append(m, "{st}", quota_to_string(quota),
                                          manager->quotas.limits[quota]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

#define OPEN  SD_BUS_VTABLE_UNPRIVILEGED
#define CONST SD_BUS_VTABLE_PROPERTY_CONST

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("CreateVM", SD_BUS_ARGS("s", name, "a{sv}", options),
                                SD_BUS_RESULT("o", vm), method_create_vm, OPEN),
        SD_BUS_METHOD_WITH_ARGS("DestroyVM", SD_BUS_ARGS("s", name, "a{sv}", options),
                                SD_BUS_NO_RESULT, method_destroy_vm, OPEN),
        SD_BUS_METHOD_WITH_ARGS("GetVM", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", vm),
                                method_get_vm, OPEN),
        SD_BUS_METHOD_WITH_ARGS("GetMetrics", SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("a(ssssa(sa{ss}d))", families), method_get_metrics,
                                OPEN),
        SD_BUS_METHOD_WITH_ARGS("ListVMs", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sots)", vms),
                                method_list_vms, OPEN),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, CONST),
        SD_BUS_PROPERTY("Features", "as", get_features, 0, CONST),
        SD_BUS_PROPERTY("KVMAvailable", "b", get_kvm_available, 0, 0),
        SD_BUS_PROPERTY("Limits", "a{st}", get_limits, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_SIGNAL_WITH_ARGS("VMNew", SD_BUS_ARGS("s", name, "o", vm, "a{sv}", details), 0),
        SD_BUS_SIGNAL_WITH_ARGS("VMRemoved", SD_BUS_ARGS("s", name, "o", vm, "a{sv}", details), 0),
        SD_BUS_VTABLE_END,
};

int manager_register(Manager *manager) {
        return sd_bus_add_object_vtable(manager->bus, NULL, GUESTMAP_PATH,
                                        GUESTMAP_INTERFACE_MANAGER, manager_vtable, manager);
}

void manager_tell_limits(Manager *manager) {
        if (manager->bus)
                (void)sd_bus_emit_properties_changed(manager->bus, GUESTMAP_PATH,
                                                     GUESTMAP_INTERFACE_MANAGER, "Limits", NULL);
}
