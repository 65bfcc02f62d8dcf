/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdlib.h>

#include "api/names.h"
#include "client/dump.h"
#include "client/view.h"

void view_deinit(View *view) {
        for (size_t i = 0; i < view->n_pages; i++)
                sd_bus_message_unref(view->pages[i]);
        free(view->pages);
        free(view->sections);
        json_object_put(view->dump);
        *view = (View){};
}

static void view_add(View *view, const Section *section) {
        must_reserve(&view->sections, &view->n_allocated, view->n, 1);
        view->sections[view->n++] = *section;
}

static int view_read_sections(View *view, sd_bus_message *reply) {
        Section section;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "(ttstsu)");
        if (r < 0)
                return r;
        while ((r = section_read(reply, &section)) > 0)
                view_add(view, &section);
        return r < 0 ? r : sd_bus_message_exit_container(reply);
}

/* One reply of GetFlatViewFrom(). A generation other than that of the pages before: -EAGAIN. */
static int view_read_page(View *view, sd_bus_message *reply, bool *ret_more) {
        uint64_t generation;
        int more, r;

        r = sd_bus_message_read(reply, "t", &generation);
        if (r < 0)
                return r;
        if (view->n > 0 && generation != view->generation)
                return -EAGAIN;
        view->generation = generation;
        r = view_read_sections(view, reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "b", &more);
        if (r < 0)
                return r;
        *ret_more = more;
        return 0;
}

/* The message stays with the view, whose text it has. */
static void view_keep_page(View *view, sd_bus_message *page) {
        view->pages = must(reallocarray(view->pages, view->n_pages + 1, sizeof(*view->pages)));
        view->pages[view->n_pages++] = page;
}

static int view_fetch_pages(View *view, Client *client, const char *vm_path,
                            const char *space_path) {
        bool more = true;
        int r;

        while (more) {
                uint64_t next = view->n ? view->sections[view->n - 1].last + 1 : 0;
                sd_bus_message *reply = NULL;

                r = client_method(client, &reply, space_path, GUESTMAP_INTERFACE_ADDRESS_SPACE,
                                  "GetFlatViewFrom", "tu", next, GUESTMAP_PAGE_MAX);
                if (r < 0)
                        return r;
                view_keep_page(view, reply);
                r = view_read_page(view, reply, &more);
                if (r == -EAGAIN)
                        return r;
                if (r < 0)
                        return client_cannot_read(r);
                if (more)
                        client_go_direct(client, vm_path);
        }
        return 0;
}

/* The address spaces of a VM are written at one generation, whatever happens meanwhile. */
static int view_fetch_dump(View *view, Client *client, const char *vm_path, const char *space) {
        json_object *spaces, *sections;
        int r;

        r = dump_fetch(client, vm_path, "flat", &view->dump);
        if (r < 0)
                return r;
        spaces = json_get_object(view->dump, "address-spaces");
        sections = json_get_list(spaces, space);
        if (!sections)
                return fail("address space \"%s\" has gone meanwhile", space);
        view->generation = json_get_number(view->dump, "generation");
        for (size_t i = 0; i < json_length(sections); i++) {
                Section section = section_from_json(json_object_array_get_idx(sections, i));

                view_add(view, &section);
        }
        return 0;
}

int view_fetch(View *ret, Client *client, const char *vm_path, const char *space) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = client_find_space(client, vm_path, space, &path);
        if (r < 0)
                return r;
        for (int attempt = 0; attempt < VIEW_ATTEMPTS_MAX; attempt++) {
                view_deinit(ret);
                r = view_fetch_pages(ret, client, vm_path, path);
                if (r != -EAGAIN)
                        return r;
        }
        view_deinit(ret);
        if (client_passes_fds(client))
                return view_fetch_dump(ret, client, vm_path, space);
        return fail("address space \"%s\" changes faster than its %u-section pages can be read",
                    space, GUESTMAP_PAGE_MAX);
}

/* A reply of GetChanges(), complete or not. */
static int read_changes(sd_bus_message *reply, View *removed, View *added, bool *ret_complete) {
        int complete, r;

        r = sd_bus_message_read(reply, "tb", &added->generation, &complete);
        if (r < 0)
                return r;
        r = view_read_sections(removed, reply);
        if (r < 0)
                return r;
        *ret_complete = complete;
        return view_read_sections(added, reply);
}

/* Both lists are in address order: so is what comes of them. */
static void undo_changes(View *ret, const View *now, const View *removed, const View *added) {
        size_t a = 0, r = 0;

        for (size_t i = 0; i <= now->n; i++) {
                const Section *section = &now->sections[i];

                while (r < removed->n &&
                       (i == now->n || removed->sections[r].first < section->first))
                        view_add(ret, &removed->sections[r++]);
                if (i == now->n)
                        return;
                if (a < added->n && added->sections[a].first == section->first)
                        a++;
                else
                        view_add(ret, section);
        }
}

int view_fetch_older(View *ret, Client *client, const char *vm_path, const char *space,
                     const View *now, uint64_t generation) {
        _cleanup_(view_deinit) View removed = {}, added = {};
        _cleanup_(freep) char *path = NULL;
        sd_bus_message *reply;
        bool complete;
        int r;

        r = client_find_space(client, vm_path, space, &path);
        if (r < 0)
                return r;
        r = client_method(client, &reply, path, GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetChanges", "t",
                          generation);
        if (r < 0)
                return r;
        view_keep_page(ret, reply);
        r = read_changes(reply, &removed, &added, &complete);
        if (r < 0)
                return client_cannot_read(r);
        if (added.generation != now->generation)
                return -EAGAIN;
        if (!complete)
                return fail("address space \"%s\": what has changed since generation %" PRIu64
                            " is not known any more, or is too much; it is at %" PRIu64,
                            space, generation, now->generation);
        ret->generation = generation;
        undo_changes(ret, now, &removed, &added);
        return 0;
}
