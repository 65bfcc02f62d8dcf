/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <string.h>

#include "api/private.h"
#include "daemon/common/log.h"
#include "daemon/manager/link-dbus.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/ration-dbus.h"
#include "lib/util/detail.h"

static uint64_t limit_of(const Manager *manager) {
        return manager->quotas.limits[QUOTA_RAM_BYTES_PER_USER];
}

/* Whose owner is not known yet may be anybody's. */
static bool is_of_same_user(const VM *a, const VM *b) {
        return !a->path || !b->path || a->owner == b->owner;
}

/* Whether it has yet to say what it holds, or whose it is. One that goes takes no more. */
static bool is_unclear(const VM *vm) {
        const Ration *ration = &vm->ration;

        return ration->n_asks > 0 || ((!ration->is_known || !vm->path) && vm->phase != VM_CRASHED &&
                                      vm->phase != VM_LEAVING && vm->phase != VM_STOPPED);
}

static bool is_user_unclear(const VM *vm) {
        const VM *other;

        cds_list_for_each_entry(other, &vm->manager->vms, siblings)
                if (is_of_same_user(vm, other) && is_unclear(other))
                        return true;
        return false;
}

static uint64_t held_by_others(const VM *vm) {
        uint64_t sum = 0;
        const VM *other;

        cds_list_for_each_entry(other, &vm->manager->vms, siblings)
                if (other != vm && is_of_same_user(vm, other) &&
                    __builtin_add_overflow(sum, other->ration.held, &sum))
                        return UINT64_MAX;
        return sum;
}

void ration_forget(VM *vm) {
        vm->ration.request = sd_bus_message_unref(vm->ration.request);
}

/* An answer that cannot be sent is one that is not waited for any more. */
static void answer(VM *vm, const char *refusal) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

        if (sd_bus_message_new_method_return(vm->ration.request, &reply) >= 0 &&
            sd_bus_message_append(reply, "s", refusal) >= 0)
                (void)link_answer(vm->link, reply);
        ration_forget(vm);
}

static void refuse(VM *vm, uint64_t others) {
        Detail detail;

        (void)detail_set(&detail, 0,
                         "%s: %" PRIu64 " in use by other VMs of uid %" PRIu32 ", %" PRIu64
                         " asked for by this one, the limit is %" PRIu64,
                         quota_to_string(QUOTA_RAM_BYTES_PER_USER), others, vm->owner,
                         vm->ration.wanted, limit_of(vm->manager));
        answer(vm, detail.text);
}

static void on_told(VM *vm, sd_bus_message *reply, void *userdata) {
        Ration *ration = &vm->ration;
        int r;

        ration->n_asks--;
        if (!reply)
                return;
        r = sd_bus_message_is_method_error(reply, NULL)
                    ? -sd_bus_message_get_errno(reply)
                    : sd_bus_message_read(reply, "t", &ration->held);
        if (r < 0)
                log_vm(LOG_WARNING, vm->name, "does not say how much RAM it has: %s", strerror(-r));
        ration->is_known = true;
        ration_reconsider(vm->manager);
}

static int ask(VM *vm) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = link_new_call(vm->link, &m, GUESTMAP_PATH_PRIVATE, GUESTMAP_INTERFACE_PRIVATE,
                          "LimitRAM");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "b", limit_of(vm->manager) != QUOTA_INFINITY);
        if (r < 0)
                return r;
        r = link_call(vm->link, NULL, m, LINK_NEVER, on_told, NULL);
        if (r >= 0)
                vm->ration.n_asks++;
        return r;
}

static void ask_others(VM *vm) {
        VM *other;

        vm->ration.others_asked = true;
        cds_list_for_each_entry(other, &vm->manager->vms, siblings)
                if (other != vm && other->link && is_of_same_user(vm, other))
                        (void)ask(other);
}

/* Answers the request, which there is, if it can be answered now. */
static void consider(VM *vm) {
        uint64_t limit = limit_of(vm->manager), others = held_by_others(vm);
        Ration *ration = &vm->ration;
        bool fits = others <= limit && ration->wanted <= limit - others;

        if (limit != QUOTA_INFINITY && is_user_unclear(vm))
                return;
        if (!fits && !ration->others_asked) {
                ask_others(vm);
                if (is_user_unclear(vm))
                        return;
        }
        if (!fits) {
                refuse(vm, others);
                return;
        }
        ration->held = ration->wanted;
        answer(vm, "");
}

void ration_reconsider(Manager *manager) {
        VM *vm;

        /* Few ask, and each asks all others. */
        cds_list_for_each_entry(vm, &manager->vms, siblings)
                if (vm->ration.request && vm->link)
                        consider(vm);
}

static int on_reserve(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        VM *vm = userdata;
        uint64_t bytes;
        int r;

        r = sd_bus_message_read(m, "t", &bytes);
        if (r < 0)
                return r;
        ration_forget(vm);
        vm->ration.request = sd_bus_message_ref(m);
        vm->ration.wanted = bytes;
        vm->ration.others_asked = false;
        consider(vm);
        return 1;
}

static const sd_bus_vtable private_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("ReserveRAM", SD_BUS_ARGS("t", bytes), SD_BUS_RESULT("s", refusal),
                                on_reserve, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

int ration_begin(VM *vm) {
        int r;

        ration_forget(vm);
        r = link_add_object(vm->link, GUESTMAP_PATH_PRIVATE, GUESTMAP_INTERFACE_PRIVATE,
                            private_vtable, vm);
        return r < 0 ? r : ask(vm);
}

/* A process that can't be told has gone, or is told when it is connected to. */
void ration_reload(Manager *manager) {
        VM *vm;

        cds_list_for_each_entry(vm, &manager->vms, siblings)
                if (vm->link)
                        (void)ask(vm);
}
