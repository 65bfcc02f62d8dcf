/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <string.h>

#include "api/names.h"
#include "daemon/vm/access-dbus.h"
#include "daemon/vm/address-space-dbus.h"
#include "daemon/vm/error-dbus.h"
#include "daemon/vm/nodes-dbus.h"
#include "daemon/vm/section-dbus.h"
#include "daemon/vm/service-dbus.h"
#include "daemon/vm/watch-dbus.h"
#include "lib/memory/flat-view.h"

int address_space_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                              void **ret_found, sd_bus_error *error) {
        _cleanup_(freep) char *name = NULL;
        Service *service = userdata;
        Detail detail;
        int r;

        r = node_decode(path, service->space_prefix, &name);
        if (r <= 0)
                return r;
        *ret_found = snapshot_find_space(map_snapshot(service->vm->map), name);
        if (*ret_found)
                return 1;
        r = detail_set(&detail, MAP_E_NO_SUCH_ADDRESS_SPACE,
                       "VM \"%s\" has no address space \"%s\"", service->vm->name, name);
        return error_from_outcome(error, r, &detail);
}

int address_space_objects_enumerate(sd_bus *bus, const char *prefix, void *userdata,
                                    char ***ret_nodes, sd_bus_error *error) {
        _cleanup_(nodes_deinit) Nodes nodes = {};
        Service *service = userdata;
        AddressSpace *space;
        int r;

        if (!node_is_within(service->space_prefix, prefix))
                return 0;
        map_check_in(service->vm->map);
        RB_FOREACH(space, AddressSpaces, &service->vm->map->spaces) {
                r = nodes_add(&nodes, service->space_prefix, space->name);
                if (r < 0)
                        return r;
        }
        nodes_take(&nodes, ret_nodes);
        return 0;
}

static int append_spaces(sd_bus_message *reply, const Snapshot *snapshot) {
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(sst)");
        if (r < 0)
                return r;
        for (size_t i = 0; i < snapshot->n_spaces; i++) {
                const AddressSpace *space = snapshot->spaces[i].space;

                r = sd_bus_message_append(reply, "(sst)", space->name, space->view->root->name,
                                          space->generation);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}

int method_list_address_spaces(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const Service *service = userdata;
        const Snapshot *snapshot = map_snapshot(service->vm->map);
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_append(reply, "t", snapshot->generation);
        if (r < 0)
                return r;
        r = append_spaces(reply, snapshot);
        if (r < 0)
                return r;
        return sd_bus_send(NULL, reply, NULL);
}

static uint64_t vm_generation(sd_bus_message *m) {
        return service_current(sd_bus_message_get_bus(m))->vm->map->generation;
}

/* The generation, and of a view at most `max` sections from an address on. */
static int reply_with_view(sd_bus_message *m, const FlatView *view, uint64_t from, size_t max,
                           bool *ret_more, sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_append(reply, "t", vm_generation(m));
        if (r < 0)
                return r;
        r = message_append_view(reply, view, from, max, ret_more);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(reply);
        return 0;
}

static int too_large(const AddressSpace *space, Detail *detail) {
        return detail_set(detail, MAP_E_TOO_LARGE,
                          "address space \"%s\" has %zu sections, over the limit of %u of one "
                          "reply: use GetFlatViewFrom or Dump",
                          space->name, flat_view_n_sections(space->view->current),
                          GUESTMAP_PAGE_MAX);
}

static int method_get_flat_view(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const AddressSpace *space = userdata;
        const FlatView *view = space->view->current;
        Detail detail;
        int r;

        if (flat_view_n_sections(view) > GUESTMAP_PAGE_MAX)
                return error_from_outcome(error, too_large(space, &detail), &detail);
        r = reply_with_view(m, view, 0, SIZE_MAX, NULL, &reply);
        if (r < 0)
                return r;
        return sd_bus_send(NULL, reply, NULL);
}

static int method_get_flat_view_from(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const AddressSpace *space = userdata;
        uint64_t first;
        uint32_t max;
        bool more;
        int r;

        r = sd_bus_message_read(m, "tu", &first, &max);
        if (r < 0)
                return r;
        if (max == 0 || max > GUESTMAP_PAGE_MAX)
                max = GUESTMAP_PAGE_MAX;
        r = reply_with_view(m, space->view->current, first, max, &more, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_append(reply, "b", more);
        if (r < 0)
                return r;
        return sd_bus_send(NULL, reply, NULL);
}

static int method_find(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const AddressSpace *space = userdata;
        const Section *section;
        uint64_t address;
        Detail detail;
        int r;

        r = sd_bus_message_read(m, "t", &address);
        if (r < 0)
                return r;
        section = flat_view_find(space->view->current, address);
        if (!section) {
                r = detail_set(&detail, VM_E_UNASSIGNED,
                               "address space \"%s\": nothing answers at 0x%" PRIx64, space->name,
                               address);
                return error_from_outcome(error, r, &detail);
        }
        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_append(reply, "t", vm_generation(m));
        if (r < 0)
                return r;
        r = message_append_section(reply, section);
        if (r < 0)
                return r;
        return sd_bus_send(NULL, reply, NULL);
}

static int method_get_changes(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        uint64_t since;
        Detail detail = {};
        int r;

        r = sd_bus_message_read(m, "t", &since);
        if (r < 0)
                return r;
        r = changes_reply(service_current(sd_bus_message_get_bus(m)), m, userdata, since);
        return r < 0 ? error_from_outcome(error, r, &detail) : 1;
}

static int method_wait_changes(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        uint64_t since, timeout_usec;
        Detail detail = {};
        int r;

        r = sd_bus_message_read(m, "tt", &since, &timeout_usec);
        if (r < 0)
                return r;
        r = watch_new(service_current(sd_bus_message_get_bus(m)), m, userdata, since, timeout_usec,
                      &detail);
        return r != 0 ? error_from_outcome(error, r, &detail) : 1;
}

/* MAP_E_TOO_LARGE if there is more than a reply holds. */
static int append_memory(sd_bus_message *reply, const FlatView *view) {
        ViewCursor cursor;
        const Section *section = flat_view_first(view, &cursor, 0);
        size_t n = 0;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(ttttu)");
        if (r < 0)
                return r;
        for (; section; section = flat_view_next(&cursor)) {
                if (!section_is_memory(section) || !section->region->backing)
                        continue;
                if (n++ == GUESTMAP_PAGE_MAX)
                        return MAP_E_TOO_LARGE;
                r = sd_bus_message_append(reply, "(ttttu)", section->range.first,
                                          section->range.last, section->region->backing->id,
                                          section_file_offset(section), (uint32_t)section->flags);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}

static int method_get_memory_table(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const AddressSpace *space = userdata;
        Detail detail;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_append(reply, "t", vm_generation(m));
        if (r < 0)
                return r;
        r = append_memory(reply, space->view->current);
        if (r > 0)
                r = detail_set(&detail, r,
                               "address space \"%s\" has more than %u sections of memory, the "
                               "limit of one reply: use Dump of memory-table",
                               space->name, GUESTMAP_PAGE_MAX);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        return sd_bus_send(NULL, reply, NULL);
}

static int get_string(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const AddressSpace *space = userdata;

        return sd_bus_message_append(
                reply, "s", strcmp(property, "Name") == 0 ? space->name : space->view->root->name);
}

static int get_sections(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const AddressSpace *space = userdata;

        return sd_bus_message_append(reply, "t",
                                     (uint64_t)flat_view_n_sections(space->view->current));
}

#define CHANGES                                                                                    \
        SD_BUS_RESULT("t", generation, "b", complete, "a" SECTION_SIGNATURE, removed,              \
                      "a" SECTION_SIGNATURE, added)

const sd_bus_vtable address_space_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("GetFlatView", SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("t", generation, "a" SECTION_SIGNATURE, sections),
                                method_get_flat_view, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS(
                "GetFlatViewFrom", SD_BUS_ARGS("t", first, "u", max),
                SD_BUS_RESULT("t", generation, "a" SECTION_SIGNATURE, sections, "b", more),
                method_get_flat_view_from, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Find", SD_BUS_ARGS("t", address),
                                SD_BUS_RESULT("t", generation, SECTION_SIGNATURE, section),
                                method_find, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetChanges", SD_BUS_ARGS("t", since), CHANGES, method_get_changes,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("WaitChanges", SD_BUS_ARGS("t", since, "t", timeout_usec), CHANGES,
                                method_wait_changes, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Read", SD_BUS_ARGS("t", address, "t", length),
                                SD_BUS_RESULT("ay", data), method_read_memory,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Write", SD_BUS_ARGS("t", address, "ay", data), SD_BUS_NO_RESULT,
                                method_write_memory, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetMemoryTable", SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("t", generation, "a(ttttu)", table),
                                method_get_memory_table, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Name", "s", get_string, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Root", "s", get_string, 0, 0),
        SD_BUS_PROPERTY("Generation", "t", NULL, offsetof(AddressSpace, generation), 0),
        SD_BUS_PROPERTY("Sections", "t", get_sections, 0, 0),
        SD_BUS_VTABLE_END,
};
