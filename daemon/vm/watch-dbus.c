/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "daemon/vm/audit-dbus.h"
#include "daemon/vm/error-dbus.h"
#include "daemon/vm/section-dbus.h"
#include "daemon/vm/service-dbus.h"
#include "daemon/vm/share.h"
#include "daemon/vm/watch-dbus.h"

/* sd-event's own is a quarter of a second. */
enum { TIME_LIMIT_ACCURACY_USEC = 1000 };

struct Watch {
        Service *service;
        sd_bus_message *m;
        sd_event_source *timer; /* NULL: no time limit */
        RB_ENTRY(Watch) by_space;
        struct cds_list_head due; /* in Service.watches_due; then it is not in the tree */
        bool waits;               /* in the tree */
        uint64_t since;
        uint32_t uid; /* who waits */
        char space[];
};

static int compare_watches(const Watch *a, const Watch *b) {
        int order = strcmp(a->space, b->space);

        return order != 0 ? order : (a > b) - (a < b);
}

RB_GENERATE_STATIC(Watches, Watch, by_space, compare_watches)

static const Share watch_share = {
        .what = "wait for changes",
        .max = WATCHES_MAX,
        .reserved = WATCHES_RESERVED,
        .user_max = WATCHES_USER_MAX,
};

static void watch_link(Watch *watch) {
        RB_INSERT(Watches, &watch->service->watches, watch);
        watch->waits = true;
        watch->service->n_watches++;
}

static void watch_make_due(Watch *watch) {
        RB_REMOVE(Watches, &watch->service->watches, watch);
        watch->waits = false;
        cds_list_add_tail(&watch->due, &watch->service->watches_due);
}

static void watch_unlink(Watch *watch) {
        if (watch->waits)
                RB_REMOVE(Watches, &watch->service->watches, watch);
        else if (watch->due.next)
                cds_list_del(&watch->due);
        else
                return;
        watch->service->n_watches--;
}

static Watch *watch_free(Watch *watch) {
        if (!watch)
                return NULL;
        watch_unlink(watch);
        sd_event_source_disable_unref(watch->timer);
        sd_bus_message_unref(watch->m);
        free(watch);
        return NULL;
}
DEFINE_CLEANUP(Watch *, watch_free);

static const AddressSpace *find_space(const Service *service, const char *name) {
        return snapshot_find_space(map_snapshot(service->vm->map), name);
}

/* The net change as rows; HISTORY_E_FORGOTTEN where nobody knows it. */
static int changes_since(Service *service, const AddressSpace *space, uint64_t since,
                         DeltaRow **ret_rows, size_t *ret_n_rows) {
        if (since > service->vm->map->generation)
                return HISTORY_E_FORGOTTEN;
        if (since >= space->generation)
                return 0;
        return history_compose(&service->history, space->name, since, ret_rows, ret_n_rows);
}

static int append_changes(sd_bus_message *reply, uint64_t generation, const DeltaRow *rows,
                          size_t n_rows) {
        bool fits = n_rows <= GUESTMAP_PAGE_MAX;
        int r;

        r = sd_bus_message_append(reply, "tb", generation, fits);
        if (r < 0)
                return r;
        r = message_append_rows(reply, rows, fits ? n_rows : 0, -1);
        if (r < 0)
                return r;
        return message_append_rows(reply, rows, fits ? n_rows : 0, 1);
}

static int append_whole(sd_bus_message *reply, uint64_t generation, const FlatView *view) {
        int r;

        r = sd_bus_message_append(reply, "tba" SECTION_SIGNATURE, generation, false, 0);
        if (r < 0)
                return r;
        return message_append_view(reply, view, 0,
                                   flat_view_n_sections(view) <= GUESTMAP_PAGE_MAX ? SIZE_MAX : 0,
                                   NULL);
}

int changes_reply(Service *service, sd_bus_message *m, const AddressSpace *space, uint64_t since) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(freep) DeltaRow *rows = NULL;
        uint64_t generation = service->vm->map->generation;
        size_t n_rows = 0;
        bool known;
        int r;

        r = changes_since(service, space, since, &rows, &n_rows);
        if (r < 0)
                return r;
        known = r == 0;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = known ? append_changes(reply, generation, rows, n_rows)
                  : append_whole(reply, generation, space->view->current);
        if (r < 0)
                return r;
        return sd_bus_send(NULL, reply, NULL);
}

/* Whether GetChanges would have something to say. */
static bool has_news(const Service *service, const AddressSpace *space, uint64_t since) {
        return space->generation > since || since > service->vm->map->generation;
}

/* Answers and frees. An answer that cannot be sent is lost with its connection. */
static void watch_answer(Watch *watch) {
        Service *service = watch->service;
        const AddressSpace *space = find_space(service, watch->space);
        Detail detail = {};
        int r;

        r = space ? changes_reply(service, watch->m, space, watch->since)
                  : detail_set(&detail, MAP_E_NO_SUCH_ADDRESS_SPACE,
                               "address space \"%s\" was removed from VM \"%s\"", watch->space,
                               service->vm->name);
        if (!space || r < 0)
                answer_error(service, watch->m, r, &detail);
        watch_free(watch);
}

static int on_time_limit(sd_event_source *source, uint64_t usec, void *userdata) {
        watch_answer(userdata);
        return 0;
}

static int watch_start_timer(Watch *watch, uint64_t timeout_usec) {
        uint64_t now;
        int r;

        r = sd_event_now(watch->service->event, CLOCK_MONOTONIC, &now);
        if (r < 0)
                return r;
        if (timeout_usec >= UINT64_MAX - now)
                return 0;
        return sd_event_add_time(watch->service->event, &watch->timer, CLOCK_MONOTONIC,
                                 now + timeout_usec, TIME_LIMIT_ACCURACY_USEC, on_time_limit,
                                 watch);
}

static int check_new(Service *service, uint32_t uid, Detail *detail) {
        Watch *other;
        size_t n = 0;

        RB_FOREACH(other, Watches, &service->watches)
                n += other->uid == uid;
        return share_check(&watch_share, service->vm, service->n_watches, uid, n, detail);
}

int watch_new(Service *service, sd_bus_message *m, const AddressSpace *space, uint64_t since,
              uint64_t timeout_usec, Detail *detail) {
        _cleanup_(watch_freep) Watch *watch = NULL;
        size_t size = strlen(space->name) + 1;
        uint32_t uid = service_caller_uid(service, m);
        int r;

        if (has_news(service, space, since))
                return changes_reply(service, m, space, since);
        r = check_new(service, uid, detail);
        if (r != 0)
                return r;
        watch = calloc(1, sizeof(*watch) + size);
        if (!watch)
                return -ENOMEM;
        watch->service = service;
        watch->m = sd_bus_message_ref(m);
        watch->since = since;
        watch->uid = uid;
        memcpy(watch->space, space->name, size);
        r = watch_start_timer(watch, timeout_usec);
        if (r < 0)
                return r;
        watch_link(TAKE_PTR(watch));
        return 0;
}

/* The first that waits for a space, or for one behind it. */
static Watch *first_for(const Service *service, const char *space) {
        Watch *watch = RB_ROOT(&service->watches), *found = NULL;

        while (watch)
                if (strcmp(watch->space, space) >= 0) {
                        found = watch;
                        watch = RB_LEFT(watch, by_space);
                } else
                        watch = RB_RIGHT(watch, by_space);
        return found;
}

/* From the watch on, all that wait for that space, or for any: due if it changed, or is gone. */
static void make_due(Service *service, Watch *watch, const char *name) {
        uint64_t generation = service->vm->map->generation;
        Watch *next;

        for (; watch && (!name || strcmp(watch->space, name) == 0); watch = next) {
                const AddressSpace *space = find_space(service, watch->space);

                next = RB_NEXT(Watches, &service->watches, watch);
                if (!space || space->generation == generation)
                        watch_make_due(watch);
        }
}

void watches_note(Service *service, const Change *change) {
        const ObjectChanges *objects = &change->objects;
        const Commit *commit = change->commit;

        for (size_t i = 0; i < commit->n_changes; i++)
                make_due(service, first_for(service, commit->changes[i].space),
                         commit->changes[i].space);
        /* One that was empty is not among these when it goes. */
        for (size_t i = 0; i < objects->n; i++)
                if (objects->items[i].is_space)
                        make_due(service, first_for(service, objects->items[i].name),
                                 objects->items[i].name);
        if (objects->many)
                make_due(service, RB_MIN(Watches, &service->watches), NULL);
}

static bool is_drained(const Watch *watch) {
        sd_bus *bus = sd_bus_message_get_bus(watch->m);
        uint64_t queued;

        return sd_bus_get_n_queued_write(bus, &queued) >= 0 && queued < WATCHES_QUEUED_MAX;
}

bool watches_wake(Service *service) {
        Watch *watch, *next;

        cds_list_for_each_entry_safe(watch, next, &service->watches_due, due)
                if (is_drained(watch))
                        watch_answer(watch);
        return cds_list_empty(&service->watches_due);
}

void watches_drop(Service *service, const char *caller) {
        Watch *watch, *next;

        RB_FOREACH_SAFE(watch, Watches, &service->watches, next)
                if (sender_is(service, watch->m, caller))
                        watch_free(watch);
        cds_list_for_each_entry_safe(watch, next, &service->watches_due, due)
                if (sender_is(service, watch->m, caller))
                        watch_free(watch);
}
