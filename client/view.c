/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>

#include "api/names.h"
#include "client/dump.h"
#include "client/follow-read.h"
#include "client/json-read.h"
#include "client/view.h"

/* One reply of GetFlatViewFrom(). A generation other than that of the pages before: -EAGAIN. */
static int read_page(sd_bus_message *reply, uint64_t *generation, Sections *sections,
                     bool *ret_more) {
        uint64_t of_page;
        int more, r;

        r = sd_bus_message_read(reply, "t", &of_page);
        if (r < 0)
                return r;
        if (sections->n > 0 && of_page != *generation)
                return -EAGAIN;
        *generation = of_page;
        r = sections_read(reply, sections);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "b", &more);
        if (r < 0)
                return r;
        *ret_more = more;
        return 0;
}

static int fetch_pages(Client *client, const char *vm_path, const char *space_path,
                       uint64_t *ret_generation, Sections *ret) {
        bool more = true;
        int r;

        while (more) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
                uint64_t next = ret->n ? ret->items[ret->n - 1].last + 1 : 0;

                r = client_method(client, &reply, space_path, GUESTMAP_INTERFACE_ADDRESS_SPACE,
                                  "GetFlatViewFrom", "tu", next, GUESTMAP_PAGE_MAX);
                if (r < 0)
                        return r;
                r = read_page(reply, ret_generation, ret, &more);
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
static int fetch_dump(Client *client, const char *vm_path, const char *space,
                      uint64_t *ret_generation, Sections *ret) {
        _cleanup_(json_putp) json_object *dump = NULL;
        json_object *sections;
        int r;

        r = dump_fetch(client, vm_path, "flat", &dump);
        if (r < 0)
                return r;
        sections = json_get_list(json_get_object(dump, "address-spaces"), space);
        if (!sections)
                return fail("address space \"%s\" has gone meanwhile", space);
        *ret_generation = json_get_number(dump, "generation");
        for (size_t i = 0; i < json_length(sections); i++) {
                Section section = section_from_json(json_object_array_get_idx(sections, i));

                sections_add(ret, &section);
        }
        return 0;
}

int view_fetch(Client *client, const char *vm_path, const char *space, uint64_t *ret_generation,
               Sections *ret) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = client_find_space(client, vm_path, space, &path);
        if (r < 0)
                return r;
        for (int attempt = 0; attempt < VIEW_ATTEMPTS_MAX; attempt++) {
                r = fetch_pages(client, vm_path, path, ret_generation, ret);
                if (r != -EAGAIN)
                        return r;
                sections_deinit(ret);
        }
        if (client_passes_fds(client))
                return fetch_dump(client, vm_path, space, ret_generation, ret);
        return fail("address space \"%s\" changes faster than its %u-section pages can be read",
                    space, GUESTMAP_PAGE_MAX);
}

/* What leads from a view to the next leads back when it is turned round. */
static int undo(const Sections *now, const Change *change, Sections *ret) {
        const Change back = {.removed = change->added, .added = change->removed};

        for (size_t i = 0; i < now->n; i++)
                sections_add(ret, &now->items[i]);
        return sections_apply(ret, &back) ? 0 : client_cannot_read(-EBADMSG);
}

int view_fetch_older(Client *client, const char *vm_path, const char *space, uint64_t generation,
                     uint64_t now_generation, const Sections *now, Sections *ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(answer_deinit) Answer answer = {};
        _cleanup_(freep) char *path = NULL;
        int r;

        r = client_find_space(client, vm_path, space, &path);
        if (r < 0)
                return r;
        r = client_method(client, &reply, path, GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetChanges", "t",
                          generation);
        if (r < 0)
                return r;
        r = answer_read(reply, &answer);
        if (r < 0)
                return client_cannot_read(r);
        if (answer.generation != now_generation)
                return -EAGAIN;
        if (!answer.complete)
                return fail("address space \"%s\": what has changed since generation %" PRIu64
                            " is not known any more, or is too much; it is at %" PRIu64,
                            space, generation, now_generation);
        return undo(now, &answer.change, ret);
}
