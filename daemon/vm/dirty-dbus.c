/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/vm/dirty-dbus.h"
#include "daemon/vm/dirty.h"
#include "daemon/vm/error-dbus.h"
#include "daemon/vm/options-dbus.h"
#include "daemon/vm/service-dbus.h"

static Service *service_of(sd_bus_message *m) {
        return service_current(sd_bus_message_get_bus(m));
}

static int set_region_log(sd_bus_message *m, const Region *region, bool on) {
        _cleanup_(edit_deinit) Edit edit = {};
        int r;

        r = edit_init(&edit, EDIT_SET_REGION, region->name);
        if (r < 0)
                return r;
        edit.mask = PROPERTY_FLAGS;
        edit.flags_mask = REGION_DIRTY_LOG;
        edit.flags = on ? REGION_DIRTY_LOG : 0;
        return map_commit_edit(service_of(m), m, &edit, false);
}

int method_start_region_log(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return set_region_log(m, userdata, true);
}

int method_stop_region_log(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return set_region_log(m, userdata, false);
}

static int reply_dirty(sd_bus_message *m, const VM *vm, int fd) {
        return sd_bus_reply_method_return(m, "tth", vm->map->generation, vm->accelerator->page_size,
                                          fd);
}

int method_get_region_dirty(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(closep) int fd = -1;
        VM *vm = service_of(m)->vm;
        Detail detail = {};
        int r, clear;

        r = sd_bus_message_read(m, "b", &clear);
        if (r < 0)
                return r;
        r = dirty_get_region(vm, userdata, clear, &fd, &detail);
        return r != 0 ? error_from_outcome(error, r, &detail) : reply_dirty(m, vm, fd);
}

int method_get_vm_dirty(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        VM *vm = ((const Service *)userdata)->vm;
        _cleanup_(closep) int fd = -1;
        Detail detail = {};
        int r, clear;

        r = sd_bus_message_read(m, "b", &clear);
        if (r < 0)
                return r;
        r = dirty_get_vm(vm, clear, &fd, &detail);
        return r != 0 ? error_from_outcome(error, r, &detail) : reply_dirty(m, vm, fd);
}

static int read_reason(sd_bus_message *m, unsigned *ret, Detail *detail) {
        const char *reason;
        int r;

        r = sd_bus_message_read(m, "s", &reason);
        if (r < 0)
                return r;
        r = options_read_none(m, detail);
        return r != 0 ? r : dirty_reason_from_string(reason, ret, detail);
}

static int note_reasons(VM *vm, unsigned reasons, Detail *detail) {
        Facts facts = vm->facts;

        facts.dirty_log = reasons;
        return facts_set(vm, &facts, detail);
}

static int start_vm_log(VM *vm, unsigned reason, Detail *detail) {
        unsigned before = vm->map->log_global;
        int r;

        r = note_reasons(vm, before | reason, detail);
        if (r != 0)
                return r;
        r = map_log_global_start(vm->map, reason, detail);
        if (r != 0)
                (void)note_reasons(vm, before, NULL);
        return r;
}

int method_start_vm_log(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        VM *vm = ((const Service *)userdata)->vm;
        Detail detail = {};
        unsigned reason;
        int r;

        r = read_reason(m, &reason, &detail);
        if (r == 0)
                r = start_vm_log(vm, reason, &detail);
        return r != 0 ? error_from_outcome(error, r, &detail) : sd_bus_reply_method_return(m, NULL);
}

int method_stop_vm_log(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        VM *vm = ((const Service *)userdata)->vm;
        Detail detail = {};
        unsigned reason;
        int r;

        r = read_reason(m, &reason, &detail);
        if (r == 0)
                r = note_reasons(vm, vm->map->log_global & ~reason, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        map_log_global_stop(vm->map, reason);
        return sd_bus_reply_method_return(m, NULL);
}
