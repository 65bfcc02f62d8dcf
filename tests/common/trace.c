/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A listener that writes down what it is told; see trace.h. */

#include <inttypes.h>

#include "lib/memory/map-error.h"
#include "tests/common/trace.h"

void trace_text_init(TraceText *out) {
        *out = (TraceText){};
        out->stream = open_memstream(&out->text, &out->length);
}

void trace_text_deinit(TraceText *out) {
        fclose(out->stream);
        free(out->text);
        *out = (TraceText){};
}

const char *trace_take(TraceText *out) {
        static char *taken;

        free(taken);
        fclose(out->stream);
        taken = out->text;
        trace_text_init(out);
        return taken;
}

static Trace *begin_line(Listener *listener, const char *callback) {
        Trace *trace = (Trace *)listener;

        fprintf(trace->out->stream, "%s %s", trace->name, callback);
        return trace;
}

static void line(Listener *listener, const char *callback) {
        fputc('\n', begin_line(listener, callback)->out->stream);
}

/* The view that a section names must show it. */
static bool in_view(const ListenerSection *section) {
        const Section *found = flat_view_find(section->view, section->section.range.first);

        return found && section_same(found, &section->section) &&
               found->range.last == section->section.range.last;
}

static FILE *print(Listener *listener, const char *callback, const ListenerSection *section) {
        FILE *f = begin_line(listener, callback)->out->stream;
        const Section *s = &section->section;

        fprintf(f, " %s %" PRIx64 "-%" PRIx64 " %s@%" PRIx64, section->space, s->range.first,
                s->range.last, s->region->name, s->offset);
        if (!in_view(section))
                fputs(" (not in its view)", f);
        return f;
}

static int on_prepare(Listener *listener, const Commit *commit, Detail *detail) {
        Trace *trace = (Trace *)listener;

        line(listener, "prepare");
        if (!trace->refuse_prepare)
                return 0;
        trace->refuse_prepare = false;
        return detail_set(detail, MAP_E_NO_SLOTS, "%s refuses", trace->name);
}

static int on_apply(Listener *listener, const Commit *commit, Detail *detail) {
        Trace *trace = (Trace *)listener;

        line(listener, "apply");
        if (!trace->fail_apply)
                return 0;
        trace->fail_apply = false;
        return detail_set(detail, MAP_E_KVM, "%s fails", trace->name);
}

static void on_undo(Listener *listener, const Commit *commit) {
        line(listener, "undo");
}

static void on_published(Listener *listener, const Commit *commit) {
        line(listener, "published");
}

static void on_settle(Listener *listener, const Commit *commit) {
        line(listener, "settle");
}

static void on_begin(Listener *listener) {
        line(listener, "begin");
}

static void on_commit(Listener *listener) {
        line(listener, "commit");
}

static void on_add(Listener *listener, const ListenerSection *section) {
        fputc('\n', print(listener, "add", section));
}

static void on_del(Listener *listener, const ListenerSection *section) {
        fputc('\n', print(listener, "del", section));
}

static void on_nop(Listener *listener, const ListenerSection *section) {
        fputc('\n', print(listener, "nop", section));
}

static void on_log_start(Listener *listener, const ListenerSection *section, unsigned old,
                         unsigned new) {
        fprintf(print(listener, "log-start", section), " %u>%u\n", old, new);
}

static void on_log_stop(Listener *listener, const ListenerSection *section, unsigned old,
                        unsigned new) {
        fprintf(print(listener, "log-stop", section), " %u>%u\n", old, new);
}

static void on_log_sync(Listener *listener, const ListenerSection *section) {
        fputc('\n', print(listener, "log-sync", section));
}

static void on_log_sync_global(Listener *listener) {
        line(listener, "log-sync-global");
}

static int on_log_global_start(Listener *listener, Detail *detail) {
        Trace *trace = (Trace *)listener;

        line(listener, "log-global-start");
        if (!trace->fail_log)
                return 0;
        trace->fail_log = false;
        return detail_set(detail, MAP_E_KVM, "%s cannot log", trace->name);
}

static void on_log_global_stop(Listener *listener) {
        line(listener, "log-global-stop");
}

static void on_eventfd_add(Listener *listener, const ListenerSection *section,
                           const IOEventFD *ioeventfd) {
        fprintf(print(listener, "eventfd-add", section), " %" PRIx64 "/%u\n", ioeventfd->offset,
                ioeventfd->length);
}

static void on_eventfd_del(Listener *listener, const ListenerSection *section,
                           const IOEventFD *ioeventfd) {
        fprintf(print(listener, "eventfd-del", section), " %" PRIx64 "/%u\n", ioeventfd->offset,
                ioeventfd->length);
}

static void on_coalesced_add(Listener *listener, const ListenerSection *section, Range zone) {
        fprintf(print(listener, "coalesced-add", section), " %" PRIx64 "-%" PRIx64 "\n", zone.first,
                zone.last);
}

static void on_coalesced_del(Listener *listener, const ListenerSection *section, Range zone) {
        fprintf(print(listener, "coalesced-del", section), " %" PRIx64 "-%" PRIx64 "\n", zone.first,
                zone.last);
}

#define TRACE_OPS                                                                                  \
        .prepare = on_prepare, .apply = on_apply, .undo = on_undo, .published = on_published,      \
        .settle = on_settle, .begin = on_begin, .commit = on_commit, .region_add = on_add,         \
        .region_del = on_del, .log_start = on_log_start, .log_stop = on_log_stop,                  \
        .log_sync = on_log_sync, .log_global_start = on_log_global_start,                          \
        .log_global_stop = on_log_global_stop, .eventfd_add = on_eventfd_add,                      \
        .eventfd_del = on_eventfd_del, .coalesced_add = on_coalesced_add,                          \
        .coalesced_del = on_coalesced_del

const ListenerOps trace_ops = {TRACE_OPS};
const ListenerOps trace_ops_with_nop = {TRACE_OPS, .region_nop = on_nop};
const ListenerOps trace_ops_with_sync_global = {TRACE_OPS, .log_sync_global = on_log_sync_global};
