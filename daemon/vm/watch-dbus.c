/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
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
        sd_event_source *timer;    /* NULL: no time limit */
        struct cds_list_head link; /* in Service.watches */
        uint64_t since;
        uint32_t uid; /* who waits */
        char space[];
};

static const Share watch_share = {
        .what = "wait for changes",
        .max = WATCHES_MAX,
        .reserved = WATCHES_RESERVED,
        .user_max = WATCHES_USER_MAX,
};

static Watch *watch_free(Watch *watch) {
        if (!watch)
                return NULL;
        if (watch->link.next) {
                cds_list_del(&watch->link);
                watch->service->n_watches--;
        }
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

static void watch_answer_error(Watch *watch) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Detail detail;
        int r;

        r = detail_set(&detail, MAP_E_NO_SUCH_ADDRESS_SPACE,
                       "address space \"%s\" was removed from VM \"%s\"", watch->space,
                       watch->service->vm->name);
        (void)error_from_outcome(&error, r, &detail);
        (void)sd_bus_reply_method_error(watch->m, &error);
}

/* Answers and frees. An answer that cannot be sent is lost with its connection. */
static void watch_answer(Watch *watch) {
        Service *service = watch->service;
        const AddressSpace *space = find_space(service, watch->space);
        int r;

        if (space) {
                r = changes_reply(service, watch->m, space, watch->since);
                if (r < 0)
                        (void)sd_bus_reply_method_errno(watch->m, r, NULL);
        } else
                watch_answer_error(watch);
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

static int check_new(const Service *service, uint32_t uid, Detail *detail) {
        const Watch *other;
        size_t n = 0;

        cds_list_for_each_entry(other, &service->watches, link)
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
        cds_list_add_tail(&watch->link, &service->watches);
        service->n_watches++;
        TAKE_PTR(watch);
        return 0;
}

void watches_wake(Service *service) {
        Watch *watch, *next;

        cds_list_for_each_entry_safe(watch, next, &service->watches, link) {
                const AddressSpace *space = find_space(service, watch->space);

                if (!space || has_news(service, space, watch->since))
                        watch_answer(watch);
        }
}

void watches_drop(Service *service, const char *caller) {
        Watch *watch, *next;

        cds_list_for_each_entry_safe(watch, next, &service->watches, link) {
                const char *sender = sd_bus_message_get_sender(watch->m);

                if (!caller || (sender && strcmp(sender, caller) == 0))
                        watch_free(watch);
        }
}
