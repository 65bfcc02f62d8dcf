/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * plug, unplug: RAM that comes and goes while the guest runs
 *
 * To look at the map and to change it are two calls. So the generation is read first, and the edit
 * is made for that generation alone: if somebody else commits between, all is done again.
 */

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "api/errors.h"
#include "api/names.h"
#include "client/edit.h"
#include "client/json-print.h"
#include "client/number.h"
#include "client/position.h"
#include "client/progress.h"
#include "client/verb.h"

/* Whoever loses as often as that has met a map that never rests. */
enum { ATTEMPTS_MAX = 1000 };

/* In blocks of that size Linux takes memory into use. */
#define ALIGN_PRESET (UINT64_C(128) << 20)

/* Above the devices of a PC. */
#define WINDOW_PRESET ((Range){UINT64_C(4) << 30, UINT64_MAX})

static int fail_overtaken(void) {
        return fail("others have changed the map %d times meanwhile", ATTEMPTS_MAX);
}

typedef struct Plug Plug;

struct Plug {
        Client *client;
        const char *vm;
        char *vm_path;
        char *map_path; /* of the VM or, with --transaction, of that */
        const char *space;
        const char *parent; /* NULL: the space's root */
        uint64_t size, align;
        Range window; /* that the user wants, or the preset one */
        Range reach;  /* all addresses that a guest has */

        const char *name;

        char preset_name[32]; /* dimmN, if no name is given */
        unsigned number;
        uint64_t address; /* where the last attempt found room */
        uint64_t offset;  /* the same, in the parent */
};

static void plug_deinit(Plug *plug) {
        free(plug->vm_path);
        free(plug->map_path);
}

/* FIRST-LAST */
static int parse_window(const char *word, Range *ret) {
        _cleanup_(freep) char *first = must(strdup(word));
        char *last = strchr(first, '-');
        Range window;
        int r;

        if (!last)
                return fail("window \"%s\" is not FIRST-LAST", word);
        *last++ = '\0';
        r = client_number(first, "window's first address", &window.first);
        if (r < 0)
                return r;
        r = client_number(last, "window's last address", &window.last);
        if (r < 0)
                return r;
        if (window.first > window.last)
                return fail("window \"%s\" ends before it begins", word);
        *ret = window;
        return 0;
}

/*
 * Of whole pages, taken to be as large on a host that is far away, and within the guest's reach: so
 * all of it has a slot. Whether the alignment is a power of two is checked where room is found.
 */
static int check_pages(const Plug *plug) {
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

        if (plug->size % page != 0 && plug->size != GUESTMAP_SIZE_WHOLE)
                return fail("size %s is not a multiple of a page, %s", number_size(plug->size).text,
                            number_size(page).text);
        if (plug->align < page)
                return fail("alignment %s is less than a page, %s", number_size(plug->align).text,
                            number_size(page).text);
        return 0;
}

static int parse_options(Plug *plug) {
        const char *const *options = plug->client->options;
        int r;

        if (!options[OPTION_SIZE])
                return fail("plug: how much? --size=SIZE is missing");
        r = client_size(options[OPTION_SIZE], "size", &plug->size);
        if (r == 0 && options[OPTION_ALIGN])
                r = client_number(options[OPTION_ALIGN], "alignment", &plug->align);
        if (r == 0 && options[OPTION_WINDOW])
                r = parse_window(options[OPTION_WINDOW], &plug->window);
        else if (r == 0 && plug->parent)
                plug->window = RANGE_WHOLE; /* all of the parent */
        return r < 0 ? r : check_pages(plug);
}

static int find_reach(Plug *plug) {
        uint32_t bits;
        int r;

        r = client_property(plug->client, plug->vm_path, GUESTMAP_INTERFACE_VM, "AddressBits", 'u',
                            &bits);
        if (r < 0)
                return r;
        if (bits == 0 || bits > 64)
                return client_cannot_read(-EBADMSG);
        plug->reach = (Range){0, UINT64_MAX >> (64 - bits)};
        return 0;
}

static int find_root(const Plug *plug, char **ret) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = client_find_space(plug->client, plug->vm_path, plug->space, &path);
        return r < 0 ? r
                     : client_property(plug->client, path, GUESTMAP_INTERFACE_ADDRESS_SPACE, "Root",
                                       's', ret);
}

static int find_free(Plug *plug, Range window) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = client_method(plug->client, &reply, plug->map_path, GUESTMAP_INTERFACE_MAP, "FindFree",
                          "stttt", plug->space, plug->size, plug->align, window.first, window.last);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "t", &plug->address);
        return r < 0 ? client_cannot_read(r) : 0;
}

/* Where the parent shows it. */
static int find_place(Plug *plug, const char *parent, const char *root) {
        Position position;
        Range window;
        int r;

        r = position_find(plug->client, plug->vm_path, root, parent, &position);
        if (r < 0)
                return r;
        if (!range_intersect(plug->window, position.extent, &window))
                return fail("region \"%s\", at %s-%s, has no part in window %s-%s", parent,
                            number_hex(position.extent.first).text,
                            number_hex(position.extent.last).text,
                            number_hex(plug->window.first).text,
                            number_hex(plug->window.last).text);
        if (!range_intersect(window, plug->reach, &window))
                return fail("window %s-%s lies beyond the last address that guests of VM \"%s\" "
                            "have, %s",
                            number_hex(window.first).text, number_hex(window.last).text, plug->vm,
                            number_hex(plug->reach.last).text);
        r = find_free(plug, window);
        plug->offset = plug->address - position.base;
        return r;
}

/* Whether the VM has a region of that name. */
static int is_taken(const Plug *plug, bool *ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL, *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = client_request(plug->client, &request, plug->vm_path, GUESTMAP_INTERFACE_VM,
                           "GetRegion");
        if (r < 0)
                return r;
        r = sd_bus_message_append(request, "s", plug->name);
        if (r < 0)
                return client_cannot_ask(r);
        r = client_try(plug->client, request, &error, &reply);
        *ret = r >= 0;
        if (r < 0 &&
            !sd_bus_error_has_name(&error, GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_NO_SUCH_REGION))
                return client_print_error(plug->client, &error, r);
        return 0;
}

/* The first dimmN from the number on that there is none of yet. */
static int find_name(Plug *plug) {
        bool taken = true;
        int r = 0;

        if (client_given(plug->client, OPTION_NAME))
                return 0;
        plug->name = plug->preset_name;
        while (r == 0 && taken) {
                snprintf(plug->preset_name, sizeof(plug->preset_name), "dimm%u", plug->number);
                r = is_taken(plug, &taken);
                plug->number += taken;
        }
        return r;
}

static int make_request(const Plug *plug, const char *parent, uint64_t generation,
                        sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        int r;

        r = client_request(plug->client, &request, plug->map_path, GUESTMAP_INTERFACE_MAP,
                           "AddRegion");
        if (r < 0)
                return r;
        r = sd_bus_message_append(request, "sststi", plug->name, "ram", plug->size, parent,
                                  plug->offset, 0);
        if (r < 0)
                return client_cannot_ask(r);
        r = edit_options_at(plug->client, request, generation);
        if (r == 0)
                r = edit_region_options(plug->client, request);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(request);
        if (r < 0)
                return client_cannot_ask(r);
        *ret = TAKE_PTR(request);
        return 0;
}

/* An edit that is staged before has taken the name: nobody but the transaction knows. */
static bool has_lost_name(Plug *plug, const sd_bus_error *error) {
        if (client_given(plug->client, OPTION_NAME) ||
            !sd_bus_error_has_name(error, GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_REGION_EXISTS))
                return false;
        plug->number++;
        return true;
}

static int add(Plug *plug, sd_bus_message *request, uint64_t *ret_generation, bool *ret_again) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = progress_try(plug->client, request, &error, &reply);
        *ret_again =
                r < 0 && (edit_was_overtaken(plug->client, &error) || has_lost_name(plug, &error));
        if (*ret_again)
                return 0;
        if (r < 0)
                return client_print_error(plug->client, &error, r);
        r = sd_bus_message_read(reply, "t", ret_generation);
        return r < 0 ? client_cannot_read(r) : 0;
}

static int attempt(Plug *plug, uint64_t *ret_generation, bool *ret_again) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_(freep) char *root = NULL;
        const char *parent;
        uint64_t generation;
        int r;

        r = edit_get_generation(plug->client, plug->vm, &generation);
        if (r == 0)
                r = find_root(plug, &root);
        if (r < 0)
                return r;
        parent = plug->parent ?: root;
        r = find_place(plug, parent, root);
        if (r == 0)
                r = find_name(plug);
        if (r == 0)
                r = make_request(plug, parent, generation, &request);
        return r < 0 ? r : add(plug, request, ret_generation, ret_again);
}

static void print_plugged(const Plug *plug, uint64_t generation) {
        _cleanup_(json_putp) json_object *object = NULL;

        if (plug->client->output.json == JSON_OFF) {
                printf("%s %s\n", plug->name, number_hex(plug->address).text);
                return;
        }
        object = json_new_object();
        json_add_text(object, "name", plug->name);
        json_add_hex(object, "address", plug->address);
        json_add_size(object, "size", plug->size);
        json_add_count(object, "generation", generation);
        json_print(&plug->client->output, object);
}

int verb_plug(Client *client, char **arguments) {
        _cleanup_(plug_deinit) Plug plug = {
                .client = client,
                .vm = arguments[0],
                .space = client->options[OPTION_SPACE] ?: "memory",
                .parent = client->options[OPTION_PARENT],
                .align = ALIGN_PRESET,
                .window = WINDOW_PRESET,
                .name = client->options[OPTION_NAME],
        };
        uint64_t generation;
        bool again = true;
        int r;

        r = parse_options(&plug);
        if (r == 0)
                r = client_find_vm(client, plug.vm, &plug.vm_path);
        if (r == 0)
                r = edit_path(client, plug.vm, &plug.map_path);
        if (r == 0)
                r = find_reach(&plug);
        for (int i = 0; r == 0 && again && i < ATTEMPTS_MAX; i++)
                r = attempt(&plug, &generation, &again);
        if (r < 0 || again)
                return r < 0 ? r : fail_overtaken();
        print_plugged(&plug, generation);
        return 0;
}

/* unplug */

static int get_text(Client *client, const char *path, const char *property, char **ret) {
        return client_property(client, path, GUESTMAP_INTERFACE_REGION, property, 's', ret);
}

/* RAM that the guest finds by an alias, as firmware and low memory often are, was never plugged. */
static int check_plugged(Client *client, const char *vm_path, const char *region) {
        _cleanup_(freep) char *path = NULL, *kind = NULL, *parent = NULL;
        int r;

        r = client_find_region(client, vm_path, region, &path);
        if (r == 0)
                r = get_text(client, path, "Kind", &kind);
        if (r == 0)
                r = get_text(client, path, "Parent", &parent);
        if (r < 0)
                return r;
        if (strcmp(kind, "ram") != 0)
                return fail("region \"%s\" is not plugged RAM: its kind is %s", region, kind);
        if (!*parent)
                return fail("region \"%s\" is not plugged RAM: it is placed nowhere", region);
        return 0;
}

static int attempt_unplug(Client *client, char **arguments, const char *vm_path, bool *ret_again) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL, *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        uint64_t generation;
        int r;

        r = edit_get_generation(client, arguments[0], &generation);
        if (r == 0)
                r = check_plugged(client, vm_path, arguments[1]);
        if (r == 0)
                r = edit_open(client, arguments[0], "RemoveRegion", &request);
        if (r < 0)
                return r;
        r = sd_bus_message_append(request, "s", arguments[1]);
        if (r < 0)
                return client_cannot_ask(r);
        r = edit_options_at(client, request, generation);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(request);
        if (r < 0)
                return client_cannot_ask(r);
        r = client_try(client, request, &error, &reply);
        *ret_again = r < 0 && edit_was_overtaken(client, &error);
        if (*ret_again)
                return 0;
        return r < 0 ? client_print_error(client, &error, r)
                     : edit_print_generation(client, reply, NULL);
}

int verb_unplug(Client *client, char **arguments) {
        _cleanup_(freep) char *vm_path = NULL;
        bool again = true;
        int r;

        r = client_find_vm(client, arguments[0], &vm_path);
        for (int i = 0; r == 0 && again && i < ATTEMPTS_MAX; i++)
                r = attempt_unplug(client, arguments, vm_path, &again);
        return r == 0 && again ? fail_overtaken() : r;
}
