/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>
#include <systemd/sd-bus.h>

#include "daemon/common/log.h"
#include "daemon/manager/audit.h"
#include "daemon/manager/caller-dbus.h"
#include "daemon/manager/error-dbus.h"
#include "daemon/manager/held-dbus.h"
#include "daemon/manager/manager.h"

#define HELD_USEC 20000000

/* Calls of one caller. */
struct HeldLine {
        VM *vm;
        struct cds_list_head of_vm;
        struct cds_list_head of_caller; /* in Caller.held */
        struct cds_list_head calls;     /* oldest first; there are some */
};

void held_init(HeldCalls *held) {
        *held = (HeldCalls){};
        CDS_INIT_LIST_HEAD(&held->calls);
        CDS_INIT_LIST_HEAD(&held->lines);
}

/* Callers have calls held of few VMs at a time. */
static HeldLine *find_line(VM *vm, Caller *caller) {
        HeldLine *line;

        cds_list_for_each_entry(line, &caller->held, of_caller)
                if (line->vm == vm)
                        return line;
        return NULL;
}

static int get_line(HeldLine **ret, VM *vm, Caller *caller) {
        HeldLine *line = find_line(vm, caller);

        if (!line) {
                line = malloc(sizeof(*line));
                if (!line)
                        return -ENOMEM;
                line->vm = vm;
                CDS_INIT_LIST_HEAD(&line->calls);
                cds_list_add_tail(&line->of_vm, &vm->held.lines);
                cds_list_add_tail(&line->of_caller, &caller->held);
        }
        *ret = line;
        return 0;
}

static void pass_turn(HeldLine *line) {
        cds_list_del(&line->of_vm);
        if (!cds_list_empty(&line->calls)) {
                cds_list_add_tail(&line->of_vm, &line->vm->held.lines);
                return;
        }
        cds_list_del(&line->of_caller);
        free(line);
}

static void count(VM *vm, Caller *caller, ssize_t calls, ssize_t bytes) {
        caller->n_calls += (size_t)calls;
        caller->user->n_calls += (size_t)calls;
        caller->user->n_bytes += (size_t)bytes;
        vm->held.n += (size_t)calls;
        vm->held.bytes += (size_t)bytes;
}

void held_call_free(HeldCall *call) {
        count(call->vm, call->caller, -1, -(ssize_t)call->bytes);
        cds_list_del(&call->of_vm);
        cds_list_del(&call->siblings);
        pass_turn(call->line);
        sd_bus_message_unref(call->call);
        if (call->vm->held.n == 0)
                call->vm->held.overdue = sd_event_source_disable_unref(call->vm->held.overdue);
        free(call);
}

static HeldCall *oldest(VM *vm) {
        if (cds_list_empty(&vm->held.calls))
                return NULL;
        return cds_list_first_entry(&vm->held.calls, HeldCall, of_vm);
}

HeldCall *held_next(VM *vm) {
        HeldLine *line;

        if (cds_list_empty(&vm->held.lines))
                return NULL;
        line = cds_list_first_entry(&vm->held.lines, HeldLine, of_vm);
        return cds_list_first_entry(&line->calls, HeldCall, siblings);
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

        if (vm->phase != VM_RECOVERING)
                return 0;
        while ((call = oldest(vm)) && call->overdue <= usec)
                refuse(call, "its process is not back yet");
        if (!call)
                return 0;
        (void)sd_event_source_set_time(source, call->overdue);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* The oldest one is told at `usec`. */
static int expect_overdue(VM *vm, uint64_t usec) {
        HeldCalls *held = &vm->held;
        int r;

        if (!held->overdue)
                return sd_event_add_time(vm->manager->event, &held->overdue, CLOCK_MONOTONIC, usec,
                                         0, on_overdue, vm);
        r = sd_event_source_set_time(held->overdue, usec);
        return r < 0 ? r : sd_event_source_set_enabled(held->overdue, SD_EVENT_ONESHOT);
}

static int get_overdue(VM *vm, uint64_t *ret) {
        int r;

        r = sd_event_now(vm->manager->event, CLOCK_MONOTONIC, ret);
        if (r < 0)
                return r;
        *ret += HELD_USEC;
        return 0;
}

void held_expect_overdue(VM *vm) {
        HeldCall *call = oldest(vm);
        uint64_t overdue;
        int r;

        if (!call)
                return;
        r = get_overdue(vm, &overdue);
        if (r >= 0)
                r = expect_overdue(vm, overdue);
        if (r < 0) {
                log_vm(LOG_ERR, vm->name, "can't limit how long calls wait: %s", strerror(-r));
                return;
        }
        cds_list_for_each_entry(call, &vm->held.calls, of_vm)
                call->overdue = overdue;
}

static int limit_wait(VM *vm, uint64_t *ret_overdue) {
        int r;

        *ret_overdue = 0;
        if (vm->phase != VM_RECOVERING)
                return 0;
        r = get_overdue(vm, ret_overdue);
        return r < 0 || vm->held.n > 0 ? r : expect_overdue(vm, *ret_overdue);
}

int held_add(VM *vm, Caller *caller, sd_bus_message *m, size_t bytes) {
        _cleanup_(freep) HeldCall *call = malloc(sizeof(*call));
        uint64_t overdue;
        HeldLine *line;
        int r;

        if (!call)
                return -ENOMEM;
        r = limit_wait(vm, &overdue);
        if (r < 0)
                return r;
        r = get_line(&line, vm, caller);
        if (r < 0)
                return r;
        *call = (HeldCall){
                .vm = vm,
                .caller = caller,
                .line = line,
                .call = sd_bus_message_ref(m),
                .bytes = bytes,
                .rights = caller->rights,
                .overdue = overdue,
        };
        cds_list_add_tail(&call->of_vm, &vm->held.calls);
        cds_list_add_tail(&call->siblings, &line->calls);
        TAKE_PTR(call);
        count(vm, caller, 1, (ssize_t)bytes);
        return 0;
}

void held_refuse(VM *vm, const char *why) {
        HeldCall *call;

        while ((call = oldest(vm)))
                refuse(call, why);
}

/* The line goes with the last of its calls. */
void held_drop_caller(Caller *caller) {
        HeldLine *line;
        HeldCall *call;

        while (!cds_list_empty(&caller->held)) {
                line = cds_list_first_entry(&caller->held, HeldLine, of_caller);
                call = cds_list_first_entry(&line->calls, HeldCall, siblings);
                audit_call(caller->manager, caller->uid, call->call, &audit_never_sent);
                held_call_free(call);
        }
}
