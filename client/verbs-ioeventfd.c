/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Verbs about a device's registers: ioeventfds, coalesced zones, who answers
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/uio.h>

#include "api/names.h"
#include "client/clock.h"
#include "client/edit.h"
#include "client/json-print.h"
#include "client/list.h"
#include "client/number.h"
#include "client/verb.h"

typedef struct IOEventFD IOEventFD;

/* Which of a region's ioeventfds: what a guest must write to signal it. */
struct IOEventFD {
        uint64_t offset;
        uint32_t length;
        bool match;
        uint64_t data;
};

/* OFFSET LENGTH [DATA]; without DATA any value matches. */
static int parse_ioeventfd(char **words, IOEventFD *ret) {
        IOEventFD key = {.match = words[2] != NULL};
        int r;

        r = client_number(words[0], "offset", &key.offset);
        if (r < 0)
                return r;
        r = client_u32(words[1], "length", &key.length);
        if (r < 0)
                return r;
        if (key.match) {
                r = client_number(words[2], "data", &key.data);
                if (r < 0)
                        return r;
        }
        *ret = key;
        return 0;
}

/* VM REGION OFFSET LENGTH [DATA] */
static int edit_ioeventfd(Client *client, char **arguments, const char *member) {
        const char *vm = arguments[0], *region = arguments[1];
        IOEventFD key;
        int r;

        r = parse_ioeventfd(arguments + 2, &key);
        if (r < 0)
                return r;
        return edit_make(client, vm, member, "stubt", region, key.offset, key.length, key.match,
                         key.data);
}

int verb_ioeventfd_add(Client *client, char **arguments) {
        return edit_ioeventfd(client, arguments, "AddIOEventFD");
}

int verb_ioeventfd_remove(Client *client, char **arguments) {
        return edit_ioeventfd(client, arguments, "RemoveIOEventFD");
}

static void show_ioeventfd(uint64_t offset, uint32_t length, bool match, uint64_t data,
                           Table *table, json_object *list) {
        json_object *object = json_new_object();

        table_cell(table, "%s", number_hex(offset).text);
        table_cell(table, "%" PRIu32, length);
        table_cell(table, "%s", match ? number_hex(data).text : "any");

        json_add_hex(object, "offset", offset);
        json_add_count(object, "length", length);
        json_add_bool(object, "match", match);
        json_add_hex(object, "data", data);
        json_append(list, object);
}

static int read_ioeventfds(sd_bus_message *reply, Table *table, json_object *list) {
        uint64_t offset, data;
        uint32_t length;
        int match, r;

        r = sd_bus_message_enter_container(reply, 'a', "(tubt)");
        if (r < 0)
                return client_cannot_read(r);
        while ((r = sd_bus_message_read(reply, "(tubt)", &offset, &length, &match, &data)) > 0)
                show_ioeventfd(offset, length, match, data, table, list);
        return r < 0 ? client_cannot_read(r) : 0;
}

int verb_ioeventfd_list(Client *client, char **arguments) {
        static const Column columns[] = {{"OFFSET", true}, {"LENGTH", true}, {"DATA", true}};
        static const List list = {"ListIOEventFDs", "ioeventfds", columns, ELEMENTS_OF(columns),
                                  read_ioeventfds};

        return list_show(client, &list, arguments[0], arguments[1]);
}

/* Positive once there is something to read; 0 when the time is up, at UINT64_MAX never. */
static int await_count(int fd, uint64_t deadline) {
        uint64_t left = clock_left(deadline);
        const struct timespec time = {.tv_sec = (time_t)(left / 1000000),
                                      .tv_nsec = (long)(left % 1000000 * 1000)};
        struct pollfd poll = {.fd = fd, .events = POLLIN};

        return ppoll(&poll, 1, &time, NULL);
}

/*
 * A count of 0 if nothing came in time. Others may wait for the same eventfd, and what it counts
 * goes to one of them. Whoever passed it in may have made it one that blocks: the flag, which all
 * share, is left as it is.
 */
static int take_count(int fd, uint64_t deadline, uint64_t *ret) {
        uint64_t count = 0;
        const struct iovec buffer = {&count, sizeof(count)};
        int r = 1;

        while (preadv2(fd, &buffer, 1, -1, RWF_NOWAIT) < 0 && r > 0) {
                if (errno != EAGAIN)
                        return fail_errno(-errno, "cannot read the eventfd");
                r = await_count(fd, deadline);
                if (r < 0)
                        return fail_errno(-errno, "cannot wait");
        }
        *ret = count;
        return 0;
}

static int wait_ioeventfd(Client *client, const char *region, const IOEventFD *key,
                          uint64_t deadline, uint64_t *ret_count) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int fd, r;

        r = client_method(client, &reply, region, GUESTMAP_INTERFACE_REGION, "GetIOEventFD", "tubt",
                          key->offset, key->length, key->match, key->data);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "h", &fd);
        return r < 0 ? client_cannot_read(r) : take_count(fd, deadline, ret_count);
}

static void print_count(const Output *output, uint64_t count) {
        _cleanup_(json_putp) json_object *object = NULL;

        if (output->json == JSON_OFF) {
                printf("%" PRIu64 "\n", count);
                return;
        }
        object = json_new_object();
        json_add_count(object, "count", count);
        json_print(output, object);
}

static int parse_deadline(const char *timeout, uint64_t *ret) {
        uint64_t usec;
        int r;

        r = timeout ? client_timeout(timeout, &usec) : 0;
        if (r < 0)
                return r;
        *ret = timeout ? clock_deadline(usec) : UINT64_MAX;
        return 0;
}

int verb_ioeventfd_wait(Client *client, char **arguments) {
        _cleanup_(freep) char *vm = NULL, *region = NULL;
        uint64_t deadline, count = 0;
        IOEventFD key;
        int r;

        r = parse_ioeventfd(arguments + 2, &key);
        if (r >= 0)
                r = parse_deadline(client->options[OPTION_TIMEOUT], &deadline);
        if (r >= 0)
                r = client_need_fds(client, "an eventfd");
        if (r >= 0)
                r = client_find_vm(client, arguments[0], &vm);
        if (r >= 0)
                r = client_find_region(client, vm, arguments[1], &region);
        if (r >= 0)
                r = wait_ioeventfd(client, region, &key, deadline, &count);
        if (r < 0)
                return r;
        print_count(&client->output, count);
        return count > 0 ? 0 : EXIT_NOTHING_CAME;
}

int verb_coalesced_add(Client *client, char **arguments) {
        const char *vm = arguments[0], *region = arguments[1];
        uint64_t offset, size;
        int r;

        r = client_number(arguments[2], "offset", &offset);
        if (r < 0)
                return r;
        r = client_size(arguments[3], "size", &size);
        if (r < 0)
                return r;
        return edit_make(client, vm, "AddCoalesced", "stt", region, offset, size);
}

int verb_coalesced_clear(Client *client, char **arguments) {
        return edit_make(client, arguments[0], "ClearCoalesced", "s", arguments[1]);
}

int verb_handler(Client *client, char **arguments) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        uint64_t value = 0;
        int r = 0;

        if (arguments[3])
                r = client_number(arguments[3], "value", &value);
        if (r == 0)
                r = edit_open(client, arguments[0], "SetHandler", &message);
        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "ss", arguments[1], arguments[2]);
        if (r < 0)
                return client_cannot_ask(r);
        r = edit_options(client, message);
        if (r < 0)
                return r;
        if (arguments[3])
                r = sd_bus_message_append(message, "{sv}", "value", "t", value);
        return r < 0 ? client_cannot_ask(r) : edit_close(client, message);
}
