/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>
#include <sys/epoll.h>

#include "api/private.h"
#include "daemon/vm/ration-dbus.h"
#include "daemon/vm/service-dbus.h"

#define QUESTION_USEC 10000000

static void refuse(RationAsker *asker, const char *why) {
        Detail detail;

        (void)detail_set(&detail, 0, "RAMBytesPerUser: guestmapd is to be asked for more, %s", why);
        ration_answer(&asker->ration, detail.text);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        RationAsker *asker = userdata;
        const char *refusal;

        asker->question = sd_bus_slot_unref(asker->question);
        if (sd_bus_message_is_method_error(m, NULL))
                refuse(asker, "and has not answered");
        else if (sd_bus_message_read(m, "s", &refusal) < 0)
                refuse(asker, "and its answer is none");
        else
                ration_answer(&asker->ration, refusal);
        return 1;
}

static int ask(RationAsker *asker, uint64_t bytes) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        sd_bus *bus = asker->service->bus;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, NULL, GUESTMAP_PATH_PRIVATE,
                                           GUESTMAP_INTERFACE_PRIVATE, "ReserveRAM");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "t", bytes);
        if (r < 0)
                return r;
        return sd_bus_call_async(bus, &asker->question, m, on_answer, asker, QUESTION_USEC);
}

static int on_wish(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        RationAsker *asker = userdata;
        uint64_t bytes;

        if (!ration_wish(&asker->ration, &bytes))
                return 0;
        if (!asker->service->bus)
                refuse(asker, "and is not there");
        else if (ask(asker, bytes) < 0)
                refuse(asker, "and can't be");
        return 0;
}

void ration_asker_disconnect(RationAsker *asker) {
        if (!asker->question)
                return;
        asker->question = sd_bus_slot_unref(asker->question);
        refuse(asker, "and has left");
}

int ration_asker_init(RationAsker *asker, Service *service) {
        int r;

        r = ration_init(&asker->ration);
        if (r < 0)
                return r;
        asker->service = service;
        return sd_event_add_io(service->event, &asker->wish, asker->ration.fd, EPOLLIN, on_wish,
                               asker);
}

void ration_asker_deinit(RationAsker *asker) {
        if (!asker->service)
                return;
        sd_bus_slot_unref(asker->question);
        sd_event_source_disable_unref(asker->wish);
        ration_deinit(&asker->ration);
        *asker = (RationAsker){};
}

int method_limit_ram(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Service *service = userdata;
        int is_limited, r;

        r = sd_bus_message_read(m, "b", &is_limited);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(m, "t",
                                          ration_limit(&service->ration.ration, is_limited));
}
