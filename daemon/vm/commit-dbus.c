/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>

#include "daemon/vm/audit-dbus.h"
#include "daemon/vm/commit-dbus.h"
#include "daemon/vm/compaction-dbus.h"
#include "daemon/vm/open-transaction.h"
#include "daemon/vm/options-dbus.h"
#include "daemon/vm/report.h"
#include "daemon/vm/service-dbus.h"

typedef struct CommitCall CommitCall;

/* One call, from its message to its answer. */
struct CommitCall {
        Service *service;
        OpenTransaction *open;
        sd_bus_message *m;
        bool is_preview;
        Change change;
        char *report; /* of a preview */
        Detail detail;
};

static CommitCall *commit_call_free(CommitCall *call) {
        if (!call)
                return NULL;
        change_deinit(&call->change);
        free(call->report);
        sd_bus_message_unref(call->m);
        free(call);
        return NULL;
}
DEFINE_CLEANUP(CommitCall *, commit_call_free);

static int work(const Cancel *cancel, void *userdata) {
        CommitCall *call = userdata;
        Change *change = &call->change;
        int r;

        r = open_transaction_prepare(call->open, change, &call->detail);
        if (r == 0 && call->is_preview)
                r = report_commit(&call->report, change->vm, change->commit, change->n_edits,
                                  change->discarded);
        if (r != 0 || call->is_preview)
                change_deinit(change);
        return r;
}

static int record(const Cancel *cancel, void *userdata) {
        CommitCall *call = userdata;

        return change_record(&call->change, &call->detail);
}

static int work_and_record(const Cancel *cancel, void *userdata) {
        int r;

        r = work(cancel, userdata);
        return r != 0 ? r : record(cancel, userdata);
}

static int commit(CommitCall *call) {
        uint64_t generation;
        int r;

        r = service_commit(call->service, &call->change, call->open->path, &generation,
                           &call->detail);
        change_deinit(&call->change);
        if (r != 0)
                return r;
        call->open = open_transaction_free(call->open);
        answer(call->service, call->m, "t", generation);
        return 0;
}

static void done(int result, void *userdata) {
        _cleanup_(commit_call_freep) CommitCall *call = userdata;

        if (result == 0 && call->is_preview)
                answer(call->service, call->m, "s", call->report);
        else if (result == 0)
                result = commit(call);
        if (result == VM_E_UNPREPARED)
                result = preparation_start(call->service, call->m, &call->change.prealloc,
                                           &call->detail);
        if (result != 0 && call->is_preview)
                answer_error(call->service, call->m, result, &call->detail);
        else if (result != 0)
                service_refuse(call->service, call->m, result, &call->detail);
        compaction_consider(call->service);
        gate_take_back(&call->service->gate);
}

static int begin(CommitCall *call) {
        uint64_t expected;
        uint32_t has_expected = 0;
        const Option options[] = {{"expect-generation", 't', &expected, 0, &has_expected, 1}};
        int r;

        r = open_transaction_touch(call->open);
        if (r < 0 || call->is_preview)
                return r;
        r = options_read(call->m, options, ELEMENTS_OF(options), &call->detail);
        if (r == 0 && has_expected)
                r = map_target_expect(&call->service->map_target, expected, &call->detail);
        return r;
}

/* What takes no longer than other calls do: then nobody but those it waits for makes it long. */
static void commit_in_place(CommitCall *call) {
        int r;

        r = work(NULL, call);
        if (r != 0)
                done(r, call);
        else
                gate_run(&call->service->gate, call->m, change_waits(&call->change), record, done,
                         call, &call->detail);
}

static int start(sd_bus_message *m, OpenTransaction *open, bool is_preview) {
        CommitCall *call = calloc(1, sizeof(*call));
        int r;

        if (!call)
                return -ENOMEM;
        call->service = open->service;
        call->open = open;
        call->m = sd_bus_message_ref(m);
        call->is_preview = is_preview;
        /* Its memory is the transaction's. */
        preparation_free(preparation_take(open->service, m));
        r = begin(call);
        if (r != 0)
                done(r, call);
        else if (open_transaction_is_large(open))
                gate_run(&open->service->gate, m, true, work_and_record, done, call, &call->detail);
        else
                commit_in_place(call);
        return 1;
}

int method_commit(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return start(m, userdata, false);
}

int method_preview(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return start(m, userdata, true);
}
