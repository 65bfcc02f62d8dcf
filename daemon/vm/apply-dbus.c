/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "daemon/vm/apply-dbus.h"
#include "daemon/vm/audit-dbus.h"
#include "daemon/vm/compaction-dbus.h"
#include "daemon/vm/document.h"
#include "daemon/vm/open-transaction.h"
#include "daemon/vm/options-dbus.h"
#include "daemon/vm/report.h"
#include "daemon/vm/service-dbus.h"
#include "lib/util/size-words.h"

typedef struct ApplyCall ApplyCall;

/* What is done in its place: some milliseconds of work, whatever the document says. */
enum {
        IN_PLACE_BYTES_MAX = 64 * 1024,
        IN_PLACE_REGIONS_MAX = 4096, /* in the map: a layout may remove them all */
};

/* One call, from its message to its answer. */
struct ApplyCall {
        Service *service;
        OpenTransaction *open; /* to which the edits are added; NULL: they are a commit */
        size_t n_staged;       /* that it has before */
        sd_bus_message *m;
        const char *text; /* the document; NULL: it is in `fd`, */
        int fd;           /* which is the message's */
        Document *document;
        bool dry_run;
        bool keep_memory;
        uint64_t expected;
        uint32_t has_expected;
        NamedFDs fds;
        Preparation *prepared; /* NULL: the call is made for the first time */

        Change change;
        uint64_t generation;
        char *report;
        Detail detail;
};

static ApplyCall *apply_call_free(ApplyCall *call) {
        if (!call)
                return NULL;
        change_deinit(&call->change);
        document_free(call->document);
        named_fds_deinit(&call->fds);
        preparation_free(call->prepared);
        free(call->report);
        sd_bus_message_unref(call->m);
        free(call);
        return NULL;
}
DEFINE_CLEANUP(ApplyCall *, apply_call_free);

static int read_options(ApplyCall *call) {
        const Option options[] = {
                {"dry-run", 'b', &call->dry_run},
                {"keep-memory", 'b', &call->keep_memory},
                {"fds", OPTION_NAMED_FDS, &call->fds},
                {"expect-generation", 't', &call->expected, 0, &call->has_expected, 1},
        };

        return options_read(call->m, options, ELEMENTS_OF(options), &call->detail);
}

static int check_kept(ApplyCall *call) {
        const Change *change = &call->change;

        if (!call->keep_memory || change->discarded == 0)
                return 0;
        return detail_set(&call->detail, MAP_E_IN_USE,
                          "region \"%s\" would lose its contents, of %s of RAM in all, and "
                          "keep-memory is set",
                          change->discarded_region, size_words(change->discarded).text);
}

static int parse(ApplyCall *call, const Cancel *cancel) {
        if (call->document)
                return 0;
        if (call->text)
                return document_parse(&call->document, call->text, strlen(call->text),
                                      &call->service->vm->limits, &call->detail);
        return document_read(&call->document, call->fd, &call->service->vm->limits, cancel,
                             &call->detail);
}

/* The document has done its work then: of a million regions it is a quarter of a gigabyte. */
static int take_edits(ApplyCall *call, EditList *edits) {
        Prealloc *prealloc = call->prepared ? &call->prepared->memory : NULL;
        int r;

        r = document_edits(call->document, call->service->vm, &call->fds, prealloc, edits,
                           &call->detail);
        call->document = document_free(call->document);
        return r;
}

static int prepare_commit(ApplyCall *call, const Cancel *cancel) {
        _cleanup_(edit_list_deinit) EditList edits = {};
        Change *change = &call->change;
        int r;

        change_begin(change, call->service->vm);
        change->cancel = cancel;
        change->for_nothing = call->dry_run;
        r = take_edits(call, &edits);
        if (r == 0)
                r = change_edits(change, &edits, &call->detail);
        if (r == 0)
                r = check_kept(call);
        return r ? r : change_prepare(change, &call->detail);
}

static int stage_edits(ApplyCall *call, const Cancel *cancel) {
        _cleanup_(edit_list_deinit) EditList edits = {};
        Transaction *staged = call->open->staged;
        Detail *detail = &call->detail;
        int r;

        r = transaction_check_out(staged, detail);
        if (r == 0)
                r = take_edits(call, &edits);
        for (size_t i = 0; r == 0 && i < edits.n; i++) {
                r = cancel_is_requested(cancel)
                            ? -ECANCELED
                            : transaction_stage(staged, &edits.items[i], detail);
                if (r > 0 && edits.numbered)
                        detail_prefix(detail, "edit %zu: ", i + 1);
        }
        return r;
}

/* The document's edits behind those that are staged, and what all of them would do. */
static int prepare_staged(ApplyCall *call, const Cancel *cancel) {
        int r;

        r = stage_edits(call, cancel);
        if (r == 0)
                r = open_transaction_prepare(call->open, &call->change, &call->detail);
        return r ? r : check_kept(call);
}

static int prepare(ApplyCall *call, const Cancel *cancel) {
        const Change *change = &call->change;
        int r;

        r = call->open ? prepare_staged(call, cancel) : prepare_commit(call, cancel);
        if (r != 0)
                return r;
        return report_commit(&call->report, change->vm, change->commit, change->n_edits,
                             change->discarded);
}

/* All that needs the tree and nobody else sees. What it no longer needs it leaves to nobody. */
static int work(const Cancel *cancel, void *userdata) {
        ApplyCall *call = userdata;
        int r;

        r = parse(call, cancel);
        if (r == 0)
                r = prepare(call, cancel);
        if (r != 0 || call->dry_run || call->open)
                change_deinit(&call->change);
        if (call->open && (r != 0 || call->dry_run))
                transaction_unstage(call->open->staged, call->n_staged);
        return r;
}

static int record(const Cancel *cancel, void *userdata) {
        ApplyCall *call = userdata;

        return change_record(&call->change, &call->detail);
}

static int work_and_record(const Cancel *cancel, void *userdata) {
        int r;

        r = work(cancel, userdata);
        return r != 0 ? r : record(cancel, userdata);
}

static int finish(ApplyCall *call) {
        Service *service = call->service;
        int r;

        if (call->open)
                return 0;
        call->generation = service->vm->map->generation;
        if (call->dry_run)
                return 0;
        r = service_commit(service, &call->change, NULL, &call->generation, &call->detail);
        change_deinit(&call->change);
        return r;
}

static void end(ApplyCall *call, int result) {
        if (result == 0)
                result = finish(call);
        if (result == VM_E_UNPREPARED)
                result = preparation_start(call->service, call->m, &call->change.prealloc,
                                           &call->detail);
        else if (result == 0)
                answer(call->service, call->m, "ts", call->generation, call->report);
        if (result != 0 && (call->open || call->dry_run))
                answer_error(call->service, call->m, result, &call->detail);
        else if (result != 0)
                service_refuse(call->service, call->m, result, &call->detail);
}

static void done(int result, void *userdata) {
        _cleanup_(apply_call_freep) ApplyCall *call = userdata;

        end(call, result);
        compaction_consider(call->service);
        gate_take_back(&call->service->gate);
}

/* What takes no longer than other calls do: then nobody but those it waits for makes it long. */
static void apply_in_place(ApplyCall *call) {
        int r;

        r = work(NULL, call);
        if (r != 0)
                done(r, call);
        else
                gate_run(&call->service->gate, call->m, change_waits(&call->change), record, done,
                         call, &call->detail);
}

static int begin(ApplyCall *call) {
        MapTarget target = {call->service, call->open};

        if (call->has_expected) {
                int r = map_target_expect(&target, call->expected, &call->detail);

                if (r != 0)
                        return r;
        }
        if (!call->open)
                return 0;
        call->n_staged = call->open->staged->n_edits;
        return open_transaction_touch(call->open);
}

/* Parses a small document, which tells how much work it is. */
static int is_small(ApplyCall *call, bool *ret) {
        int r = 0;

        *ret = false;
        if (!call->text || strlen(call->text) > IN_PLACE_BYTES_MAX)
                return 0;
        r = parse(call, NULL);
        if (r == 0)
                *ret = document_is_patch(call->document) ||
                       call->service->vm->map->n_regions <= IN_PLACE_REGIONS_MAX;
        return r;
}

static int apply_call_new(ApplyCall **ret, sd_bus_message *m, const MapTarget *target) {
        _cleanup_(apply_call_freep) ApplyCall *call = calloc(1, sizeof(*call));

        if (!call)
                return -ENOMEM;
        call->service = target->service;
        call->open = target->transaction;
        call->m = sd_bus_message_ref(m);
        call->prepared = preparation_take(target->service, m);
        *ret = TAKE_PTR(call);
        return 0;
}

static int apply(sd_bus_message *m, const MapTarget *target, const char *text, int fd) {
        bool small = false;
        ApplyCall *call;
        int r;

        r = apply_call_new(&call, m, target);
        if (r < 0)
                return r;
        call->text = text;
        call->fd = fd;
        r = read_options(call);
        if (r == 0)
                r = begin(call);
        if (r == 0)
                r = is_small(call, &small);
        if (r != 0)
                done(r, call);
        else if (small)
                apply_in_place(call);
        else
                gate_run(&call->service->gate, m, true, work_and_record, done, call, &call->detail);
        return 1;
}

int method_apply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *text;
        int r;

        r = sd_bus_message_read(m, "s", &text);
        return r < 0 ? r : apply(m, userdata, text, -1);
}

int method_apply_fd(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        int r, fd;

        r = sd_bus_message_read(m, "h", &fd);
        return r < 0 ? r : apply(m, userdata, NULL, fd);
}
