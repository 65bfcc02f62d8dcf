/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "api/names.h"
#include "daemon/vm/error-dbus.h"
#include "daemon/vm/options-dbus.h"
#include "daemon/vm/service-dbus.h"
#include "daemon/vm/vcpu-dbus.h"
#include "daemon/vm/vcpu-file.h"
#include "daemon/vm/vcpus-dbus.h"
#include "daemon/vm/vcpus.h"

enum { PAGE_TABLES_GIVEN = 1 << 0, MAPPED_SIZE_GIVEN = 1 << 1 };

#define MAPPED_SIZE_DEFAULT (UINT64_C(4) << 30)

static int read_setup(sd_bus_message *m, VCPUSetup *setup, Detail *detail) {
        const char *mode = "real";
        uint32_t given = 0;
        const Option options[] = {
                {"mode", 's', &mode},
                {"page-tables", 't', &setup->page_tables, 0, &given, PAGE_TABLES_GIVEN},
                {"mapped-size", 't', &setup->mapped_size, 0, &given, MAPPED_SIZE_GIVEN},
        };
        int r;

        *setup = (VCPUSetup){.mapped_size = MAPPED_SIZE_DEFAULT};
        r = options_read(m, options, ELEMENTS_OF(options), detail);
        if (r != 0)
                return r;
        r = vcpu_mode_from_string(mode);
        if (r < 0)
                return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                  "mode \"%.64s\" is none of real, flat, long", mode);
        setup->mode = (VCPUMode)r;
        if (setup->mode == VCPU_MODE_LONG && !(given & PAGE_TABLES_GIVEN))
                return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                  "mode long: page-tables must say where they are to be");
        if (setup->mode != VCPU_MODE_LONG && given)
                return detail_set(detail, VM_E_INVALID_ARGUMENTS, "mode %s: it has no page tables",
                                  mode);
        return 0;
}

static int add_vcpu(VCPUs *vcpus, sd_bus_message *m, uint32_t *ret_index, Detail *detail) {
        VCPUSetup setup;
        uint32_t index;
        int r;

        r = sd_bus_message_read(m, "u", &index);
        if (r < 0)
                return r;
        r = read_setup(m, &setup, detail);
        if (r == 0)
                r = vcpus_add(vcpus, index, &setup, detail);
        if (r != 0)
                return r;
        *ret_index = index;
        return 0;
}

/* For who comes after this process, too; those who go on without lost ones ask no more for them. */
static int note(VM *vm, Detail *detail) {
        unsigned lost = vm->lost;
        int r;

        vm->lost &= ~(unsigned)VM_LOST_VCPUS;
        r = vcpu_file_note(vm, detail);
        if (r != 0)
                vm->lost = lost;
        return r;
}

/* A vCPU of which the next process does not know is not there. */
static int add_noted(VM *vm, sd_bus_message *m, uint32_t *ret_index, Detail *detail) {
        int r;

        r = add_vcpu(vm->vcpus, m, ret_index, detail);
        if (r != 0)
                return r;
        r = note(vm, detail);
        if (r != 0)
                (void)vcpus_remove(vm->vcpus, *ret_index, NULL);
        return r;
}

static bool has_lost_vcpus(const Service *service) {
        return service->vm->lost & VM_LOST_VCPUS;
}

static void tell_state(const Service *service, bool had_lost) {
        (void)sd_bus_emit_properties_changed(service->bus, service->path, GUESTMAP_INTERFACE_VM,
                                             "State", had_lost ? "Lost" : NULL, NULL);
}

int method_add_vcpu(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(freep) char *path = NULL;
        Service *service = userdata;
        bool had_lost = has_lost_vcpus(service);
        Detail detail = {};
        uint32_t index;
        int r;

        r = add_noted(service->vm, m, &index, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        r = vcpu_path(service, index, &path);
        if (r < 0)
                return r;
        r = sd_bus_reply_method_return(m, "o", path);
        if (r < 0)
                return r;
        if (had_lost)
                tell_state(service, true);
        (void)sd_bus_emit_object_added(service->bus, path);
        return 1;
}

static int remove_vcpu(Service *service, sd_bus_message *m, uint32_t *ret_index, Detail *detail) {
        uint32_t index;
        int r;

        r = sd_bus_message_read(m, "u", &index);
        if (r < 0)
                return r;
        r = options_read_none(m, detail);
        if (r == 0)
                r = vcpus_remove(service->vm->vcpus, index, detail);
        if (r != 0)
                return r;
        r = vcpu_file_note(service->vm, detail);
        if (r != 0)
                vcpus_undo_remove(service->vm->vcpus, index);
        else
                *ret_index = index;
        return r;
}

int method_remove_vcpu(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(freep) char *path = NULL;
        Service *service = userdata;
        Detail detail = {};
        uint32_t index;
        int r;

        vcpus_tell(service);
        r = remove_vcpu(service, m, &index, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        r = vcpu_path(service, index, &path);
        if (r < 0)
                return r;
        r = sd_bus_reply_method_return(m, NULL);
        if (r < 0)
                return r;
        (void)sd_bus_emit_interfaces_removed(service->bus, path, "org.freedesktop.DBus.Peer",
                                             "org.freedesktop.DBus.Introspectable",
                                             "org.freedesktop.DBus.Properties",
                                             GUESTMAP_INTERFACE_VCPU, NULL);
        return 1;
}

static int append_vcpu(sd_bus_message *reply, const Service *service, const VCPU *vcpu) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = vcpu_path(service, vcpu_index(vcpu), &path);
        if (r < 0)
                return r;
        return sd_bus_message_append(reply, "(uos)", vcpu_index(vcpu), path,
                                     vcpu_state_to_string(vcpu_state(vcpu)));
}

int method_list_vcpus(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const Service *service = userdata;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(uos)");
        for (VCPU *vcpu = vcpus_next(service->vm->vcpus, NULL); r >= 0 && vcpu;
             vcpu = vcpus_next(service->vm->vcpus, vcpu))
                r = append_vcpu(reply, service, vcpu);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* Both or neither: the file of vCPUs has its room, the facts may find none. */
static int note_paused(Service *service, bool paused, Detail *detail) {
        VM *vm = service->vm;
        Facts facts = vm->facts;
        unsigned lost = vm->lost;
        int r;

        r = !paused && has_lost_vcpus(service) ? note(vm, detail) : 0;
        if (r != 0 || vcpus_are_paused(vm->vcpus) == paused)
                return r;
        facts.paused = paused;
        r = facts_set(vm, &facts, detail);
        if (r != 0 && vm->lost != lost) {
                vm->lost = lost;
                (void)vcpu_file_note(vm, NULL);
        }
        return r;
}

/* Pausing what is paused, and resuming what runs, is no change. */
static int set_paused(Service *service, sd_bus_message *m, bool paused, sd_bus_error *error) {
        bool had_lost = has_lost_vcpus(service);
        VCPUs *vcpus = service->vm->vcpus;
        bool changes = vcpus_are_paused(vcpus) != paused;
        Detail detail;
        int r;

        r = vcpus_check_supported(vcpus, &detail);
        if (r == 0)
                r = note_paused(service, paused, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        if (changes && paused)
                vcpus_pause(vcpus);
        else if (changes)
                vcpus_resume(vcpus);
        r = sd_bus_reply_method_return(m, NULL);
        if (r < 0)
                return r;
        had_lost = had_lost && !paused;
        if (changes || had_lost)
                tell_state(service, had_lost);
        return 1;
}

int method_pause(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return set_paused(userdata, m, true, error);
}

int method_resume(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return set_paused(userdata, m, false, error);
}

int get_pause_usec(sd_bus *bus, const char *path, const char *interface, const char *property,
                   sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Service *service = userdata;
        PauseStatistics pauses = run_gate_pauses(&service->vm->gate);

        return sd_bus_message_append(reply, "a{st}", 3, "count", pauses.count, "total",
                                     pauses.total_usec, "max", pauses.max_usec);
}
