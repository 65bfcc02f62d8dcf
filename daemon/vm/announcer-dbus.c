/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "api/names.h"
#include "daemon/common/log.h"
#include "daemon/vm/announcer-dbus.h"
#include "daemon/vm/objects-dbus.h"
#include "daemon/vm/service-dbus.h"
#include "daemon/vm/watch-dbus.h"

/* Messages that wait in the connection before commits are folded. */
enum { QUEUED_MAX = 256 };

static void announcement_deinit(Announcement *announcement) {
        object_changes_deinit(&announcement->objects);
        free(announcement->transaction);
        *announcement = (Announcement){};
}

static bool can_tell(Service *service) {
        uint64_t queued;

        /* What is told of objects is read from the tree. */
        if (!service->bus || service->gate.is_lent)
                return false;
        return sd_bus_get_n_queued_write(service->bus, &queued) >= 0 && queued < QUEUED_MAX;
}

/*
 * What could not be told stays, to be told with whatever comes: I1 would not hold if only its
 * number went out later. Its signals about objects may be out by now, and do not go out twice.
 */
static void tell(Service *service) {
        Announcer *announcer = &service->announcer;
        int r;

        r = objects_tell(service, &announcer->next, announcer->told);
        if (r < 0) {
                if (!announcer->next.folded)
                        log_entry(LOG_WARNING,
                                  &(const LogFields){.has_generation = true,
                                                     .generation = announcer->next.generation},
                                  "cannot tell of a commit yet: %s", strerror(-r));
                announcer->next.folded = true;
                object_changes_deinit(&announcer->next.objects);
                return;
        }
        announcer->told = announcer->next.generation;
        announcer->waiting = false;
        announcement_deinit(&announcer->next);
}

/* Tells and answers as much as the connection takes; what is left goes on when it has drained. */
static int go_on(Service *service) {
        Announcer *announcer = &service->announcer;
        bool is_done;

        if (announcer->waiting && can_tell(service))
                tell(service);
        is_done = watches_wake(service) && !announcer->waiting;
        return sd_event_source_set_enabled(announcer->retry, is_done ? SD_EVENT_OFF : SD_EVENT_ON);
}

static int on_handler_returned(sd_event_source *source, void *userdata) {
        return go_on(userdata);
}

static int on_something_done(sd_event_source *source, void *userdata) {
        return go_on(userdata);
}

static void fold(Announcement *into, Announcement *later) {
        into->generation = later->generation;
        into->n_edits += later->n_edits;
        into->n_slot_operations += later->n_slot_operations;
        into->folded = true;
        object_changes_deinit(&into->objects);
        free(into->transaction);
        into->transaction = NULL;
        announcement_deinit(later);
}

void announcer_put(Service *service, Announcement *announcement) {
        Announcer *announcer = &service->announcer;

        /* The map has moved on: what waits can no longer be told as it was then. */
        if (announcer->waiting) {
                fold(&announcer->next, announcement);
                announcer->n_folded++;
        } else {
                announcer->next = *announcement;
        }
        *announcement = (Announcement){};
        announcer->waiting = true;
        status_changed(&service->status);
        (void)sd_event_source_set_enabled(announcer->soon, SD_EVENT_ONESHOT);
}

int announcer_init(Announcer *announcer, Service *service, uint64_t generation) {
        int r;

        *announcer = (Announcer){.told = generation};
        r = sd_event_add_defer(service->event, &announcer->soon, on_handler_returned, service);
        if (r < 0)
                return r;
        r = sd_event_source_set_priority(announcer->soon, SD_EVENT_PRIORITY_IMPORTANT);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(announcer->soon, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_add_post(service->event, &announcer->retry, on_something_done, service);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(announcer->retry, SD_EVENT_OFF);
}

void announcer_deinit(Announcer *announcer) {
        announcer->soon = sd_event_source_disable_unref(announcer->soon);
        announcer->retry = sd_event_source_disable_unref(announcer->retry);
        announcement_deinit(&announcer->next);
}
