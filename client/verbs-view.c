/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Verbs that look at what the guest sees
 */

#include <inttypes.h>

#include "api/names.h"
#include "client/client.h"
#include "client/json-print.h"
#include "client/json-read.h"
#include "client/layout.h"
#include "client/number.h"
#include "client/section.h"
#include "client/verb.h"
#include "lib/util/range.h"

/* A view while its pages arrive: in the form that is wanted, the other one stays empty. */
typedef struct Listing {
        bool for_people;
        uint64_t generation;
        uint64_t next; /* where the next page begins */
        size_t n;
        Table *table;
        json_object *sections;
} Listing;

static void listing_init(Listing *listing, const Output *output) {
        *listing = (Listing){
                .for_people = output->json == JSON_OFF,
                .table = table_new(section_columns, SECTION_N_COLUMNS),
                .sections = json_new_array(),
        };
}

static void listing_deinit(Listing *listing) {
        table_free(listing->table);
        json_object_put(listing->sections);
}

static void listing_add(Listing *listing, const Section *section) {
        if (listing->for_people)
                section_row(section, listing->table);
        else
                json_append(listing->sections, section_json(section));
        listing->next = section->last + 1;
        listing->n++;
}

/* One reply of GetFlatViewFrom(). A generation other than that of the pages before: -EAGAIN. */
static int listing_read_page(Listing *listing, sd_bus_message *reply, bool *ret_more) {
        uint64_t generation;
        Section section;
        int more, r;

        r = sd_bus_message_read(reply, "t", &generation);
        if (r < 0)
                return r;
        if (listing->n > 0 && generation != listing->generation)
                return -EAGAIN;
        listing->generation = generation;
        r = sd_bus_message_enter_container(reply, 'a', "(ttstsu)");
        if (r < 0)
                return r;
        while ((r = section_read(reply, &section)) > 0)
                listing_add(listing, &section);
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "b", &more);
        if (r < 0)
                return r;
        *ret_more = more;
        return 0;
}

static int listing_fetch_pages(Listing *listing, Client *client, const char *space_path) {
        bool more = true;
        int r;

        while (more) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

                r = client_method(client, &reply, space_path, GUESTMAP_INTERFACE_ADDRESS_SPACE,
                                  "GetFlatViewFrom", "tu", listing->next, GUESTMAP_PAGE_MAX);
                if (r < 0)
                        return r;
                r = listing_read_page(listing, reply, &more);
                if (r == -EAGAIN)
                        return r;
                if (r < 0)
                        return client_cannot_read(r);
        }
        return 0;
}

/*
 * The whole view of one moment. A view of many pages on a map that never rests cannot be had this
 * way; after a few attempts that is said.
 */
static int listing_fetch(Listing *ret, Client *client, const char *vm_path, const char *space) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = client_find_space(client, vm_path, space, &path);
        if (r < 0)
                return r;
        for (int attempt = 0; attempt < 10; attempt++) {
                listing_init(ret, &client->output);
                r = listing_fetch_pages(ret, client, path);
                if (r >= 0)
                        return 0;
                listing_deinit(ret);
                if (r != -EAGAIN)
                        return r;
        }
        return fail("address space \"%s\" changes faster than its %u-section pages can be read",
                    space, GUESTMAP_PAGE_MAX);
}

static json_object *listing_json(const Listing *listing) {
        json_object *view = json_new_object();

        json_add_count(view, "generation", listing->generation);
        json_add(view, "sections", json_object_get(listing->sections));
        return view;
}

static int flat_one(Client *client, const char *vm_path, const char *space) {
        _cleanup_(json_putp) json_object *view = NULL;
        Listing listing;
        int r;

        r = listing_fetch(&listing, client, vm_path, space);
        if (r < 0)
                return r;
        view = listing_json(&listing);
        output_print(&client->output, listing.table, view);
        listing_deinit(&listing);
        return 0;
}

/* One of several: under a heading, or as a member of `views`. */
static int flat_member(Client *client, const char *vm_path, const char *space, json_object *views) {
        Listing listing;
        int r;

        r = listing_fetch(&listing, client, vm_path, space);
        if (r < 0)
                return r;
        if (listing.for_people) {
                printf("%s%s (generation %" PRIu64 ", %zu section%s)\n",
                       json_object_object_length(views) ? "\n" : "", space, listing.generation,
                       listing.n, PLURAL(listing.n));
                table_print(listing.table, &client->output);
        }
        json_add(views, space, listing_json(&listing));
        listing_deinit(&listing);
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

                r = flat_member(client, vm_path, json_get_text(space, "name"), views);
                if (r < 0)
                        return r;
        }
        if (client->output.json != JSON_OFF)
                json_print(&client->output, views);
        return 0;
}

int verb_flat(Client *client, char **arguments) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = client_find_vm(client, arguments[0], &path);
        if (r < 0)
                return r;
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
