/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "api/names.h"
#include "client/scrape.h"

typedef struct Asked Asked;
typedef struct Scrape Scrape;

/* Fewer than a bus lets one client wait for, so that some VMs that hang do not use them up. */
enum { AT_A_TIME = 64 };

/* A VM, and whether it is being waited for. */
struct Asked {
        Scrape *scrape;
        VMRow vm;
};

struct Scrape {
        Client *client;
        uint64_t usec;
        ScrapeTake take;
        void *userdata;
        sd_bus_message *list; /* that the VMs' strings are in */
        Asked *asked;
        size_t n;
        size_t n_sent;
        size_t n_waiting;
        int error;
};

static void scrape_deinit(Scrape *scrape) {
        sd_bus_message_unref(scrape->list);
        free(scrape->asked);
}

static int read_vms(Scrape *scrape) {
        VMRow vm;
        int r;

        r = vm_list_enter(scrape->list);
        while (r >= 0 && (r = vm_list_next(scrape->list, &vm)) > 0) {
                scrape->asked =
                        must(reallocarray(scrape->asked, scrape->n + 1, sizeof(*scrape->asked)));
                scrape->asked[scrape->n++] = (Asked){scrape, vm};
        }
        return r;
}

/* It is not there, where it is not to be started, or has not answered in time. */
static bool is_down(const Scrape *scrape, const sd_bus_error *error, int r) {
        return scrape->client->starts_none &&
               (r == -ETIMEDOUT ||
                sd_bus_error_has_names(error, SD_BUS_ERROR_SERVICE_UNKNOWN,
                                       SD_BUS_ERROR_NAME_HAS_NO_OWNER, SD_BUS_ERROR_NO_REPLY));
}

/* A reply is NULL where guestmapd is down. */
static int ask_guestmapd(Scrape *scrape, const char *member, sd_bus_message **ret_reply) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Client *client = scrape->client;
        int r;

        r = client_request(client, &request, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, member);
        if (r < 0)
                return r;
        if (client->starts_none)
                (void)sd_bus_set_method_call_timeout(client->bus, scrape->usec);
        r = client_try(client, request, &error, ret_reply);
        if (r < 0 && !is_down(scrape, &error, r))
                return client_print_error(client, &error, r);
        return 0;
}

static int take_guestmapd(Scrape *scrape) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = ask_guestmapd(scrape, "ListVMs", &scrape->list);
        if (r == 0 && scrape->list)
                r = ask_guestmapd(scrape, "GetMetrics", &reply);
        if (r == 0)
                r = scrape->take(scrape->userdata, NULL, reply);
        return r == 0 && reply ? read_vms(scrape) : r;
}

static void take(Asked *asked, sd_bus_message *reply) {
        Scrape *scrape = asked->scrape;

        if (scrape->error == 0)
                scrape->error = scrape->take(scrape->userdata, &asked->vm, reply);
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Asked *asked = userdata;

        asked->scrape->n_waiting--;
        take(asked, sd_bus_message_is_method_error(reply, NULL) ? NULL : reply);
        return 1;
}

/* Has no process that could answer. */
static bool is_gone(const VMRow *vm) {
        return strcmp(vm->state, "crashed") == 0 || strcmp(vm->state, "recovering") == 0;
}

static int ask(Asked *asked) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        Scrape *scrape = asked->scrape;
        int r;

        if (is_gone(&asked->vm)) {
                take(asked, NULL);
                return 0;
        }
        r = client_request(scrape->client, &call, asked->vm.path, GUESTMAP_INTERFACE_VM,
                           "GetMetrics");
        if (r < 0)
                return r;
        r = sd_bus_call_async(scrape->client->bus, NULL, call, on_answer, asked, scrape->usec);
        if (r < 0)
                return client_cannot_ask(r);
        scrape->n_waiting++;
        return 0;
}

static int ask_more(Scrape *scrape) {
        int r = 0;

        while (r == 0 && scrape->n_sent < scrape->n && scrape->n_waiting < AT_A_TIME)
                r = ask(&scrape->asked[scrape->n_sent++]);
        return r;
}

/* One message, or a wait for one. */
static int process(Scrape *scrape) {
        sd_bus *bus = scrape->client->bus;
        int r;

        r = sd_bus_process(bus, NULL);
        if (r == 0)
                r = sd_bus_wait(bus, UINT64_MAX);
        return r < 0 && r != -EINTR ? fail_errno(r, "lost the connection to the bus") : 0;
}

static int take_vms(Scrape *scrape) {
        int r;

        do {
                r = ask_more(scrape);
                if (r == 0 && scrape->n_waiting > 0)
                        r = process(scrape);
                if (r == 0)
                        r = scrape->error;
        } while (r == 0 && (scrape->n_waiting > 0 || scrape->n_sent < scrape->n));
        return r;
}

int scrape(Client *client, uint64_t usec, ScrapeTake take_answer, void *userdata) {
        _cleanup_(scrape_deinit) Scrape scrape = {
                .client = client,
                .usec = usec,
                .take = take_answer,
                .userdata = userdata,
        };
        int r;

        r = take_guestmapd(&scrape);
        return r < 0 ? r : take_vms(&scrape);
}
