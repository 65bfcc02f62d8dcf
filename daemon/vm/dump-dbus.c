/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "api/names.h"
#include "daemon/vm/audit-dbus.h"
#include "daemon/vm/dump-dbus.h"
#include "daemon/vm/dump.h"
#include "daemon/vm/error-dbus.h"
#include "daemon/vm/options-dbus.h"
#include "daemon/vm/report.h"
#include "daemon/vm/service-dbus.h"
#include "daemon/vm/share.h"

typedef struct DumpKind DumpKind;

/* What of a tree is written in its place: some milliseconds of work. */
enum { IN_PLACE_REGIONS_MAX = 4096 };

typedef enum DumpSource {
        DUMP_VIEWS,
        DUMP_TREE,
        DUMP_SLOTS,
} DumpSource;

struct DumpKind {
        const char *what;
        DumpSource source;
        void (*write)(JSONWriter *writer, const DumpCall *dump);
};

struct DumpCall {
        Service *service;
        sd_bus_message *m;
        const DumpKind *kind;
        Snapshot *snapshot; /* counted reference, until it has been written */
        uint32_t uid;       /* who asked */
        bool in_message;    /* for GetLayout: `text` is the answer, else `fd` */
        bool borrows;       /* the tree is lent to it */
        char *text;
        int fd;
        Job *job;                  /* NULL: made in its place */
        struct cds_list_head link; /* in Service.dumps */
};

static const Share dump_share = {
        .what = "wait for dumps",
        .max = DUMPS_MAX,
        .reserved = DUMPS_RESERVED,
        .user_max = DUMPS_USER_MAX,
};

static DumpCall *dump_free(DumpCall *dump) {
        if (!dump)
                return NULL;
        if (dump->link.next) {
                cds_list_del(&dump->link);
                dump->service->n_dumps--;
        }
        snapshot_unref(dump->snapshot);
        sd_bus_message_unref(dump->m);
        free(dump->text);
        safe_close(dump->fd);
        free(dump);
        return NULL;
}
DEFINE_CLEANUP(DumpCall *, dump_free);

static void write_layout(JSONWriter *writer, const DumpCall *dump) {
        report_layout(writer, dump->service->vm->map);
}

static void write_flat(JSONWriter *writer, const DumpCall *dump) {
        report_flat(writer, dump->snapshot);
}

static void write_regions(JSONWriter *writer, const DumpCall *dump) {
        report_regions(writer, dump->service->vm->map);
}

static void write_slots(JSONWriter *writer, const DumpCall *dump) {
        report_slots(writer, dump->service->vm);
}

static void write_memory_table(JSONWriter *writer, const DumpCall *dump) {
        report_memory_table(writer, dump->snapshot);
}

static const DumpKind kinds[] = {
        {"layout", DUMP_TREE, write_layout},
        {"flat", DUMP_VIEWS, write_flat},
        {"regions", DUMP_TREE, write_regions},
        {"slots", DUMP_SLOTS, write_slots},
        {"memory-table", DUMP_VIEWS, write_memory_table},
};

bool dump_needs_tree(const char *what) {
        for (size_t i = 0; i < ELEMENTS_OF(kinds); i++)
                if (strcmp(kinds[i].what, what) == 0)
                        return kinds[i].source == DUMP_TREE;
        return false;
}

static int find_kind(const char *what, const DumpKind **ret, Detail *detail) {
        for (size_t i = 0; i < ELEMENTS_OF(kinds); i++)
                if (strcmp(kinds[i].what, what) == 0) {
                        *ret = &kinds[i];
                        return 0;
                }
        return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                          "dump of \"%.64s\": it is none of layout, flat, regions, slots, "
                          "memory-table",
                          what);
}

/* A view's last reference may free a lot: it is given up here, on the thread. */
static int dump_run(const Cancel *cancel, void *userdata) {
        _cleanup_(json_writer_deinit) JSONWriter writer;
        DumpCall *dump = userdata;
        int r;

        if (dump->in_message)
                json_writer_init(&writer, GUESTMAP_DOCUMENT_MAX);
        else
                json_writer_init_file(&writer, dump->fd, cancel);
        dump->kind->write(&writer, dump);
        dump->snapshot = snapshot_unref(dump->snapshot);
        if (dump->in_message)
                return json_writer_take(&writer, &dump->text);
        r = json_writer_finish(&writer);
        return r < 0 ? r : dump_seal(dump->fd);
}

static void refuse(const DumpCall *dump, int error) {
        const char *vm = dump->service->vm->name;
        Detail detail;
        int r;

        if (error == -E2BIG)
                r = detail_set(&detail, MAP_E_TOO_LARGE,
                               "the layout of VM \"%s\" has more than %u bytes, the limit of one "
                               "reply: use Dump",
                               vm, GUESTMAP_DOCUMENT_MAX);
        else
                r = detail_set(&detail, MAP_E_NO_MEMORY,
                               "dump of %s of VM \"%s\": it cannot be written: %s",
                               dump->kind->what, vm, strerror(-error));
        answer_error(dump->service, dump->m, r, &detail);
}

static void dump_done(int result, void *userdata) {
        _cleanup_(dump_freep) DumpCall *dump = userdata;

        if (result < 0 && result != -ECANCELED)
                refuse(dump, result);
        else if (result == 0 && dump->in_message)
                answer(dump->service, dump->m, "s", dump->text);
        else if (result == 0)
                answer(dump->service, dump->m, "h", dump->fd);
        if (dump->borrows)
                gate_take_back(&dump->service->gate);
}

static int check_new(const Service *service, uint32_t uid, Detail *detail) {
        const DumpCall *other;
        size_t n = 0;

        cds_list_for_each_entry(other, &service->dumps, link)
                n += other->uid == uid;
        return share_check(&dump_share, service->vm, service->n_dumps, uid, n, detail);
}

static int dump_new(DumpCall **ret, Service *service, sd_bus_message *m, const DumpKind *kind,
                    bool in_message, Detail *detail) {
        _cleanup_(dump_freep) DumpCall *dump = NULL;
        uint32_t uid = service_caller_uid(service, m);
        int r;

        r = check_new(service, uid, detail);
        if (r != 0)
                return r;
        dump = calloc(1, sizeof(*dump));
        if (!dump)
                return -ENOMEM;
        dump->service = service;
        dump->m = sd_bus_message_ref(m);
        dump->kind = kind;
        dump->uid = uid;
        dump->in_message = in_message;
        dump->snapshot = snapshot_ref(service->vm->map->snapshot);
        dump->fd = -1;
        if (!in_message)
                r = dump_open(kind->what, &dump->fd);
        if (r < 0)
                return detail_set(detail, MAP_E_NO_MEMORY,
                                  "dump of %s of VM \"%s\": no memfd to be had: %s", kind->what,
                                  service->vm->name, strerror(-r));
        cds_list_add_tail(&dump->link, &service->dumps);
        service->n_dumps++;
        *ret = TAKE_PTR(dump);
        return 0;
}

static int start_job(DumpCall *dump, Detail *detail) {
        Service *service = dump->service;

        dump->borrows = dump->kind->source == DUMP_TREE;
        if (dump->borrows)
                return gate_start_job(&service->gate, &dump->job, dump->m, dump_run, dump_done,
                                      dump, detail);
        return job_start(&service->jobs, &dump->job, dump_run, dump_done, dump, detail);
}

static bool is_small(const DumpCall *dump) {
        return dump->kind->source == DUMP_SLOTS ||
               (dump->kind->source == DUMP_TREE &&
                dump->service->vm->map->n_regions <= IN_PLACE_REGIONS_MAX);
}

/* Answers sooner or later. */
static int dump_start(Service *service, sd_bus_message *m, const DumpKind *kind, bool in_message,
                      Detail *detail) {
        _cleanup_(dump_freep) DumpCall *dump = NULL;
        int r;

        r = dump_new(&dump, service, m, kind, in_message, detail);
        if (r != 0)
                return r;
        if (kind->source == DUMP_TREE)
                map_check_in(service->vm->map);
        if (is_small(dump)) {
                r = dump_run(NULL, dump);
                dump_done(r, TAKE_PTR(dump));
                return 0;
        }
        r = start_job(dump, detail);
        if (r == 0)
                TAKE_PTR(dump);
        return r;
}

int method_dump(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const DumpKind *kind = NULL;
        const char *what;
        Detail detail = {};
        int r;

        r = sd_bus_message_read(m, "s", &what);
        if (r < 0)
                return r;
        r = options_read_none(m, &detail);
        if (r == 0)
                r = find_kind(what, &kind, &detail);
        if (r == 0)
                r = dump_start(userdata, m, kind, false, &detail);
        return r != 0 ? error_from_outcome(error, r, &detail) : 1;
}

int method_get_layout(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Detail detail = {};
        int r;

        r = options_read_none(m, &detail);
        if (r == 0)
                r = dump_start(userdata, m, &kinds[0], true, &detail);
        return r != 0 ? error_from_outcome(error, r, &detail) : 1;
}

void dumps_drop(Service *service, const char *caller) {
        DumpCall *dump;

        cds_list_for_each_entry(dump, &service->dumps, link)
                if (dump->job && sender_is(service, dump->m, caller))
                        job_cancel(dump->job);
}
