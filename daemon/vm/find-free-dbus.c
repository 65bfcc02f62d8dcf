/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "daemon/vm/audit-dbus.h"
#include "daemon/vm/find-free-dbus.h"
#include "daemon/vm/open-transaction.h"
#include "daemon/vm/service-dbus.h"
#include "lib/memory/free-range.h"

typedef struct FindFreeCall FindFreeCall;

/* One call, from its message to its answer. */
struct FindFreeCall {
        Service *service;
        OpenTransaction *open; /* NULL: on the VM */
        sd_bus_message *m;
        const char *space; /* the message's */
        FreeRequest request;
        uint64_t address;
        Detail detail;
};

static FindFreeCall *find_free_call_free(FindFreeCall *call) {
        if (!call)
                return NULL;
        sd_bus_message_unref(call->m);
        free(call);
        return NULL;
}
DEFINE_CLEANUP(FindFreeCall *, find_free_call_free);

static int search(FindFreeCall *call, const FlatView *view) {
        int r;

        if (!view)
                return detail_set(&call->detail, MAP_E_NO_SUCH_ADDRESS_SPACE,
                                  "VM \"%s\" has no address space \"%.128s\"",
                                  call->service->vm->name, call->space);
        r = free_range_find(view, &call->request, &call->address, &call->detail);
        if (r > 0)
                detail_prefix(&call->detail, "address space \"%.128s\": ", call->space);
        return r;
}

/* As the commit would make it, or leave it; NULL: there is no such space then. */
static const FlatView *prepared_view(const Commit *commit, const char *name) {
        const AddressSpace *space = map_find_space(commit->map, name);

        for (size_t i = 0; space && i < commit->n_changes; i++)
                if (strcmp(commit->changes[i].space, name) == 0)
                        return commit->changes[i].new;
        return space ? space->view->current : NULL;
}

static int search_staged(const Cancel *cancel, void *userdata) {
        _cleanup_(change_deinit) Change change = {};
        FindFreeCall *call = userdata;
        int r;

        r = open_transaction_prepare(call->open, &change, &call->detail);
        return r != 0 ? r : search(call, prepared_view(change.commit, call->space));
}

static int search_published(FindFreeCall *call) {
        return search(call, snapshot_find(map_snapshot(call->service->vm->map), call->space));
}

static void end(FindFreeCall *call, int result) {
        if (result == 0)
                answer(call->service, call->m, "t", call->address);
        else
                answer_error(call->service, call->m, result, &call->detail);
}

static void done(int result, void *userdata) {
        _cleanup_(find_free_call_freep) FindFreeCall *call = userdata;

        end(call, result);
        gate_take_back(&call->service->gate);
}

static int find_free_call_new(FindFreeCall **ret, sd_bus_message *m, const MapTarget *target) {
        _cleanup_(find_free_call_freep) FindFreeCall *call = calloc(1, sizeof(*call));
        int r;

        if (!call)
                return -ENOMEM;
        call->service = target->service;
        call->open = target->transaction;
        call->m = sd_bus_message_ref(m);
        r = sd_bus_message_read(m, "stttt", &call->space, &call->request.size, &call->request.align,
                                &call->request.first, &call->request.last);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(call);
        return 0;
}

int method_find_free(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(find_free_call_freep) FindFreeCall *call = NULL;
        int r;

        r = find_free_call_new(&call, m, userdata);
        if (r == 0 && call->open)
                r = open_transaction_touch(call->open);
        if (r < 0)
                return r;
        if (!call->open) {
                end(call, search_published(call));
                return 1;
        }
        gate_run(&call->service->gate, m, open_transaction_is_large(call->open), search_staged,
                 done, call, &call->detail);
        TAKE_PTR(call);
        return 1;
}
