/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/manager/link-dbus.h"
#include "daemon/manager/manager.h"

/*
 * sd-bus' own connection to an event loop does work for each bus whenever anything happens to one
 * of them: with a thousand VMs that is most of all work. So each link has sources of its own, which
 * are set after what may have changed what it waits for.
 */
struct Link {
        VM *vm;
        sd_bus *bus; /* NULL: freed, but for its memory */
        sd_event_source *ready;
        sd_event_source *time;
        bool is_busy; /* its messages are handled: whoever does that has its memory, too */
        LinkSignal signal;
        LinkClosed closed;
        struct cds_list_head calls; /* LinkCall.siblings, oldest first */
        LinkLoad passed, taken;     /* of calls that were passed on, all in all */
};

#define BATCH 16 /* messages */

struct LinkCall {
        Link *link;
        struct cds_list_head siblings;
        sd_bus_slot *slot;
        LinkDone done;
        void *userdata;
        LinkLoad passed; /* Link.passed then: taken when it is answered; 0: a time-out may be */
};

static void link_call_free(LinkCall *call) {
        cds_list_del(&call->siblings);
        sd_bus_slot_unref(call->slot);
        free(call);
}
DEFINE_CLEANUP(LinkCall *, link_call_free);

static void link_call_finish(LinkCall *call, sd_bus_message *reply) {
        VM *vm = call->link->vm;
        LinkDone done = call->done;
        void *userdata = call->userdata;

        link_call_free(call);
        done(vm, reply, userdata);
}

static void finish_all(Link *link) {
        while (!cds_list_empty(&link->calls))
                link_call_finish(cds_list_first_entry(&link->calls, LinkCall, siblings), NULL);
}

static void link_lost(Link *link) {
        finish_all(link);
        link->closed(link->vm);
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        LinkCall *call = userdata;

        if (call->link->taken.calls < call->passed.calls)
                call->link->taken = call->passed;
        /* A connection that ends answers each of its calls with an error of sd-bus' own. */
        if (sd_bus_is_open(call->link->bus) <= 0)
                link_lost(call->link);
        else
                link_call_finish(call, reply);
        return 1;
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Link *link = userdata;

        if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Local", "Disconnected"))
                link_lost(link);
        else if (sd_bus_message_is_signal(m, NULL, NULL))
                link->signal(link->vm, m);
        else
                return 0;
        return 1;
}

/* What it waits for: to read, to write, a time-out; or not at all, since there is more to do. */
static void link_wait(Link *link) {
        uint64_t until = UINT64_MAX;
        int events = sd_bus_get_events(link->bus);

        (void)sd_event_source_set_io_events(link->ready, events < 0 ? 0 : (uint32_t)events);
        (void)sd_bus_get_timeout(link->bus, &until);
        (void)sd_event_source_set_time(link->time, until);
        (void)sd_event_source_set_enabled(link->time,
                                          until == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

/* Some messages at a time: others have messages, too. */
static int link_process(Link *link) {
        int r = 1;

        link->is_busy = true;
        for (unsigned i = 0; i < BATCH && r > 0 && link->bus; i++)
                r = sd_bus_process(link->bus, NULL);
        link->is_busy = false;
        if (!link->bus)
                free(link);
        else if (r < 0)
                link_lost(link);
        else
                link_wait(link);
        return 0;
}

static int on_ready(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        return link_process(userdata);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata) {
        return link_process(userdata);
}

static int link_attach(Link *link, sd_event *event) {
        int r;

        r = sd_event_add_io(event, &link->ready, sd_bus_get_fd(link->bus), 0, on_ready, link);
        if (r < 0)
                return r;
        r = sd_event_add_time(event, &link->time, CLOCK_MONOTONIC, UINT64_MAX, 1, on_time, link);
        if (r < 0)
                return r;
        link_wait(link);
        return 0;
}

int link_new(Link **ret, VM *vm, int fd, LinkSignal signal, LinkClosed closed) {
        _cleanup_(link_freep) Link *link = NULL;
        _cleanup_(closep) int owned = fd;
        int r;

        link = calloc(1, sizeof(*link));
        if (!link)
                return -ENOMEM;
        link->vm = vm;
        link->signal = signal;
        link->closed = closed;
        CDS_INIT_LIST_HEAD(&link->calls);
        r = sd_bus_new(&link->bus);
        if (r < 0)
                return r;
        r = sd_bus_set_fd(link->bus, owned, owned);
        if (r < 0)
                return r;
        TAKE_FD(owned);
        r = sd_bus_start(link->bus);
        if (r < 0)
                return r;
        r = sd_bus_add_filter(link->bus, NULL, on_message, link);
        if (r < 0)
                return r;
        r = link_attach(link, vm->manager->event);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(link);
        return 0;
}

Link *link_free(Link *link) {
        if (!link)
                return NULL;
        sd_event_source_disable_unref(link->ready);
        sd_event_source_disable_unref(link->time);
        finish_all(link);
        link->bus = sd_bus_close_unref(link->bus);
        if (!link->is_busy)
                free(link);
        return NULL;
}

int link_fd(Link *link) {
        return sd_bus_get_fd(link->bus);
}

LinkLoad link_backlog(const Link *link) {
        if (!link)
                return (LinkLoad){};
        return (LinkLoad){
                .calls = link->passed.calls - link->taken.calls,
                .bytes = link->passed.bytes - link->taken.bytes,
        };
}

bool link_has_room(const Link *link) {
        LinkLoad backlog = link_backlog(link);

        return backlog.calls < LINK_CALLS_MAX && backlog.bytes < LINK_BYTES_MAX;
}

int link_add_object(Link *link, const char *path, const char *interface,
                    const sd_bus_vtable *vtable, void *userdata) {
        return sd_bus_add_object_vtable(link->bus, NULL, path, interface, vtable, userdata);
}

int link_new_call(Link *link, sd_bus_message **ret, const char *path, const char *interface,
                  const char *member) {
        return sd_bus_message_new_method_call(link->bus, ret, NULL, path, interface, member);
}

int link_call(Link *link, LinkCall **ret, sd_bus_message *m, uint64_t usec, LinkDone done,
              void *userdata) {
        _cleanup_(link_call_freep) LinkCall *call = NULL;
        int r;

        call = calloc(1, sizeof(*call));
        if (!call)
                return -ENOMEM;
        call->link = link;
        call->done = done;
        call->userdata = userdata;
        call->passed = usec == LINK_NEVER ? link->passed : (LinkLoad){};
        cds_list_add_tail(&call->siblings, &link->calls);
        r = sd_bus_call_async(link->bus, &call->slot, m, on_reply, call, usec);
        link_wait(link);
        if (r < 0)
                return r;
        if (ret)
                *ret = call;
        TAKE_PTR(call);
        return 0;
}

void link_call_cancel(LinkCall *call) {
        link_call_free(call);
}

int link_pass(Link *link, LinkCall **ret, sd_bus_message *m, size_t bytes, LinkDone done,
              void *userdata) {
        LinkCall *call;
        int r;

        r = link_call(link, &call, m, LINK_NEVER, done, userdata);
        if (r < 0)
                return r;
        link->passed.calls++;
        link->passed.bytes += bytes;
        call->passed = link->passed;
        if (ret)
                *ret = call;
        return 0;
}

int link_tell(Link *link, sd_bus_message *m) {
        int r;

        r = sd_bus_message_set_expect_reply(m, 0);
        return r < 0 ? r : link_answer(link, m);
}

int link_answer(Link *link, sd_bus_message *m) {
        int r;

        r = sd_bus_send(link->bus, m, NULL);
        link_wait(link);
        return r;
}
