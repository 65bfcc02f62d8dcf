/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "daemon/common/log.h"
#include "daemon/vm/audit-dbus.h"
#include "daemon/vm/compaction.h"
#include "daemon/vm/error-dbus.h"
#include "daemon/vm/options-dbus.h"
#include "daemon/vm/service-dbus.h"
#include "daemon/vm/setup-dbus.h"

typedef struct SetupCall SetupCall;

/* The call, until it is answered. */
struct SetupCall {
        Service *service;
        sd_bus_message *m;
        const char *layout; /* NULL: it is in a file, or there is none */
        int layout_fd;      /* negative: there is none */
        bool durable;
        VM *vm;
        Detail detail;
};

static SetupCall *setup_call_free(SetupCall *call) {
        if (!call)
                return NULL;
        vm_free(call->vm);
        sd_bus_message_unref(call->m);
        free(call);
        return NULL;
}
DEFINE_CLEANUP(SetupCall *, setup_call_free);

static int read_call(SetupCall *call) {
        const char *name, *id, *accelerator = "kvm", *memory_space = "memory";
        VMLimits limits = vm_limits_default;
        const Option options[] = {
                {"accelerator", 's', &accelerator}, {"memory-space", 's', &memory_space},
                {"layout", 's', &call->layout},     {"layout-fd", 'h', &call->layout_fd},
                {"limits", OPTION_LIMITS, &limits}, {"durable", 'b', &call->durable},
        };
        uint32_t owner;
        int r;

        r = sd_bus_message_read(call->m, "ssu", &name, &id, &owner);
        if (r < 0)
                return r;
        r = options_read(call->m, options, ELEMENTS_OF(options), &call->detail);
        if (r != 0)
                return r;
        if (call->layout && call->layout_fd >= 0)
                return detail_set(&call->detail, VM_E_INVALID_ARGUMENTS,
                                  "either layout or layout-fd, not both");
        if (call->durable && !call->service->places.state)
                return detail_set(&call->detail, VM_E_NOT_SUPPORTED,
                                  "durable: guestmap-vmd has no --state-directory");
        r = vm_new(&call->vm, name, id, owner, accelerator, memory_space, &call->detail);
        if (r != 0)
                return r;
        call->vm->store = call->service->store;
        vm_set_limits(call->vm, &limits);
        call->vm->ration = &call->service->ration.ration;
        call->vm->directory = call->service->places.runtime;
        return 0;
}

static int parse(const SetupCall *call, const Cancel *cancel, Document **ret, Detail *detail) {
        if (call->layout)
                return document_parse(ret, call->layout, strlen(call->layout), &call->vm->limits,
                                      detail);
        return document_read(ret, call->layout_fd, &call->vm->limits, cancel, detail);
}

static bool has_layout(const SetupCall *call) {
        return call->layout || call->layout_fd >= 0;
}

static int load(SetupCall *call, const Cancel *cancel) {
        _cleanup_(document_freep) Document *document = NULL;
        _cleanup_(edit_list_deinit) EditList edits = {};
        _cleanup_(change_deinit) Change change = {};
        Detail *detail = &call->detail;
        int r;

        r = parse(call, cancel, &document, detail);
        if (r != 0)
                return r;
        change_begin(&change, call->vm);
        change.cancel = cancel;
        r = document_edits(document, call->vm, NULL, NULL, &edits, detail);
        document = document_free(document);
        if (r == 0)
                r = change_edits(&change, &edits, detail);
        if (r == 0)
                r = change_prepare(&change, detail);
        /* Nobody waits for the tree of a VM that is not there yet. */
        if (r == 0)
                r = change_populate(&change, detail);
        if (r == 0)
                r = change_record(&change, detail);
        return r ? r : change_apply(&change, detail);
}

static int work(const Cancel *cancel, void *userdata) {
        SetupCall *call = userdata;
        const Places *places = &call->service->places;
        const char *directory = call->durable ? places->state : places->runtime;
        int r;

        r = has_layout(call) ? load(call, cancel) : vm_populate(call->vm, &call->detail);
        if (r == 0)
                r = facts_set(call->vm, &(Facts){}, &call->detail);
        if (r != 0 || !directory)
                return r;
        return compaction_begin_journal(call->vm, directory, call->durable, &call->detail);
}

static int serve(SetupCall *call) {
        const VM *vm = call->vm;
        int r;

        r = service_take_vm(call->service, TAKE_PTR(call->vm));
        if (r < 0)
                return r;
        log_info("serving its map, accelerator %s", vm->accelerator->ops->name);
        answer(call->service, call->m, "");
        return 0;
}

static void done(int result, void *userdata) {
        _cleanup_(setup_call_freep) SetupCall *call = userdata;

        call->service->is_setting_up = false;
        if (result == 0)
                result = serve(call);
        if (result == 0)
                return;
        log_error("cannot set a VM up: %s", result < 0 ? strerror(-result) : call->detail.text);
        recovery_forget(&call->service->places);
        answer_error(call->service, call->m, result, &call->detail);
        /* A process without a VM is good for nothing; its answer goes out first. */
        (void)sd_event_exit(call->service->event, EXIT_FAILURE);
}

static int begin(SetupCall *call) {
        int r;

        r = read_call(call);
        if (r != 0)
                return r;
        if (!has_layout(call) && !call->durable)
                return work(NULL, call);
        r = job_start(&call->service->jobs, NULL, work, done, call, &call->detail);
        call->service->is_setting_up = r == 0;
        return r;
}

static int check_first(const Service *service, sd_bus_error *error) {
        Detail detail;
        int r;

        if (!service->vm && !service->salvage && !service->is_setting_up)
                return 0;
        r = detail_set(&detail, VM_E_INVALID_ARGUMENTS, "this process was set up before");
        return error_from_outcome(error, r, &detail);
}

int method_setup(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Service *service = userdata;
        SetupCall *call;
        int r;

        r = check_first(service, error);
        if (r < 0)
                return r;
        call = calloc(1, sizeof(*call));
        if (!call)
                return -ENOMEM;
        call->service = service;
        call->m = sd_bus_message_ref(m);
        call->layout_fd = -1;
        r = begin(call);
        if (!service->is_setting_up)
                done(r, call);
        return 1;
}
