/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Verbs that look at what the guest sees
 */

#include <inttypes.h>

#include "api/names.h"
#include "client/client.h"
#include "client/json-print.h"
#include "client/json-read.h"
#include "client/edit.h"
#include "client/layout.h"
#include "client/mtree-print.h"
#include "client/number.h"
#include "client/section.h"
#include "client/verb.h"
#include "client/view.h"

static json_object *view_json(const Sections *view, uint64_t generation) {
        json_object *object = json_new_object();

        json_add_count(object, "generation", generation);
        json_add(object, "sections", sections_json(view));
        return object;
}

static void view_print(const Sections *view, const Output *output) {
        _cleanup_(table_freep) Table *table = table_new(section_columns, SECTION_N_COLUMNS);

        for (size_t i = 0; i < view->n; i++)
                section_row(&view->items[i], table);
        table_print(table, output);
}

static int flat_one(Client *client, const char *vm_path, const char *space) {
        _cleanup_(json_putp) json_object *object = NULL;
        _cleanup_(sections_deinit) Sections view = {};
        uint64_t generation;
        int r;

        r = view_fetch(client, vm_path, space, &generation, &view);
        if (r < 0)
                return r;
        if (client->output.json == JSON_OFF) {
                view_print(&view, &client->output);
                return 0;
        }
        object = view_json(&view, generation);
        json_print(&client->output, object);
        return 0;
}

/* One of several: under a heading, or as a member of `views`. */
static int flat_member(Client *client, const char *vm_path, const char *space, bool first,
                       json_object *views) {
        _cleanup_(sections_deinit) Sections view = {};
        uint64_t generation;
        int r;

        r = view_fetch(client, vm_path, space, &generation, &view);
        if (r < 0)
                return r;
        if (client->output.json == JSON_OFF) {
                printf("%s%s (generation %" PRIu64 ", %zu section%s)\n", first ? "" : "\n", space,
                       generation, view.n, PLURAL(view.n));
                view_print(&view, &client->output);
        } else {
                json_add(views, space, view_json(&view, generation));
        }
        return 0;
}

static int flat_all(Client *client, const char *vm_path) {
        _cleanup_(json_putp) json_object *layout = NULL;
        _cleanup_(json_putp) json_object *views = json_new_object();
        json_object *spaces;
        int r;

        r = layout_fetch(client, vm_path, &layout);
        if (r < 0)
                return r;
        spaces = json_get_list(layout, "address-spaces");
        for (size_t i = 0; i < json_length(spaces); i++) {
                json_object *space = json_object_array_get_idx(spaces, i);

                r = flat_member(client, vm_path, json_get_text(space, "name"), i == 0, views);
                if (r < 0)
                        return r;
        }
        if (client->output.json != JSON_OFF)
                json_print(&client->output, views);
        return 0;
}

/* The views of all spaces of the layout, at one generation: -EAGAIN if they are not. */
static int fetch_views(Client *client, const char *vm_path, json_object *spaces, Sections *views,
                       uint64_t generation) {
        uint64_t of_view;
        int r;

        for (size_t i = 0; i < json_length(spaces); i++) {
                json_object *space = json_object_array_get_idx(spaces, i);

                r = view_fetch(client, vm_path, json_get_text(space, "name"), &of_view, &views[i]);
                if (r < 0)
                        return r;
                if (of_view != generation)
                        return -EAGAIN;
        }
        return 0;
}

/* Which views are one, and at what priority a section's region is, only the layout tells. */
static int flat_mtree_once(Client *client, const char *vm, const char *vm_path, const char *space) {
        _cleanup_(json_putp) json_object *layout = NULL;
        json_object *spaces;
        uint64_t generation;
        Sections *views;
        size_t n;
        int r;

        r = edit_get_generation(client, vm, &generation);
        if (r < 0)
                return r;
        r = layout_fetch(client, vm_path, &layout);
        if (r < 0)
                return r;
        spaces = json_get_list(layout, "address-spaces");
        n = json_length(spaces);
        views = must(calloc(n + 1, sizeof(*views)));
        r = fetch_views(client, vm_path, spaces, views, generation);
        if (r >= 0)
                r = mtree_print_flat(&client->output, layout, views, space);
        for (size_t i = 0; i < n; i++)
                sections_deinit(&views[i]);
        free(views);
        return r;
}

static int flat_mtree(Client *client, const char *vm_path, char **arguments) {
        for (int attempt = 0; attempt < VIEW_ATTEMPTS_MAX; attempt++) {
                int r = flat_mtree_once(client, arguments[0], vm_path, arguments[1]);

                if (r != -EAGAIN)
                        return r;
        }
        return fail("VM \"%s\" changes faster than its address spaces can be read", arguments[0]);
}

int verb_flat(Client *client, char **arguments) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = client_find_vm(client, arguments[0], &path);
        if (r < 0)
                return r;
        if (client_given(client, OPTION_MTREE))
                return flat_mtree(client, path, arguments);
        return arguments[1] ? flat_one(client, path, arguments[1]) : flat_all(client, path);
}

static void print_found(const Output *output, uint64_t generation, uint64_t address,
                        const Section *section) {
        _cleanup_(json_putp) json_object *object = json_new_object();
        _cleanup_(table_freep) Table *table = table_new(section_columns, SECTION_N_COLUMNS);
        uint64_t offset = section->offset + (address - section->first);

        json_add_count(object, "generation", generation);
        json_add_hex(object, "address", address);
        json_add_hex(object, "offset", offset);
        json_add(object, "section", section_json(section));
        if (output->json != JSON_OFF) {
                json_print(output, object);
                return;
        }
        printf("%s is %s of %s\n\n", number_hex(address).text, number_hex(offset).text,
               section->region);
        section_row(section, table);
        table_print(table, output);
}

int verb_find_address(Client *client, char **arguments) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(freep) char *vm = NULL;
        _cleanup_(freep) char *space = NULL;
        uint64_t address, generation;
        Section section;
        int r;

        r = client_number(arguments[2], "address", &address);
        if (r < 0)
                return r;
        r = client_find_vm(client, arguments[0], &vm);
        if (r < 0)
                return r;
        r = client_find_space(client, vm, arguments[1], &space);
        if (r < 0)
                return r;
        r = client_method(client, &reply, space, GUESTMAP_INTERFACE_ADDRESS_SPACE, "Find", "t",
                          address);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "t", &generation);
        if (r < 0)
                return client_cannot_read(r);
        r = section_read(reply, &section);
        if (r < 0)
                return client_cannot_read(r);
        print_found(&client->output, generation, address, &section);
        return 0;
}
