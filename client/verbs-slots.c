/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * slots: what the accelerator has been told, and what that has cost so far
 */

#include <inttypes.h>

#include "api/names.h"
#include "client/client.h"
#include "client/json-print.h"
#include "client/json-read.h"
#include "client/list.h"
#include "client/number.h"
#include "client/report.h"
#include "client/verb.h"
#include "lib/util/range.h"

typedef struct Slot {
        uint32_t id;
        uint64_t first;
        uint64_t last;
        uint64_t offset; /* in the backing */
        uint64_t backing;
        uint32_t flags; /* KVM's */
} Slot;

/* KVM_MEM_LOG_DIRTY_PAGES and KVM_MEM_READONLY in the words of sections. */
static const char *const flag_names[] = {"dirty-log", "readonly"};

static void slot_row(const Slot *slot, Table *table) {
        Range range = {slot->first, slot->last};

        table_cell(table, "%" PRIu32, slot->id);
        table_cell(table, "%s", number_hex(slot->first).text);
        table_cell(table, "%s", number_hex(slot->last).text);
        table_cell(table, "%s", number_size(range_size(range)).text);
        table_cell(table, "%" PRIu64, slot->backing);
        table_cell(table, "%s", number_hex(slot->offset).text);
        table_cell(table, "%s", flag_words(slot->flags, flag_names, ELEMENTS_OF(flag_names)).text);
}

static json_object *slot_json(const Slot *slot) {
        json_object *object = json_new_object();

        json_add_count(object, "slot", slot->id);
        json_add_hex(object, "first", slot->first);
        json_add_hex(object, "last", slot->last);
        json_add_count(object, "backing", slot->backing);
        json_add_hex(object, "offset", slot->offset);
        json_add_flags(object, "flags", slot->flags, flag_names, ELEMENTS_OF(flag_names));
        return object;
}

static int read_slots(sd_bus_message *reply, Table *table, json_object *list) {
        Slot slot;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "(uttttu)");
        if (r < 0)
                return client_cannot_read(r);
        while ((r = sd_bus_message_read(reply, "(uttttu)", &slot.id, &slot.first, &slot.last,
                                        &slot.offset, &slot.backing, &slot.flags)) > 0) {
                slot_row(&slot, table);
                json_append(list, slot_json(&slot));
        }
        return r < 0 ? client_cannot_read(r) : 0;
}

static int read_stats(Client *client, const char *path, json_object *object) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        json_object *stats = json_new_object();
        const char *name;
        uint64_t count;
        int r;

        json_add(object, "stats", stats);
        r = client_method(client, &reply, path, "org.freedesktop.DBus.Properties", "Get", "ss",
                          GUESTMAP_INTERFACE_VM, "SlotStats");
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'v', "a{st}");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "{st}");
        if (r < 0)
                return client_cannot_read(r);
        while ((r = sd_bus_message_read(reply, "{st}", &name, &count)) > 0)
                json_add_amount(stats, name, count);
        return r < 0 ? client_cannot_read(r) : 0;
}

/* Without a create there has been nothing. */
static void print_stats(json_object *stats) {
        if (json_get_number(stats, "create") == 0)
                return;
        puts("\nSince the VM was made:");
        report_print_cost(stats, stats);
}

int verb_slots(Client *client, char **arguments) {
        static const Column columns[] = {
                {"SLOT", true},    {"FIRST", true},  {"LAST", true}, {"SIZE", true},
                {"BACKING", true}, {"OFFSET", true}, {"FLAGS"},
        };
        static const List list = {"GetSlots", "slots", columns, ELEMENTS_OF(columns), read_slots};
        _cleanup_(table_freep) Table *table = table_new(columns, ELEMENTS_OF(columns));
        _cleanup_(json_putp) json_object *object = json_new_object();
        _cleanup_(freep) char *path = NULL;
        int r;

        r = client_find_vm(client, arguments[0], &path);
        if (r >= 0)
                r = list_read(client, &list, path, NULL, table, object);
        if (r >= 0)
                r = read_stats(client, path, object);
        if (r < 0)
                return r;
        output_print(&client->output, table, object);
        if (client->output.json == JSON_OFF && client->output.legend)
                print_stats(json_get_object(object, "stats"));
        return 0;
}
