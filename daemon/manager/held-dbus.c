/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <systemd/sd-bus.h>

#include "daemon/manager/audit.h"
#include "daemon/manager/caller-dbus.h"
#include "daemon/manager/error-dbus.h"
#include "daemon/manager/held-dbus.h"
#include "daemon/manager/manager.h"

#define HELD_USEC 20000000

typedef struct HeldCall HeldCall;

struct HeldCall {
        VM *vm;
        Caller *caller;
        struct cds_list_head of_vm;
        struct cds_list_head of_caller;
        sd_bus_message *call;
        size_t bytes;
        uint64_t overdue; /* CLOCK_MONOTONIC, µs */
};

void held_init(HeldCalls *held) {
        *held = (HeldCalls){};
        CDS_INIT_LIST_HEAD(&held->calls);
}

static void held_call_free(HeldCall *call) {
        HeldCalls *held = &call->vm->held;

        cds_list_del(&call->of_vm);
        cds_list_del(&call->of_caller);
        call->caller->n_calls--;
        call->caller->user->n_calls--;
        call->caller->user->n_bytes -= call->bytes;
        held->n--;
        held->bytes -= call->bytes;
        if (held->n == 0)
                held->overdue = sd_event_source_disable_unref(held->overdue);
        sd_bus_message_unref(call->call);
        free(call);
}

static HeldCall *oldest(VM *vm) {
        if (cds_list_empty(&vm->held.calls))
                return NULL;
        return cds_list_first_entry(&vm->held.calls, HeldCall, of_vm);
}

static void refuse(HeldCall *call, const char *why) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        error_set(&error, GUESTMAP_ERROR_VM_GONE, "VM \"%s\": %s; the call had no effect",
                  call->vm->name, why);
        audit_call(call->vm->manager, call->caller->uid, call->call, &error);
        error_reply(call->call, &error);
        held_call_free(call);
}

static int on_overdue(sd_event_source *source, uint64_t usec, void *userdata) {
        VM *vm = userdata;
        HeldCall *call;

        while ((call = oldest(vm)) && call->overdue <= usec)
                refuse(call, "its process is not back yet");
        if (!call)
                return 0;
        (void)sd_event_source_set_time(source, call->overdue);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int expect_overdue(VM *vm, uint64_t usec) {
        if (vm->held.overdue)
                return 0;
        return sd_event_add_time(vm->manager->event, &vm->held.overdue, CLOCK_MONOTONIC, usec, 0,
                                 on_overdue, vm);
}

int held_add(VM *vm, Caller *caller, sd_bus_message *m, size_t bytes) {
        HeldCall *call;
        uint64_t now;
        int r;

        r = sd_event_now(vm->manager->event, CLOCK_MONOTONIC, &now);
        if (r < 0)
                return r;
        call = malloc(sizeof(*call));
        if (!call)
                return -ENOMEM;
        r = expect_overdue(vm, now + HELD_USEC);
        if (r < 0) {
                free(call);
                return r;
        }
        *call = (HeldCall){
                .vm = vm,
                .caller = caller,
                .call = sd_bus_message_ref(m),
                .bytes = bytes,
                .overdue = now + HELD_USEC,
        };
        cds_list_add_tail(&call->of_vm, &vm->held.calls);
        cds_list_add_tail(&call->of_caller, &caller->held);
        caller->n_calls++;
        caller->user->n_calls++;
        caller->user->n_bytes += bytes;
        vm->held.n++;
        vm->held.bytes += bytes;
        return 0;
}

sd_bus_message *held_take(VM *vm, Caller **ret_caller, size_t *ret_bytes) {
        HeldCall *call = oldest(vm);
        sd_bus_message *m;

        if (!call)
                return NULL;
        *ret_caller = call->caller;
        *ret_bytes = call->bytes;
        m = TAKE_PTR(call->call);
        held_call_free(call);
        return m;
}

void held_refuse(VM *vm, const char *why) {
        HeldCall *call;

        while ((call = oldest(vm)))
                refuse(call, why);
}

void held_drop_caller(Caller *caller) {
        HeldCall *call, *next;

        cds_list_for_each_entry_safe(call, next, &caller->held, of_caller) {
                audit_call(caller->manager, caller->uid, call->call, &audit_never_sent);
                held_call_free(call);
        }
}
