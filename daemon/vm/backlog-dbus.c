/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>

#include "daemon/vm/audit-dbus.h"
#include "daemon/vm/backlog-dbus.h"
#include "daemon/vm/service-dbus.h"

typedef struct Waiting Waiting;

struct Waiting {
        struct cds_list_head link; /* in Backlog.line */
        sd_bus_message *m;
        Load load;
        uint32_t serial;    /* the peer's */
        bool is_on_its_way; /* among the connection's messages read */
};

static bool is_all_read(const Backlog *backlog) {
        uint64_t unread = 0;

        (void)sd_bus_get_n_queued_write(backlog->bus, &unread);
        return unread == 0;
}

static Waiting *first(Backlog *backlog) {
        return backlog->n_line > 0 ? cds_list_first_entry(&backlog->line, Waiting, link) : NULL;
}

static Waiting *find(Backlog *backlog, const sd_bus_message *m) {
        Waiting *waiting;

        cds_list_for_each_entry(waiting, &backlog->line, link)
                if (waiting->m == m)
                        return waiting;
        return NULL;
}

static void waiting_free(Backlog *backlog, Waiting *waiting) {
        cds_list_del(&waiting->link);
        backlog->n_line--;
        backlog->load.bytes -= waiting->load.bytes;
        backlog->load.descriptors -= waiting->load.descriptors;
        sd_bus_message_unref(waiting->m);
        free(waiting);
}

/* What cannot be played back is refused: its caller is not to wait for ever. */
static void play(Backlog *backlog, Waiting *waiting) {
        int r;

        r = sd_bus_enqueue_for_read(backlog->bus, waiting->m);
        waiting->is_on_its_way = r >= 0;
        if (r >= 0)
                return;
        answer_error(backlog->service, waiting->m, r, NULL);
        waiting_free(backlog, waiting);
}

/* Whatever has happened, the connection may have written its last. */
static int on_awakening(sd_event_source *source, void *userdata) {
        Backlog *backlog = userdata;
        Waiting *waiting = first(backlog);

        if (!waiting)
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        if (!waiting->is_on_its_way && is_all_read(backlog))
                play(backlog, waiting);
        return 0;
}

/* The last of those that the peer sent before; serials begin again some time. */
static struct cds_list_head *place_of(Backlog *backlog, uint32_t serial) {
        struct cds_list_head *place;

        for (place = backlog->line.prev; place != &backlog->line; place = place->prev)
                if ((int32_t)(cds_list_entry(place, Waiting, link)->serial - serial) < 0)
                        break;
        return place;
}

static int join_line(Backlog *backlog, sd_bus_message *m) {
        Waiting *waiting;
        uint64_t cookie;
        Load load;
        int r;

        r = sd_bus_message_get_cookie(m, &cookie);
        if (r < 0)
                return r;
        r = load_measure(&load, m);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(backlog->awakening, SD_EVENT_ON);
        if (r < 0)
                return r;
        waiting = calloc(1, sizeof(*waiting));
        if (!waiting)
                return -ENOMEM;
        waiting->m = sd_bus_message_ref(m);
        waiting->load = load;
        waiting->serial = (uint32_t)cookie;
        cds_list_add(&waiting->link, place_of(backlog, waiting->serial));
        backlog->n_line++;
        backlog->load.bytes += load.bytes;
        backlog->load.descriptors += load.descriptors;
        return 0;
}

static bool is_full(const Backlog *backlog) {
        return backlog->n_line >= BACKLOG_CALLS_MAX || backlog->load.bytes >= BACKLOG_BYTES_MAX ||
               backlog->load.descriptors >= BACKLOG_DESCRIPTORS_MAX;
}

int backlog_hold(Backlog *backlog, sd_bus_message *m, bool *ret_held) {
        Waiting *waiting = find(backlog, m);
        int r;

        *ret_held = !is_all_read(backlog) || (first(backlog) && first(backlog) != waiting);
        if (waiting)
                waiting->is_on_its_way = false;
        if (!*ret_held && waiting)
                waiting_free(backlog, waiting);
        if (!*ret_held || waiting)
                return 0;
        r = is_full(backlog) ? BACKLOG_E_FULL : join_line(backlog, m);
        *ret_held = r == 0;
        return r;
}

int backlog_init(Backlog *backlog, Service *service, sd_bus *bus) {
        int r;

        backlog->service = service;
        backlog->bus = bus;
        CDS_INIT_LIST_HEAD(&backlog->line);
        r = sd_event_add_post(service->event, &backlog->awakening, on_awakening, backlog);
        return r < 0 ? r : sd_event_source_set_enabled(backlog->awakening, SD_EVENT_OFF);
}

void backlog_deinit(Backlog *backlog) {
        Waiting *waiting, *next;

        sd_event_source_disable_unref(backlog->awakening);
        if (!backlog->bus)
                return;
        cds_list_for_each_entry_safe(waiting, next, &backlog->line, link) {
                answer_caller_left(backlog->service, waiting->m);
                waiting_free(backlog, waiting);
        }
}
