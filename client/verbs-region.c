/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Verbs that edit the tree: one call of the Map interface each
 */

#include <string.h>

#include "api/names.h"
#include "client/edit.h"
#include "client/json-print.h"
#include "client/verb.h"

typedef struct Place Place;

/* Where a region is put. */
struct Place {
        const char *parent; /* "": nowhere */
        uint64_t offset;
        int32_t priority;
};

/* [PARENT [OFFSET]] and --priority. */
static int parse_place(const Client *client, char **words, Place *ret) {
        const char *priority = client->options[OPTION_PRIORITY];
        Place place = {""};
        int r;

        if (words[0]) {
                place.parent = words[0];
                if (words[1]) {
                        r = client_number(words[1], "offset", &place.offset);
                        if (r < 0)
                                return r;
                }
        }
        if (priority) {
                r = client_priority(priority, &place.priority);
                if (r < 0)
                        return r;
        }
        *ret = place;
        return 0;
}

static int finish_region(Client *client, sd_bus_message *message) {
        int r;

        r = edit_options(client, message);
        if (r < 0)
                return r;
        r = edit_region_options(client, message);
        if (r < 0)
                return r;
        return edit_close(client, message);
}

int verb_add(Client *client, char **arguments) {
        const char *vm = arguments[0], *name = arguments[1], *kind = arguments[2];
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        uint64_t size;
        Place place;
        int r;

        r = client_size(arguments[3], "size", &size);
        if (r < 0)
                return r;
        r = parse_place(client, arguments + 4, &place);
        if (r < 0)
                return r;
        r = edit_open(client, vm, "AddRegion", &message);
        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "sststi", name, kind, size, place.parent, place.offset,
                                  place.priority);
        if (r < 0)
                return client_cannot_ask(r);
        return finish_region(client, message);
}

int verb_alias(Client *client, char **arguments) {
        const char *vm = arguments[0], *name = arguments[1], *target = arguments[2];
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        uint64_t target_offset, size;
        Place place;
        int r;

        r = client_number(arguments[3], "target offset", &target_offset);
        if (r < 0)
                return r;
        r = client_size(arguments[4], "size", &size);
        if (r < 0)
                return r;
        r = parse_place(client, arguments + 5, &place);
        if (r < 0)
                return r;
        r = edit_open(client, vm, "AddAlias", &message);
        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "ssttsti", name, target, target_offset, size,
                                  place.parent, place.offset, place.priority);
        if (r < 0)
                return client_cannot_ask(r);
        return finish_region(client, message);
}

int verb_cancel(Client *client, char **arguments) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = client_find_vm(client, arguments[0], &path);
        if (r < 0)
                return r;
        r = client_method(client, NULL, path, GUESTMAP_INTERFACE_VM, "Cancel", "s", arguments[1]);
        return json_print_done(&client->output, r);
}

int verb_remove(Client *client, char **arguments) {
        return edit_make(client, arguments[0], "RemoveRegion", "s", arguments[1]);
}

int verb_enable(Client *client, char **arguments) {
        return edit_make(client, arguments[0], "EnableRegion", "sb", arguments[1], true);
}

int verb_disable(Client *client, char **arguments) {
        return edit_make(client, arguments[0], "EnableRegion", "sb", arguments[1], false);
}

int verb_move(Client *client, char **arguments) {
        const char *vm = arguments[0], *name = arguments[1];
        Place place;
        int r;

        if (*arguments[2] && !arguments[3])
                return fail("missing argument OFFSET: where in \"%s\"", arguments[2]);
        r = parse_place(client, arguments + 2, &place);
        if (r < 0)
                return r;
        return edit_make(client, vm, "MoveRegion", "ssti", name, place.parent, place.offset,
                         place.priority);
}

int verb_space_add(Client *client, char **arguments) {
        return edit_make(client, arguments[0], "AddAddressSpace", "ss", arguments[1], arguments[2]);
}

int verb_space_remove(Client *client, char **arguments) {
        return edit_make(client, arguments[0], "RemoveAddressSpace", "s", arguments[1]);
}

typedef struct Property {
        const char *name;
        char type; /* D-Bus; of the numbers, 's' marks a size */
} Property;

static const Property properties[] = {
        {"size", 's'},        {"offset", 't'},        {"priority", 'i'}, {"enabled", 'b'},
        {"readonly", 'b'},    {"nonvolatile", 'b'},   {"romd", 'b'},     {"dirty-log", 'b'},
        {"unmergeable", 'b'}, {"target-offset", 't'},
};

/* The property that is called like the first `length` bytes of a word; NULL if there is none. */
static const Property *property_find(const char *word, size_t length) {
        for (size_t i = 0; i < ELEMENTS_OF(properties); i++)
                if (strlen(properties[i].name) == length &&
                    strncmp(properties[i].name, word, length) == 0)
                        return &properties[i];
        return NULL;
}

static int append_number(sd_bus_message *message, const Property *property, const char *word) {
        uint64_t value;
        int r;

        if (property->type == 's')
                r = client_size(word, property->name, &value);
        else
                r = client_number(word, property->name, &value);
        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "{sv}", property->name, "t", value);
        return r < 0 ? client_cannot_ask(r) : 0;
}

static int append_priority(sd_bus_message *message, const Property *property, const char *word) {
        int32_t value;
        int r;

        r = client_priority(word, &value);
        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "{sv}", property->name, "i", value);
        return r < 0 ? client_cannot_ask(r) : 0;
}

static int append_bool(sd_bus_message *message, const Property *property, const char *word) {
        bool value;
        int r;

        r = client_bool(word, property->name, &value);
        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "{sv}", property->name, "b", (int)value);
        return r < 0 ? client_cannot_ask(r) : 0;
}

/* PROPERTY=VALUE */
static int append_assignment(sd_bus_message *message, const char *assignment) {
        size_t length = strcspn(assignment, "=");
        const char *value = assignment + length + 1;
        const Property *property;

        if (!assignment[length])
                return fail("\"%s\" is not PROPERTY=VALUE", assignment);
        property = property_find(assignment, length);
        if (!property)
                return fail("no property \"%.*s\" can be set; see guestmapctl --help", (int)length,
                            assignment);
        if (property->type == 'i')
                return append_priority(message, property, value);
        if (property->type == 'b')
                return append_bool(message, property, value);
        return append_number(message, property, value);
}

int verb_set(Client *client, char **arguments) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r;

        r = edit_open(client, arguments[0], "SetRegion", &message);
        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "s", arguments[1]);
        if (r < 0)
                return client_cannot_ask(r);
        r = sd_bus_message_open_container(message, 'a', "{sv}");
        if (r < 0)
                return client_cannot_ask(r);
        for (char **assignment = arguments + 2; *assignment; assignment++) {
                r = append_assignment(message, *assignment);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_close_container(message);
        if (r < 0)
                return client_cannot_ask(r);
        r = edit_options(client, message);
        if (r < 0)
                return r;
        return edit_close(client, message);
}
