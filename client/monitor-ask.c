/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/names.h"
#include "client/clock.h"
#include "client/follow-read.h"
#include "client/monitor.h"
#include "client/view.h"

/* An answer may be lost, too, where the bus keeps no more for who does not read. */
enum { ANSWER_USEC = 5000000 };

void ask_limit(Monitor *monitor) {
        uint64_t left = MIN_OF(clock_left(monitor->client->deadline), (uint64_t)ANSWER_USEC);

        (void)sd_bus_set_method_call_timeout(monitor->client->bus, MAX_OF(left, UINT64_C(1)));
}

/* What is to be expected of VMs that go, and is noticed otherwise; a later look asks again. */
static bool is_gone(const sd_bus_error *error) {
        return sd_bus_error_has_names(error, GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_VM_GONE,
                                      GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_NO_SUCH_VM,
                                      GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_NO_SUCH_ADDRESS_SPACE,
                                      SD_BUS_ERROR_NAME_HAS_NO_OWNER, SD_BUS_ERROR_NO_REPLY,
                                      SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_UNKNOWN_OBJECT);
}

static int ask(Watched *watched, sd_bus_message *request, sd_bus_message **ret_reply) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        ask_limit(watched->monitor);
        r = client_try(watched->monitor->client, request, &error, ret_reply);
        if (r == -ETIMEDOUT && clock_left(watched->monitor->client->deadline) == 0)
                return r;
        if (r == -ETIMEDOUT) {
                watched->is_ailing = true;
                return fail("VM \"%s\" does not answer", watched->name);
        }
        return r < 0 && !is_gone(&error) ? client_print_error(watched->monitor->client, &error, r)
                                         : r;
}

static int read_row(sd_bus_message *reply, SpaceList *list) {
        SpaceRow row;
        const char *name;
        int r;

        r = sd_bus_message_read(reply, "(sst)", &name, NULL, &row.generation);
        if (r <= 0)
                return r;
        row.name = must(strdup(name));
        list->rows = must(reallocarray(list->rows, list->n + 1, sizeof(*list->rows)));
        list->rows[list->n++] = row;
        return 1;
}

int ask_list(void *userdata, SpaceList *ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL, *reply = NULL;
        Watched *watched = userdata;
        int r;

        r = client_request(watched->monitor->client, &request, watched->path, GUESTMAP_INTERFACE_VM,
                           "ListAddressSpaces");
        if (r >= 0)
                r = ask(watched, request, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "t", &ret->generation);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(sst)");
        while (r > 0)
                r = read_row(reply, ret);
        return r < 0 ? client_cannot_read(r) : 0;
}

int watched_space_path(const Watched *watched, const char *space, char **ret) {
        _cleanup_(freep) char *prefix = NULL;
        int r;

        if (asprintf(&prefix, "%s/space", watched->path) < 0)
                must(NULL);
        r = sd_bus_path_encode(prefix, space, ret);
        return r < 0 ? fail_errno(r, "cannot address address space \"%s\"", space) : 0;
}

int ask_changes(void *userdata, const char *space, uint64_t since, Answer *ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL, *reply = NULL;
        _cleanup_(freep) char *path = NULL;
        Watched *watched = userdata;
        int r;

        r = watched_space_path(watched, space, &path);
        if (r >= 0)
                r = client_request(watched->monitor->client, &request, path,
                                   GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetChanges");
        if (r >= 0)
                r = sd_bus_message_append(request, "t", since);
        if (r >= 0)
                r = ask(watched, request, &reply);
        if (r < 0)
                return r;
        r = answer_read(reply, ret);
        return r < 0 ? client_cannot_read(r) : 0;
}

int ask_view(void *userdata, const char *space, uint64_t *ret_generation, Sections *ret) {
        Watched *watched = userdata;
        Client *client = watched->monitor->client;
        int r;

        ask_limit(watched->monitor);
        client->expects = is_gone;
        r = view_fetch(client, watched->path, space, ret_generation, ret);
        client->expects = NULL;
        return r;
}

int ask_id(Watched *watched, char **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL, *reply = NULL;
        const char *id;
        int r;

        r = client_request(watched->monitor->client, &request, watched->path,
                           "org.freedesktop.DBus.Properties", "Get");
        if (r >= 0)
                r = sd_bus_message_append(request, "ss", GUESTMAP_INTERFACE_VM, "ID");
        if (r >= 0)
                r = ask(watched, request, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "v", "s", &id);
        if (r < 0)
                return client_cannot_read(r);
        *ret = must(strdup(id));
        return 0;
}
