/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * show: the properties of a VM or of a region
 *
 * What the service has is shown, in its order. The table below only says what the numbers mean and
 * how a property is called outside D-Bus; one that is not in it, of a service that is newer, keeps
 * its name and comes out plain.
 */

#include <inttypes.h>
#include <string.h>

#include "api/names.h"
#include "client/client.h"
#include "client/json-print.h"
#include "client/number.h"
#include "client/verb.h"

typedef enum Format {
        FORMAT_PLAIN,
        FORMAT_HEX,
        FORMAT_SIZE,
} Format;

typedef struct Property {
        const char *name;
        const char *key; /* in JSON */
        Format format;
        bool optional; /* zero, or false, means none: nothing to show to people */
} Property;

static const Property properties[] = {
        {"Name", "name"},
        {"ID", "id"},
        {"State", "state"},
        {"Lost", "lost"},
        {"Directory", "directory"},
        {"Owner", "owner"},
        {"Durable", "durable"},
        {"Accelerator", "accelerator"},
        {"AddressBits", "address-bits"},
        {"Generation", "generation"},
        {"SlotsUsed", "slots-used"},
        {"SlotsMax", "slots-max"},
        {"SlotStats", "slot-stats"},
        {"Regions", "regions"},
        {"RAMBytes", "ram-bytes", FORMAT_SIZE},
        {"TrappedBytes", "trapped-bytes", FORMAT_SIZE},
        {"Preparing", "preparing"},
        {"PauseUSec", "pause-usec"},
        {"Kind", "kind"},
        {"Size", "size", FORMAT_SIZE},
        {"Parent", "parent"},
        {"Offset", "offset", FORMAT_HEX},
        {"Priority", "priority"},
        {"Enabled", "enabled"},
        {"ReadOnly", "readonly"},
        {"NonVolatile", "nonvolatile"},
        {"Unmergeable", "unmergeable"},
        {"DirtyLog", "dirty-log"},
        {"Target", "target"},
        {"TargetOffset", "target-offset", FORMAT_HEX, true},
        {"Children", "children"},
        {"NChildren", "n-children", FORMAT_PLAIN, true},
        {"Aliases", "aliases"},
        {"NAliases", "n-aliases", FORMAT_PLAIN, true},
        {"Backing", "backing", FORMAT_PLAIN, true},
        {"Memory", "memory"},
        {"PageSize", "page-size", FORMAT_SIZE, true},
        {"Prealloc", "prealloc", FORMAT_PLAIN, true},
        {"NUMANodes", "numa-nodes"},
        {"NUMAPolicy", "numa-policy"},
        {"Dump", "dump", FORMAT_PLAIN, true},
        {"Handler", "handler"},
        {"HandlerReads", "handler-reads", FORMAT_PLAIN, true},
        {"HandlerWrites", "handler-writes", FORMAT_PLAIN, true},
        {"MappedAt", "mapped-at"},
};

/* What is printed, in both forms while it is read. */
typedef struct Shown {
        Table *table;
        json_object *object;
} Shown;

static Property property_find(const char *name) {
        for (size_t i = 0; i < ELEMENTS_OF(properties); i++)
                if (strcmp(properties[i].name, name) == 0)
                        return properties[i];
        return (Property){name, name};
}

/* Of several lines under one name, only the first one has it. */
static void show_line(Shown *shown, const char *name, const char *value) {
        table_cell(shown->table, "%s%s", name, *name ? ":" : "");
        table_cell(shown->table, "%s", value);
}

static void show_text(Shown *shown, const Property *property, const char *text) {
        json_add_text(shown->object, property->key, text);
        if (*text)
                show_line(shown, property->name, text);
}

static void show_number(Shown *shown, const Property *property, uint64_t value) {
        NumberText text;

        if (property->format == FORMAT_SIZE) {
                json_add_size(shown->object, property->key, value);
                text = number_size(value);
        } else if (property->format == FORMAT_HEX) {
                json_add_hex(shown->object, property->key, value);
                text = number_hex(value);
        } else {
                json_add_count(shown->object, property->key, value);
                snprintf(text.text, sizeof(text.text), "%" PRIu64, value);
        }
        if (value || !property->optional)
                show_line(shown, property->name, text.text);
}

static void show_int(Shown *shown, const Property *property, int32_t value) {
        json_add_int(shown->object, property->key, value);
        table_cell(shown->table, "%s:", property->name);
        table_cell(shown->table, "%" PRIi32, value);
}

static void show_bool(Shown *shown, const Property *property, bool value) {
        json_add_bool(shown->object, property->key, value);
        if (value || !property->optional)
                show_line(shown, property->name, value ? "yes" : "no");
}

static int show_names(Shown *shown, const Property *property, sd_bus_message *message) {
        json_object *list = json_new_array();
        const char *name;
        int r;

        json_add(shown->object, property->key, list);
        r = sd_bus_message_enter_container(message, 'a', "s");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(message, "s", &name)) > 0) {
                bool first = json_object_array_length(list) == 0;

                show_line(shown, first ? property->name : "", name);
                json_append(list, json_object_new_string(name));
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static void show_place(Shown *shown, const Property *property, json_object *list, const char *space,
                       uint64_t address) {
        bool first = json_object_array_length(list) == 0;
        json_object *place = json_new_object();

        table_cell(shown->table, "%s%s", first ? property->name : "", first ? ":" : "");
        table_cell(shown->table, "%s %s", space, number_hex(address).text);
        json_add_text(place, "space", space);
        json_add_hex(place, "address", address);
        json_append(list, place);
}

static int show_places(Shown *shown, const Property *property, sd_bus_message *message) {
        json_object *list = json_new_array();
        const char *space;
        uint64_t address;
        int r;

        json_add(shown->object, property->key, list);
        r = sd_bus_message_enter_container(message, 'a', "(st)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(message, "(st)", &space, &address)) > 0)
                show_place(shown, property, list, space, address);
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

/* Of all that are too many, which have no name, there is the sum. */
static void show_prepared(Shown *shown, const Property *property, json_object *list,
                          const char *region, uint64_t there, uint64_t size) {
        bool first = json_object_array_length(list) == 0;
        json_object *object = json_new_object();

        table_cell(shown->table, "%s%s", first ? property->name : "", first ? ":" : "");
        table_cell(shown->table, "%s %s of %s", *region ? region : "others",
                   number_size_about(there).text, number_size(size).text);
        json_add_text(object, "region", region);
        json_add_size(object, "there", there);
        json_add_size(object, "size", size);
        json_append(list, object);
}

static int show_preparing(Shown *shown, const Property *property, sd_bus_message *message) {
        json_object *list = json_new_array();
        uint64_t there, size;
        const char *region;
        int r;

        json_add(shown->object, property->key, list);
        r = sd_bus_message_enter_container(message, 'a', "(stt)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(message, "(stt)", &region, &there, &size)) > 0)
                show_prepared(shown, property, list, region, there, size);
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

/* A line for each number. */
static int show_counts(Shown *shown, const Property *property, sd_bus_message *message) {
        json_object *counts = json_new_object();
        bool first = true;
        const char *name;
        uint64_t n;
        int r;

        json_add(shown->object, property->key, counts);
        r = sd_bus_message_enter_container(message, 'a', "{st}");
        while (r >= 0 && (r = sd_bus_message_read(message, "{st}", &name, &n)) > 0) {
                table_cell(shown->table, "%s%s", first ? property->name : "", first ? ":" : "");
                table_cell(shown->table, "%s %" PRIu64, name, n);
                json_add_amount(counts, name, n);
                first = false;
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int show_basic(Shown *shown, const Property *property, sd_bus_message *message) {
        union {
                const char *text;
                uint64_t u64;
                uint32_t u32;
                int32_t i32;
                int boolean;
        } value;
        char type;
        int r;

        r = sd_bus_message_peek_type(message, &type, NULL);
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(message, type, &value);
        if (r < 0)
                return r;
        switch (type) {
        case 's':
        case 'o':
                show_text(shown, property, value.text);
                break;
        case 't':
                show_number(shown, property, value.u64);
                break;
        case 'u':
                show_number(shown, property, value.u32);
                break;
        case 'i':
                show_int(shown, property, value.i32);
                break;
        case 'b':
                show_bool(shown, property, value.boolean);
                break;
        }
        return 0;
}

typedef int (*ShowFunction)(Shown *shown, const Property *property, sd_bus_message *message);

/* How values of a type are shown; NULL if that is not known here. */
static ShowFunction show_function(const char *type) {
        if (strcmp(type, "as") == 0)
                return show_names;
        if (strcmp(type, "a(st)") == 0)
                return show_places;
        if (strcmp(type, "a(stt)") == 0)
                return show_preparing;
        if (strcmp(type, "a{st}") == 0)
                return show_counts;
        return strlen(type) == 1 && strchr("sotuib", *type) ? show_basic : NULL;
}

/* One {sv} of GetAll()'s reply. */
static int show_property(Shown *shown, sd_bus_message *message) {
        const char *name, *type;
        ShowFunction show;
        Property property;
        int r;

        r = sd_bus_message_read(message, "s", &name);
        if (r < 0)
                return r;
        r = sd_bus_message_peek_type(message, NULL, &type);
        if (r < 0)
                return r;
        show = show_function(type);
        if (!show)
                return sd_bus_message_skip(message, "v");
        r = sd_bus_message_enter_container(message, 'v', type);
        if (r < 0)
                return r;
        property = property_find(name);
        r = show(shown, &property, message);
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int show_properties(Shown *shown, sd_bus_message *message) {
        int r;

        r = sd_bus_message_enter_container(message, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
                r = show_property(shown, message);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(message);
                if (r < 0)
                        return r;
        }
        return r;
}

static int show_object(Client *client, const char *path, const char *interface) {
        static const Column columns[] = {{NULL, true}, {NULL}};
        _cleanup_(table_freep) Table *table = table_new(columns, ELEMENTS_OF(columns));
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(json_putp) json_object *object = json_new_object();
        int r;

        r = client_method(client, &reply, path, "org.freedesktop.DBus.Properties", "GetAll", "s",
                          interface);
        if (r < 0)
                return r;
        r = show_properties(&(Shown){table, object}, reply);
        if (r < 0)
                return client_cannot_read(r);
        output_print(&client->output, table, object);
        return 0;
}

int verb_show(Client *client, char **arguments) {
        _cleanup_(freep) char *vm = NULL;
        _cleanup_(freep) char *region = NULL;
        int r;

        r = client_find_vm(client, arguments[0], &vm);
        if (r < 0)
                return r;
        if (!arguments[1])
                return show_object(client, vm, GUESTMAP_INTERFACE_VM);
        r = client_find_region(client, vm, arguments[1], &region);
        if (r < 0)
                return r;
        return show_object(client, region, GUESTMAP_INTERFACE_REGION);
}
