/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/epoll.h>
#include <time.h>

#include "api/names.h"
#include "daemon/vm/access-teller-dbus.h"
#include "daemon/vm/service-dbus.h"
#include "lib/memory/handler-log.h"

#define SECOND_USEC UINT64_C(1000000)

static int make_signal(const Service *service, const AccessNote *note, sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_(freep) char *path = NULL;
        int r;

        r = sd_bus_path_encode(service->region_prefix, handler_log_region(note->handler), &path);
        if (r < 0)
                return r;
        r = sd_bus_message_new_signal(service->bus, &m, path, GUESTMAP_INTERFACE_REGION,
                                      "Accessed");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "tubt", note->offset, (uint32_t)note->width, note->write,
                                  note->value);
        if (r < 0)
                return r;
        r = note->missed ? sd_bus_message_append(m, "a{sv}", 1, "missed", "t", note->missed)
                         : sd_bus_message_append(m, "a{sv}", 0);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

/* A signal that cannot be made is one that nobody hears. */
static void tell(const Service *service, const AccessNote *note) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        if (service->bus && make_signal(service, note, &m) >= 0)
                (void)sd_bus_send(service->bus, m, NULL);
}

static int begin_second(AccessTeller *teller) {
        int r;

        r = sd_event_source_set_time_relative(teller->second, SECOND_USEC);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(teller->second, SD_EVENT_ONESHOT);
}

static int on_notes(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        AccessTeller *teller = userdata;
        AccessNote note;
        int r = 0;

        while (r >= 0 && teller->n_told < GUESTMAP_ACCESSES_MAX &&
               access_log_take(teller->service->vm->access_log, &note)) {
                tell(teller->service, &note);
                handler_unref(note.handler);
                if (teller->n_told++ == 0)
                        r = begin_second(teller);
        }
        if (r < 0 || teller->n_told < GUESTMAP_ACCESSES_MAX)
                return r;
        return sd_event_source_set_enabled(teller->notes, SD_EVENT_OFF);
}

static int on_second(sd_event_source *source, uint64_t usec, void *userdata) {
        AccessTeller *teller = userdata;

        teller->n_told = 0;
        return sd_event_source_set_enabled(teller->notes, SD_EVENT_ON);
}

int access_teller_init(AccessTeller *teller, Service *service, int notes_fd) {
        int r;

        teller->service = service;
        r = sd_event_add_io(service->event, &teller->notes, notes_fd, EPOLLIN, on_notes, teller);
        if (r < 0)
                return r;
        r = sd_event_add_time(service->event, &teller->second, CLOCK_MONOTONIC, 0, 0, on_second,
                              teller);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(teller->second, SD_EVENT_OFF);
}

void access_teller_deinit(AccessTeller *teller) {
        sd_event_source_disable_unref(teller->notes);
        sd_event_source_disable_unref(teller->second);
        *teller = (AccessTeller){};
}
