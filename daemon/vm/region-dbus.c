/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "api/names.h"
#include "daemon/vm/dirty-dbus.h"
#include "daemon/vm/error-dbus.h"
#include "daemon/vm/mapped-dbus.h"
#include "daemon/vm/nodes-dbus.h"
#include "daemon/vm/region-dbus.h"
#include "daemon/vm/service-dbus.h"

int region_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                       void **ret_found, sd_bus_error *error) {
        _cleanup_(freep) char *name = NULL;
        Service *service = userdata;
        Detail detail;
        int r;

        r = node_decode(path, service->region_prefix, &name);
        if (r <= 0)
                return r;
        map_check_in(service->vm->map);
        *ret_found = map_find_region(service->vm->map, name);
        if (*ret_found)
                return 1;
        r = detail_set(&detail, MAP_E_NO_SUCH_REGION, "VM \"%s\" has no region \"%s\"",
                       service->vm->name, name);
        return error_from_outcome(error, r, &detail);
}

/*
 * GetManagedObjects is one message: it must not grow with the number of address spaces that show a
 * region (MappedAt), nor take long over it.
 */
static bool are_few(Map *map) {
        const uint64_t sections_max = 4 * GUESTMAP_OBJECTS_MAX;
        AddressSpace *space;
        uint64_t n_sections = 0;

        RB_FOREACH(space, AddressSpaces, &map->spaces)
                n_sections += flat_view_n_sections(space->view->current);
        return map->n_regions <= GUESTMAP_OBJECTS_MAX && n_sections <= sections_max;
}

int region_objects_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                             sd_bus_error *error) {
        _cleanup_(nodes_deinit) Nodes nodes = {};
        Service *service = userdata;
        Map *map = service->vm->map;
        int r;

        if (!node_is_within(service->region_prefix, prefix))
                return 0;
        map_check_in(map);
        if (!are_few(map))
                return 0;
        for (const Region *region = map_next_region(map, ""); region;
             region = map_next_region(map, region->name)) {
                r = nodes_add(&nodes, service->region_prefix, region->name);
                if (r < 0)
                        return r;
        }
        nodes_take(&nodes, ret_nodes);
        return 0;
}

static int get_string(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Region *region = userdata, *other;

        if (strcmp(property, "Name") == 0)
                return sd_bus_message_append(reply, "s", region->name);
        if (strcmp(property, "Kind") == 0)
                return sd_bus_message_append(reply, "s",
                                             region_kind_to_string(region_reported_kind(region)));
        other = strcmp(property, "Parent") == 0 ? region->state.parent : region->target;
        return sd_bus_message_append(reply, "s", other ? other->name : "");
}

static int get_backing(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Region *region = userdata;

        return sd_bus_message_append(reply, "t",
                                     region->backing ? region->backing->id : UINT64_C(0));
}

static int get_memory_text(sd_bus *bus, const char *path, const char *interface,
                           const char *property, sd_bus_message *reply, void *userdata,
                           sd_bus_error *error) {
        const Backing *backing = ((const Region *)userdata)->backing;
        const char *text = NULL;
        NUMAWords nodes;

        if (backing && strcmp(property, "Memory") == 0) {
                text = backing->passed ? "fd" : "memfd";
        } else if (backing && strcmp(property, "NUMANodes") == 0) {
                nodes = numa_nodes_list(backing->spec.numa.nodes);
                text = nodes.text;
        } else if (backing) {
                text = numa_policy_to_string(backing->spec.numa.policy);
        }
        return sd_bus_message_append(reply, "s", text ?: "");
}

static int get_page_size(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Backing *backing = ((const Region *)userdata)->backing;

        return sd_bus_message_append(reply, "t", backing ? backing->page : UINT64_C(0));
}

static int get_memory_flag(sd_bus *bus, const char *path, const char *interface,
                           const char *property, sd_bus_message *reply, void *userdata,
                           sd_bus_error *error) {
        const Backing *backing = ((const Region *)userdata)->backing;
        bool is_prealloc = strcmp(property, "Prealloc") == 0;

        return sd_bus_message_append(
                reply, "b", backing && (is_prealloc ? backing->spec.prealloc : backing->spec.dump));
}

static int get_handler(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", region_handler_kind(userdata));
}

static int get_handled(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Handler *handler = ((const Region *)userdata)->handler;
        uint64_t n = 0;

        if (handler)
                n = __atomic_load_n(strcmp(property, "HandlerReads") == 0 ? &handler->n_reads
                                                                          : &handler->n_writes,
                                    __ATOMIC_RELAXED);
        return sd_bus_message_append(reply, "t", n);
}

static int get_flag(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        static const struct {
                const char *property;
                uint32_t flag;
        } flags[] = {
                {"Enabled", REGION_ENABLED},         {"ReadOnly", REGION_READONLY},
                {"NonVolatile", REGION_NONVOLATILE}, {"Unmergeable", REGION_UNMERGEABLE},
                {"DirtyLog", REGION_DIRTY_LOG},
        };

        for (size_t i = 0; i < ELEMENTS_OF(flags); i++)
                if (strcmp(property, flags[i].property) == 0)
                        return sd_bus_message_append(reply, "b",
                                                     region_is(userdata, flags[i].flag));
        return -ENOENT;
}

static int get_children(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Region *region = userdata;
        size_t n = 0;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "s");
        if (r < 0)
                return r;
        for (const Region *child = region_child_any(region, NULL); child && n < GUESTMAP_NAMES_MAX;
             child = region_child_any(region, child), n++) {
                r = sd_bus_message_append_basic(reply, 's', child->name);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}

static int get_aliases(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Region *region = userdata, *alias;
        size_t n = 0;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "s");
        if (r < 0)
                return r;
        cds_list_for_each_entry(alias, &region->aliases, link) {
                if (n++ == GUESTMAP_NAMES_MAX)
                        break;
                r = sd_bus_message_append_basic(reply, 's', alias->name);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}

/* There is one, and what is set is taken by region_take_set(). */
static int set_enabled(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *value, void *userdata, sd_bus_error *error) {
        return -EOPNOTSUPP;
}

/* Like Map.EnableRegion. */
static int commit_enabled(Service *service, sd_bus_message *m, const Region *region, bool enabled) {
        _cleanup_(edit_deinit) Edit edit = {};
        int r;

        r = edit_init(&edit, EDIT_SET_REGION, region->name);
        if (r < 0)
                return r;
        edit.mask = PROPERTY_FLAGS;
        edit.flags_mask = REGION_ENABLED;
        edit.flags = enabled ? REGION_ENABLED : 0;
        return map_commit_edit(service, m, &edit, false);
}

int region_take_set(Service *service, sd_bus_message *m, sd_bus_error *error) {
        const char *path = sd_bus_message_get_path(m), *interface, *property;
        void *region = NULL;
        int r, enabled;

        if (!service->vm ||
            !sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "Set"))
                return 0;
        r = sd_bus_message_read(m, "ssv", &interface, &property, "b", &enabled);
        (void)sd_bus_message_rewind(m, true);
        if (r < 0 || strcmp(interface, GUESTMAP_INTERFACE_REGION) != 0 ||
            strcmp(property, "Enabled") != 0)
                return 0;
        r = region_object_find(sd_bus_message_get_bus(m), path, interface, service, &region, error);
        return r <= 0 ? r : commit_enabled(service, m, region, enabled);
}

static int method_get_memory(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(closep) int fd = -1;
        const Region *region = userdata;
        Detail detail;
        int r, writable;

        r = sd_bus_message_read(m, "b", &writable);
        if (r < 0)
                return r;
        if (!region->backing) {
                r = detail_set(&detail, VM_E_NOT_SUPPORTED,
                               "region \"%s\" is of kind %s, which has no memory of its own",
                               region->name, region_kind_to_string(region_reported_kind(region)));
                return error_from_outcome(error, r, &detail);
        }
        r = vm_open_backing(region->backing, writable, &fd, &detail);
        if (r != 0) {
                detail_prefix(&detail, "region \"%s\": ", region->name);
                return error_from_outcome(error, r, &detail);
        }
        return sd_bus_reply_method_return(m, "htt", fd, region->backing->offset,
                                          region->state.size);
}

static int get_ioeventfd(const Region *region, sd_bus_message *m, int *ret_fd, Detail *detail) {
        IOEventFD key = {};
        const IOEventFD *found;
        int r, match;

        r = sd_bus_message_read(m, "tubt", &key.offset, &key.length, &match, &key.data);
        if (r < 0)
                return r;
        key.match = match;
        found = ioeventfds_find(&region->ioeventfds, &key);
        if (!found)
                return detail_set(detail, MAP_E_NO_SUCH_IOEVENTFD,
                                  "region \"%s\": no ioeventfd of length %" PRIu32
                                  " at offset 0x%" PRIx64 " with that match and data",
                                  region->name, key.length, key.offset);
        *ret_fd = found->fd;
        return 0;
}

static int method_get_ioeventfd(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Detail detail = {};
        int r, fd = -1;

        r = get_ioeventfd(userdata, m, &fd, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        return sd_bus_reply_method_return(m, "h", fd);
}

#define AT(field) offsetof(Region, field)
#define CONST     SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES   SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

/* One type only is read straight from the region: where it has another there is a function. */
const sd_bus_vtable region_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS(
                "GetIOEventFD", SD_BUS_ARGS("t", offset, "u", length, "b", match, "t", data),
                SD_BUS_RESULT("h", fd), method_get_ioeventfd, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetMemory", SD_BUS_ARGS("b", writable),
                                SD_BUS_RESULT("h", fd, "t", offset, "t", size), method_get_memory,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StartDirtyLog", "", "", method_start_region_log, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StopDirtyLog", "", "", method_stop_region_log, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetDirty", SD_BUS_ARGS("b", clear),
                                SD_BUS_RESULT("t", generation, "t", page_size, "h", bitmap),
                                method_get_region_dirty, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Name", "s", get_string, 0, CONST),
        SD_BUS_PROPERTY("Kind", "s", get_string, 0, CHANGES),
        SD_BUS_PROPERTY("Size", "t", NULL, AT(state.size), CHANGES),
        SD_BUS_PROPERTY("Parent", "s", get_string, 0, CHANGES),
        SD_BUS_PROPERTY("Offset", "t", NULL, AT(state.offset), CHANGES),
        SD_BUS_PROPERTY("Priority", "i", NULL, AT(state.priority), CHANGES),
        SD_BUS_WRITABLE_PROPERTY("Enabled", "b", get_flag, set_enabled, 0,
                                 CHANGES | SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("ReadOnly", "b", get_flag, 0, CHANGES),
        SD_BUS_PROPERTY("NonVolatile", "b", get_flag, 0, CHANGES),
        SD_BUS_PROPERTY("Unmergeable", "b", get_flag, 0, CHANGES),
        SD_BUS_PROPERTY("DirtyLog", "b", get_flag, 0, CHANGES),
        SD_BUS_PROPERTY("Target", "s", get_string, 0, CONST),
        SD_BUS_PROPERTY("TargetOffset", "t", NULL, AT(state.target_offset), CHANGES),
        SD_BUS_PROPERTY("Children", "as", get_children, 0, 0),
        SD_BUS_PROPERTY("NChildren", "u", NULL, AT(n_children), 0),
        SD_BUS_PROPERTY("Aliases", "as", get_aliases, 0, 0),
        SD_BUS_PROPERTY("NAliases", "u", NULL, AT(n_aliases), 0),
        SD_BUS_PROPERTY("Backing", "t", get_backing, 0, CONST),
        SD_BUS_PROPERTY("Memory", "s", get_memory_text, 0, CONST),
        SD_BUS_PROPERTY("PageSize", "t", get_page_size, 0, CONST),
        SD_BUS_PROPERTY("Prealloc", "b", get_memory_flag, 0, CONST),
        SD_BUS_PROPERTY("NUMANodes", "s", get_memory_text, 0, CONST),
        SD_BUS_PROPERTY("NUMAPolicy", "s", get_memory_text, 0, CONST),
        SD_BUS_PROPERTY("Dump", "b", get_memory_flag, 0, CONST),
        SD_BUS_PROPERTY("Handler", "s", get_handler, 0, CHANGES),
        SD_BUS_PROPERTY("HandlerReads", "t", get_handled, 0, 0),
        SD_BUS_PROPERTY("HandlerWrites", "t", get_handled, 0, 0),
        SD_BUS_PROPERTY("MappedAt", "a(st)", get_mapped_at, 0, 0),
        SD_BUS_SIGNAL_WITH_ARGS(
                "Accessed",
                SD_BUS_ARGS("t", offset, "u", width, "b", write, "t", value, "a{sv}", details), 0),
        SD_BUS_VTABLE_END,
};
