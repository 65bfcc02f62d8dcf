/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>

#include "api/names.h"
#include "client/view.h"

void view_deinit(View *view) {
        for (size_t i = 0; i < view->n_pages; i++)
                sd_bus_message_unref(view->pages[i]);
        free(view->pages);
        free(view->sections);
        *view = (View){};
}

static void view_add(View *view, const Section *section) {
        if (view->n == view->n_allocated) {
                view->n_allocated = MAX_OF(view->n_allocated * 2, 64u);
                view->sections = must(
                        reallocarray(view->sections, view->n_allocated, sizeof(*view->sections)));
        }
        view->sections[view->n++] = *section;
}

/* One reply of GetFlatViewFrom(). A generation other than that of the pages before: -EAGAIN. */
static int view_read_page(View *view, sd_bus_message *reply, bool *ret_more) {
        uint64_t generation;
        Section section;
        int more, r;

        r = sd_bus_message_read(reply, "t", &generation);
        if (r < 0)
                return r;
        if (view->n > 0 && generation != view->generation)
                return -EAGAIN;
        view->generation = generation;
        r = sd_bus_message_enter_container(reply, 'a', "(ttstsu)");
        if (r < 0)
                return r;
        while ((r = section_read(reply, &section)) > 0)
                view_add(view, &section);
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

/* The message stays with the view, whose text it has. */
static void view_keep_page(View *view, sd_bus_message *page) {
        view->pages = must(reallocarray(view->pages, view->n_pages + 1, sizeof(*view->pages)));
        view->pages[view->n_pages++] = page;
}

static int view_fetch_pages(View *view, Client *client, const char *space_path) {
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
                r = view_fetch_pages(ret, client, path);
                if (r != -EAGAIN)
                        return r;
        }
        return fail("address space \"%s\" changes faster than its %u-section pages can be read",
                    space, GUESTMAP_PAGE_MAX);
}
