/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Verbs about a device's registers: ioeventfds, coalesced zones, who answers
 */

#include <inttypes.h>

#include "api/names.h"
#include "client/edit.h"
#include "client/json-print.h"
#include "client/list.h"
#include "client/number.h"
#include "client/verb.h"

/* VM REGION OFFSET LENGTH [DATA]; without DATA any value matches. */
static int edit_ioeventfd(Client *client, char **arguments, const char *member) {
        const char *vm = arguments[0], *region = arguments[1], *word = arguments[4];
        uint64_t offset, data = 0;
        uint32_t length;
        int r;

        r = client_number(arguments[2], "offset", &offset);
        if (r < 0)
                return r;
        r = client_u32(arguments[3], "length", &length);
        if (r < 0)
                return r;
        if (word) {
                r = client_number(word, "data", &data);
                if (r < 0)
                        return r;
        }
        return edit_make(client, vm, member, "stubt", region, offset, length, word != NULL, data);
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
