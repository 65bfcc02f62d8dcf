/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "api/names.h"
#include "daemon/common/audit-dbus.h"
#include "daemon/common/log.h"
#include "daemon/vm/audit-dbus.h"
#include "daemon/vm/error-dbus.h"
#include "daemon/vm/nodes-dbus.h"
#include "daemon/vm/service-dbus.h"
#include "daemon/vm/share.h"
#include "daemon/vm/vcpu-dbus.h"
#include "daemon/vm/vcpus.h"

struct VCPUCall {
        struct cds_list_head link; /* in Service.vcpu_calls */
        sd_bus_message *m;
        uint32_t index;
        uint32_t uid; /* who waits */
};

static const Share call_share = {
        .what = "wait for vCPUs to stop",
        .max = VCPU_CALLS_MAX,
        .reserved = VCPU_CALLS_RESERVED,
        .user_max = VCPU_CALLS_USER_MAX,
};

int vcpu_path(const Service *service, uint32_t index, char **ret) {
        return asprintf(ret, "%s/%" PRIu32, service->vcpu_prefix, index) < 0 ? -ENOMEM : 0;
}

/* The index that a path ends in, as we write it; false: it has another form. */
static bool index_of(const char *path, const char *prefix, uint32_t *ret) {
        char *end, canonical[16];
        unsigned long index;

        if (strlen(path) <= strlen(prefix) + 1)
                return false;
        path += strlen(prefix) + 1;
        index = strtoul(path, &end, 10);
        snprintf(canonical, sizeof(canonical), "%lu", index);
        *ret = (uint32_t)index;
        return index <= UINT32_MAX && strcmp(path, canonical) == 0;
}

int vcpu_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                     void **ret_found, sd_bus_error *error) {
        Service *service = userdata;
        uint32_t index;
        Detail detail;
        VCPU *vcpu;
        int r;

        if (!index_of(path, service->vcpu_prefix, &index))
                return 0;
        r = vcpus_find(service->vm->vcpus, index, &vcpu, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        *ret_found = vcpu;
        return 1;
}

int vcpu_objects_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                           sd_bus_error *error) {
        _cleanup_(nodes_deinit) Nodes nodes = {};
        Service *service = userdata;
        int r;

        if (!node_is_within(service->vcpu_prefix, prefix))
                return 0;
        for (VCPU *vcpu = vcpus_next(service->vm->vcpus, NULL); vcpu;
             vcpu = vcpus_next(service->vm->vcpus, vcpu)) {
                _cleanup_(freep) char *path = NULL;

                r = vcpu_path(service, vcpu_index(vcpu), &path);
                if (r == 0)
                        r = nodes_add_path(&nodes, path);
                if (r < 0)
                        return r;
        }
        nodes_take(&nodes, ret_nodes);
        return 0;
}

static VCPUCall *call_free(VCPUCall *call) {
        if (!call)
                return NULL;
        cds_list_del(&call->link);
        sd_bus_message_unref(call->m);
        free(call);
        return NULL;
}
DEFINE_CLEANUP(VCPUCall *, call_free);

static int check_new(const Service *service, uint32_t uid, Detail *detail) {
        const VCPUCall *other;
        size_t n = 0, n_user = 0;

        cds_list_for_each_entry(other, &service->vcpu_calls, link) {
                n++;
                n_user += other->uid == uid;
        }
        return share_check(&call_share, service->vm, n, uid, n_user, detail);
}

/* Waits from now on: before anything is done that it is to wait for. */
static int call_new(VCPUCall **ret, Service *service, sd_bus_message *m, const VCPU *vcpu,
                    Detail *detail) {
        uint32_t uid = service_caller_uid(service, m);
        VCPUCall *call;
        int r;

        r = check_new(service, uid, detail);
        if (r != 0)
                return r;
        call = malloc(sizeof(*call));
        if (!call)
                return -ENOMEM;
        *call = (VCPUCall){.m = sd_bus_message_ref(m), .index = vcpu_index(vcpu), .uid = uid};
        cds_list_add_tail(&call->link, &service->vcpu_calls);
        audit_wait(service, m);
        *ret = call;
        return 0;
}

static void answer_calls(Service *service, uint32_t index) {
        VCPUCall *call, *next;

        cds_list_for_each_entry_safe(call, next, &service->vcpu_calls, link) {
                if (call->index != index)
                        continue;
                answer(service, call->m, "");
                call_free(call);
        }
}

void vcpu_calls_drop(Service *service, const char *caller) {
        VCPUCall *call, *next;

        cds_list_for_each_entry_safe(call, next, &service->vcpu_calls, link) {
                if (!sender_is(service, call->m, caller))
                        continue;
                answer_caller_left(service, call->m);
                call_free(call);
        }
}

static int tell_state(Service *service, const VCPU *vcpu, const VCPUEnd *end) {
        _cleanup_(freep) char *path = NULL;
        int r;

        if (!service->bus)
                return 0;
        r = vcpu_path(service, vcpu_index(vcpu), &path);
        if (r < 0)
                return r;
        r = sd_bus_emit_properties_changed(service->bus, path, GUESTMAP_INTERFACE_VCPU, "State",
                                           NULL);
        if (r < 0 || !end)
                return r;
        return sd_bus_emit_signal(service->bus, path, GUESTMAP_INTERFACE_VCPU, "Stopped", "st",
                                  end->reason.text, end->address);
}

static void try_to_tell_state(Service *service, const VCPU *vcpu, const VCPUEnd *end) {
        int r;

        r = tell_state(service, vcpu, end);
        if (r < 0)
                log_warning("cannot tell of vCPU %" PRIu32 ": %s", vcpu_index(vcpu), strerror(-r));
}

void vcpus_tell(Service *service) {
        for (VCPU *vcpu = vcpus_next(service->vm->vcpus, NULL); vcpu;
             vcpu = vcpus_next(service->vm->vcpus, vcpu)) {
                VCPUEnd end;

                if (!vcpu_take_end(vcpu, &end))
                        continue;
                answer_calls(service, vcpu_index(vcpu));
                try_to_tell_state(service, vcpu, &end);
        }
}

int on_vcpu_ended(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        eventfd_t n;

        (void)eventfd_read(fd, &n);
        vcpus_tell(userdata);
        return 0;
}

static int read_registers(sd_bus_message *m, VCPURegisters *registers, Detail *detail) {
        uint64_t value;
        const char *name;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{st}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "{st}", &name, &value)) > 0) {
                r = vcpu_register_set(registers, name, value, detail);
                if (r != 0)
                        return r;
        }
        return r;
}

static int method_set_registers(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        VCPURegisters registers;
        Detail detail = {};
        int r;

        r = vcpu_read(userdata, &registers, &detail);
        if (r == 0)
                r = read_registers(m, &registers, &detail);
        if (r == 0)
                r = vcpu_write(userdata, &registers, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        return sd_bus_reply_method_return(m, NULL);
}

static int append_registers(sd_bus_message *reply, const VCPURegisters *registers) {
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{st}");
        for (size_t i = 0; r >= 0 && vcpu_register_name(i); i++)
                r = sd_bus_message_append(reply, "{st}", vcpu_register_name(i),
                                          vcpu_register_get(registers, i));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int method_get_registers(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        VCPURegisters registers;
        Detail detail = {};
        int r;

        r = vcpu_read(userdata, &registers, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = append_registers(reply, &registers);
        if (r < 0)
                return r;
        return sd_bus_send(NULL, reply, NULL);
}

static int method_start(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Service *service = service_current(sd_bus_message_get_bus(m));
        VCPU *vcpu = userdata;
        Detail detail = {};
        int r;

        vcpus_tell(service);
        r = vcpu_start(vcpu, 0, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        r = sd_bus_reply_method_return(m, NULL);
        if (r < 0)
                return r;
        try_to_tell_state(service, vcpu, NULL);
        return 1;
}

static int method_stop(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Service *service = service_current(sd_bus_message_get_bus(m));
        VCPU *vcpu = userdata;
        Detail detail = {};
        VCPUCall *call;
        int r;

        if (vcpu_state(vcpu) != VCPU_RUNNING)
                return sd_bus_reply_method_return(m, NULL);
        r = call_new(&call, service, m, vcpu, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        vcpu_stop(vcpu);
        return 1;
}

static int step(Service *service, sd_bus_message *m, VCPU *vcpu, Detail *detail) {
        _cleanup_(call_freep) VCPUCall *call = NULL;
        uint32_t exits;
        int r;

        r = sd_bus_message_read(m, "u", &exits);
        if (r < 0)
                return r;
        if (exits == 0)
                return detail_set(detail, VM_E_INVALID_ARGUMENTS, "a step is of one exit or more");
        vcpus_tell(service);
        r = call_new(&call, service, m, vcpu, detail);
        if (r == 0)
                r = vcpu_start(vcpu, exits, detail);
        if (r != 0)
                return r;
        (void)TAKE_PTR(call);
        return 0;
}

static int method_step(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Service *service = service_current(sd_bus_message_get_bus(m));
        VCPU *vcpu = userdata;
        Detail detail = {};
        int r;

        r = step(service, m, vcpu, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        try_to_tell_state(service, vcpu, NULL);
        return 1;
}

static int get_index(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "u", vcpu_index(userdata));
}

static int get_state(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", vcpu_state_to_string(vcpu_state(userdata)));
}

static int get_exits(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{st}");
        for (unsigned kind = 0; r >= 0 && kind < N_VCPU_EXITS; kind++)
                if (vcpu_exit_word(kind))
                        r = sd_bus_message_append(reply, "{st}", vcpu_exit_word(kind),
                                                  vcpu_n_exits(userdata, kind));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_unanswered(sd_bus *bus, const char *path, const char *interface,
                          const char *property, sd_bus_message *reply, void *userdata,
                          sd_bus_error *error) {
        return sd_bus_message_append(reply, "t",
                                     vcpus_n_unanswered(service_current(bus)->vm->vcpus, userdata));
}

static int get_stop_reason(sd_bus *bus, const char *path, const char *interface,
                           const char *property, sd_bus_message *reply, void *userdata,
                           sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", vcpu_last_end(userdata)->reason.text);
}

static int get_stop_address(sd_bus *bus, const char *path, const char *interface,
                            const char *property, sd_bus_message *reply, void *userdata,
                            sd_bus_error *error) {
        return sd_bus_message_append(reply, "t", vcpu_last_end(userdata)->address);
}

const sd_bus_vtable vcpu_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("SetRegisters", SD_BUS_ARGS("a{st}", registers), SD_BUS_NO_RESULT,
                                method_set_registers, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetRegisters", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{st}", registers),
                                method_get_registers, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Start", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_start,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Stop", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_stop,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Step", SD_BUS_ARGS("u", exits), SD_BUS_NO_RESULT, method_step,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Index", "u", get_index, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", get_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Exits", "a{st}", get_exits, 0, 0),
        SD_BUS_PROPERTY("Unanswered", "t", get_unanswered, 0, 0),
        SD_BUS_PROPERTY("StopReason", "s", get_stop_reason, 0, 0),
        SD_BUS_PROPERTY("StopAddress", "t", get_stop_address, 0, 0),
        SD_BUS_SIGNAL_WITH_ARGS("Stopped", SD_BUS_ARGS("s", reason, "t", address), 0),
        SD_BUS_VTABLE_END,
};
