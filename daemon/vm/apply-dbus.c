/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/vm/apply-dbus.h"
#include "daemon/vm/document.h"
#include "daemon/vm/error-dbus.h"
#include "daemon/vm/open-transaction.h"
#include "daemon/vm/options-dbus.h"
#include "daemon/vm/report.h"
#include "daemon/vm/service-dbus.h"

typedef struct ApplyOptions ApplyOptions;

struct ApplyOptions {
        bool dry_run;
        bool keep_memory;
        uint64_t expected;
        uint32_t has_expected;
};

static int read_call(sd_bus_message *m, const char **ret_document, ApplyOptions *apply,
                     Detail *detail) {
        const Option options[] = {
                {"dry-run", 'b', &apply->dry_run},
                {"keep-memory", 'b', &apply->keep_memory},
                {"expect-generation", 't', &apply->expected, 0, &apply->has_expected, 1},
        };
        int r;

        r = sd_bus_message_read(m, "s", ret_document);
        if (r < 0)
                return r;
        return options_read(m, options, ELEMENTS_OF(options), detail);
}

static int check_kept(const ApplyOptions *apply, const Change *change, Detail *detail) {
        if (!apply->keep_memory || change->discarded == 0)
                return 0;
        return detail_set(detail, MAP_E_IN_USE,
                          "region \"%s\" would lose its contents, of 0x%" PRIx64
                          " bytes of RAM in all, and keep-memory is set",
                          change->discarded_region, change->discarded);
}

static int change_report(const Change *change, char **ret) {
        return report_commit(ret, change->vm, change->commit, change->n_edits, change->discarded);
}

static int apply_to_vm(Service *service, const Document *document, const ApplyOptions *apply,
                       uint64_t *ret_generation, char **ret_report, Detail *detail) {
        _cleanup_(edit_list_deinit) EditList edits = {};
        _cleanup_(change_deinit) Change change = {};
        int r;

        change_begin(&change, service->vm);
        r = document_edits(document, service->vm, &edits, detail);
        if (r != 0)
                return r;
        r = change_edits(&change, &edits, document_is_patch(document), detail);
        if (r == 0)
                r = check_kept(apply, &change, detail);
        if (r == 0)
                r = change_prepare(&change, detail);
        if (r == 0)
                r = change_report(&change, ret_report);
        if (r != 0)
                return r;
        *ret_generation = service->vm->map->generation;
        return apply->dry_run ? 0 : service_commit(service, &change, NULL, ret_generation, detail);
}

/* The document's edits behind those that are staged, and what all of them would do. */
static int stage_edits(OpenTransaction *open, const Document *document, const ApplyOptions *apply,
                       char **ret_report, Detail *detail) {
        _cleanup_(edit_list_deinit) EditList edits = {};
        _cleanup_(change_deinit) Change change = {};
        int r;

        r = transaction_check_out(open->staged, detail);
        if (r != 0)
                return r;
        r = document_edits(document, open->service->vm, &edits, detail);
        if (r != 0)
                return r;
        for (size_t i = 0; i < edits.n; i++) {
                r = transaction_stage(open->staged, &edits.items[i], detail);
                if (r > 0 && document_is_patch(document))
                        detail_prefix(detail, "edit %zu: ", i + 1);
                if (r != 0)
                        return r;
        }
        r = open_transaction_prepare(open, &change, detail);
        if (r == 0)
                r = check_kept(apply, &change, detail);
        return r != 0 ? r : change_report(&change, ret_report);
}

static int apply_to_transaction(OpenTransaction *open, const Document *document,
                                const ApplyOptions *apply, char **ret_report, Detail *detail) {
        size_t n_edits = open->staged->n_edits;
        int r;

        r = open_transaction_touch(open);
        if (r < 0)
                return r;
        r = stage_edits(open, document, apply, ret_report, detail);
        if (r != 0 || apply->dry_run)
                transaction_unstage(open->staged, n_edits);
        return r;
}

static int apply(MapTarget *target, sd_bus_message *m, uint64_t *ret_generation, char **ret_report,
                 Detail *detail) {
        _cleanup_(document_freep) Document *document = NULL;
        ApplyOptions options = {};
        const char *text;
        int r;

        r = read_call(m, &text, &options, detail);
        if (r != 0)
                return r;
        if (options.has_expected) {
                r = map_target_expect(target, options.expected, detail);
                if (r != 0)
                        return r;
        }
        r = document_parse(&document, text, strlen(text), detail);
        if (r != 0)
                return r;
        if (!target->transaction)
                return apply_to_vm(target->service, document, &options, ret_generation, ret_report,
                                   detail);
        *ret_generation = 0;
        return apply_to_transaction(target->transaction, document, &options, ret_report, detail);
}

int method_apply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(freep) char *report = NULL;
        uint64_t generation = 0;
        Detail detail = {};
        int r;

        r = apply(userdata, m, &generation, &report, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        return sd_bus_reply_method_return(m, "ts", generation, report);
}
