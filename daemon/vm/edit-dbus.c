/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One edit, from a verb of org.guestmap1.Map or from a property that is set
 */

#include <stdlib.h>

#include "daemon/vm/audit-dbus.h"
#include "daemon/vm/compaction-dbus.h"
#include "daemon/vm/equip.h"
#include "daemon/vm/map-dbus.h"
#include "daemon/vm/open-transaction.h"
#include "daemon/vm/service-dbus.h"

typedef struct EditCall EditCall;

/* A call that is a commit, from its message to its answer. */
struct EditCall {
        Service *service;
        sd_bus_message *m;
        bool tells_generation; /* in its answer, which is empty otherwise */
        Change change;
        Detail detail;
};

static int prepare_edit(Change *change, VM *vm, const Edit *edit, Detail *detail) {
        int r;

        change_begin(change, vm);
        r = change_edit(change, edit, detail);
        return r != 0 ? r : change_prepare(change, detail);
}

static int edit_and_commit(Service *service, const Edit *edit, uint64_t *ret_generation,
                           Detail *detail) {
        _cleanup_(change_deinit) Change change = {};
        int r;

        r = prepare_edit(&change, service->vm, edit, detail);
        if (r == 0)
                r = change_record(&change, detail);
        if (r == 0)
                r = service_commit(service, &change, NULL, ret_generation, detail);
        if (r != 0)
                counters_note_abort(&service->vm->counters, r);
        compaction_consider(service);
        return r;
}

static int stage(OpenTransaction *open, Edit *edit, Detail *detail) {
        int r;

        r = open_transaction_touch(open);
        if (r < 0)
                return r;
        return transaction_stage(open->staged, edit, detail);
}

int map_target_edit(MapTarget *target, Edit *edit, uint64_t *ret_generation, Detail *detail) {
        int r;

        r = vm_equip_edit(target->service->vm, edit, detail);
        if (r != 0)
                return r;
        if (!target->transaction)
                return edit_and_commit(target->service, edit, ret_generation, detail);
        *ret_generation = 0;
        return stage(target->transaction, edit, detail);
}

static EditCall *edit_call_free(EditCall *call) {
        if (!call)
                return NULL;
        change_deinit(&call->change);
        sd_bus_message_unref(call->m);
        free(call);
        return NULL;
}
DEFINE_CLEANUP(EditCall *, edit_call_free);

static int record(const Cancel *cancel, void *userdata) {
        EditCall *call = userdata;

        return change_record(&call->change, &call->detail);
}

static void done(int result, void *userdata) {
        _cleanup_(edit_call_freep) EditCall *call = userdata;
        uint64_t generation;

        if (result == 0)
                result = service_commit(call->service, &call->change, NULL, &generation,
                                        &call->detail);
        if (result == VM_E_UNPREPARED)
                result = preparation_start(call->service, call->m, &call->change.prealloc,
                                           &call->detail);
        else if (result == 0 && call->tells_generation)
                answer(call->service, call->m, "t", generation);
        else if (result == 0)
                answer(call->service, call->m, "");
        if (result != 0)
                service_refuse(call->service, call->m, result, &call->detail);
        compaction_consider(call->service);
        gate_take_back(&call->service->gate);
}

int map_commit_edit(Service *service, sd_bus_message *m, Edit *edit, bool tells_generation) {
        EditCall *call = calloc(1, sizeof(*call));
        int r;

        if (!call)
                return -ENOMEM;
        call->service = service;
        call->m = sd_bus_message_ref(m);
        call->tells_generation = tells_generation;
        r = vm_equip_edit(service->vm, edit, &call->detail);
        if (r == 0)
                r = prepare_edit(&call->change, service->vm, edit, &call->detail);
        if (r != 0)
                done(r, call);
        else
                gate_run(&service->gate, m, change_waits(&call->change), record, done, call,
                         &call->detail);
        return 1;
}
