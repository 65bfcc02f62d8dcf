/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "daemon/vm/apply-dbus.h"
#include "daemon/vm/equip.h"
#include "daemon/vm/error-dbus.h"
#include "daemon/vm/find-free-dbus.h"
#include "daemon/vm/handler-spec.h"
#include "daemon/vm/map-dbus.h"
#include "daemon/vm/open-transaction.h"
#include "daemon/vm/options-dbus.h"
#include "daemon/vm/service-dbus.h"

typedef struct Request Request;
typedef struct Verb Verb;

/* A call of a verb, read. */
struct Request {
        Edit edit;
        uint64_t expected; /* generation, if the caller gave one */
        uint32_t has_expected;
        int fd; /* of memory, borrowed from the message, if the caller gave one */
        uint32_t has_fd;
        uint64_t fd_offset;
        uint32_t has_fd_offset;
        NUMAChoice numa;
};

struct Verb {
        const char *member;
        EditVerb verb;
        int (*read)(sd_bus_message *m, Request *request, Detail *detail);
};

#define OPTION_EXPECT(request)                                                                     \
        { "expect-generation", 't', &(request)->expected, 0, &(request)->has_expected, 1 }
#define OPTION_FLAG(edit, name, flag)                                                              \
        { name, 'b', &(edit)->flags, flag, &(edit)->flags_mask, flag }
#define OPTION_PROPERTY(edit, name, type, field, property)                                         \
        { name, type, &(edit)->field, 0, &(edit)->mask, property }

/* An edit about a region that is named first in every message. */
static int read_name(sd_bus_message *m, Edit *edit) {
        EditVerb verb = edit->verb;
        const char *name;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        return edit_init(edit, verb, name);
}

static int read_copy(sd_bus_message *m, char **ret) {
        const char *string;
        int r;

        r = sd_bus_message_read(m, "s", &string);
        if (r < 0)
                return r;
        *ret = strdup(string);
        return *ret ? 0 : -ENOMEM;
}

static int read_expect(sd_bus_message *m, Request *request, Detail *detail) {
        const Option options[] = {OPTION_EXPECT(request)};

        return options_read(m, options, ELEMENTS_OF(options), detail);
}

static int read_placing(sd_bus_message *m, Edit *edit) {
        int r;

        r = read_copy(m, &edit->parent);
        if (r < 0)
                return r;
        r = sd_bus_message_read(m, "ti", &edit->offset, &edit->priority);
        return r < 0 ? r : 0;
}

static int read_kind(sd_bus_message *m, Edit *edit, Detail *detail) {
        const char *kind;
        int r;

        r = sd_bus_message_read(m, "s", &kind);
        if (r < 0)
                return r;
        r = region_kind_from_string(kind);
        if (r < 0)
                return detail_set(detail, MAP_E_INVALID_KIND,
                                  "region \"%.128s\": kind \"%.64s\" is none of container, ram, "
                                  "rom, romd, mmio, reserved",
                                  edit->name, kind);
        edit->kind = (RegionKind)r;
        edit->flags = region_default_flags(edit->kind);
        return 0;
}

static int read_add_region(sd_bus_message *m, Request *request, Detail *detail) {
        Edit *edit = &request->edit;
        const Option options[] = {
                OPTION_FLAG(edit, "enabled", REGION_ENABLED),
                OPTION_FLAG(edit, "readonly", REGION_READONLY),
                OPTION_FLAG(edit, "nonvolatile", REGION_NONVOLATILE),
                OPTION_FLAG(edit, "unmergeable", REGION_UNMERGEABLE),
                OPTION_FLAG(edit, "dirty-log", REGION_DIRTY_LOG),
                {"fd", 'h', &request->fd, 0, &request->has_fd, 1},
                {"fd-offset", 't', &request->fd_offset, 0, &request->has_fd_offset, 1},
                {"hugepage-size", 't', &edit->memory.huge_page},
                {"prealloc", 'b', &edit->memory.prealloc},
                {"numa-node", 'u', &request->numa.node, 0, &request->numa.has_node, 1},
                {"numa-nodes", 's', &request->numa.nodes},
                {"numa-policy", 's', &request->numa.policy},
                {"dump", 'b', &edit->memory.dump},
                OPTION_EXPECT(request),
        };
        int r;

        r = read_kind(m, edit, detail);
        if (r != 0)
                return r;
        r = sd_bus_message_read(m, "t", &edit->size);
        if (r < 0)
                return r;
        r = read_placing(m, edit);
        if (r < 0)
                return r;
        r = options_read(m, options, ELEMENTS_OF(options), detail);
        if (r == 0 && request->has_fd_offset && !request->has_fd)
                return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                  "region \"%.128s\": option \"fd-offset\" needs option \"fd\"",
                                  edit->name);
        if (r == 0)
                r = numa_choose(&edit->memory.numa, &request->numa, edit->name, detail);
        return r;
}

static int read_add_alias(sd_bus_message *m, Request *request, Detail *detail) {
        Edit *edit = &request->edit;
        const Option options[] = {
                OPTION_FLAG(edit, "enabled", REGION_ENABLED),
                OPTION_FLAG(edit, "readonly", REGION_READONLY),
                OPTION_FLAG(edit, "nonvolatile", REGION_NONVOLATILE),
                OPTION_FLAG(edit, "unmergeable", REGION_UNMERGEABLE),
                OPTION_EXPECT(request),
        };
        int r;

        edit->kind = REGION_ALIAS;
        edit->flags = region_default_flags(REGION_ALIAS);
        r = read_copy(m, &edit->target);
        if (r < 0)
                return r;
        r = sd_bus_message_read(m, "tt", &edit->target_offset, &edit->size);
        if (r < 0)
                return r;
        r = read_placing(m, edit);
        if (r < 0)
                return r;
        return options_read(m, options, ELEMENTS_OF(options), detail);
}

static int read_enable_region(sd_bus_message *m, Request *request, Detail *detail) {
        int r, enabled;

        r = sd_bus_message_read(m, "b", &enabled);
        if (r < 0)
                return r;
        request->edit.mask = PROPERTY_FLAGS;
        request->edit.flags_mask = REGION_ENABLED;
        request->edit.flags = enabled ? REGION_ENABLED : 0;
        return read_expect(m, request, detail);
}

static int read_move_region(sd_bus_message *m, Request *request, Detail *detail) {
        int r;

        r = read_placing(m, &request->edit);
        if (r < 0)
                return r;
        return read_expect(m, request, detail);
}

static int read_set_region(sd_bus_message *m, Request *request, Detail *detail) {
        Edit *edit = &request->edit;
        const Option properties[] = {
                OPTION_PROPERTY(edit, "size", 't', size, PROPERTY_SIZE),
                OPTION_PROPERTY(edit, "offset", 't', offset, PROPERTY_OFFSET),
                OPTION_PROPERTY(edit, "priority", 'i', priority, PROPERTY_PRIORITY),
                OPTION_PROPERTY(edit, "target-offset", 't', target_offset, PROPERTY_TARGET_OFFSET),
                OPTION_FLAG(edit, "enabled", REGION_ENABLED),
                OPTION_FLAG(edit, "readonly", REGION_READONLY),
                OPTION_FLAG(edit, "nonvolatile", REGION_NONVOLATILE),
                OPTION_FLAG(edit, "unmergeable", REGION_UNMERGEABLE),
                OPTION_FLAG(edit, "romd", REGION_DIRECT_READ),
                OPTION_FLAG(edit, "dirty-log", REGION_DIRTY_LOG),
        };
        int r;

        r = options_read(m, properties, ELEMENTS_OF(properties), detail);
        if (r != 0)
                return r;
        if (edit->flags_mask)
                edit->mask |= PROPERTY_FLAGS;
        return read_expect(m, request, detail);
}

static int read_add_address_space(sd_bus_message *m, Request *request, Detail *detail) {
        int r;

        r = read_copy(m, &request->edit.parent);
        if (r < 0)
                return r;
        return read_expect(m, request, detail);
}

static int read_ioeventfd_key(sd_bus_message *m, IOEventFD *key) {
        int r, match;

        r = sd_bus_message_read(m, "tubt", &key->offset, &key->length, &match, &key->data);
        if (r < 0)
                return r;
        key->match = match;
        return 0;
}

/* Takes over fd on success. */
static int set_ioeventfd(Edit *edit, const IOEventFD *key, int fd, Detail *detail) {
        int r;

        r = ioeventfd_new(&edit->ioeventfd, key->offset, key->length, key->match, key->data, fd);
        if (r == -EINVAL)
                return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                  "region \"%.128s\": an ioeventfd has length 1, 2, 4, 8, or 0 "
                                  "without match, not %" PRIu32 "%s",
                                  edit->name, key->length, key->match ? " with match" : "");
        return r;
}

/* What came with the message goes with it. None given: none. */
static int take_eventfd(const char *region, int given, int *ret, Detail *detail) {
        int r;

        if (given < 0)
                return 0;
        r = passed_eventfd_check(given, region, detail);
        if (r != 0)
                return r;
        *ret = fcntl(given, F_DUPFD_CLOEXEC, 3);
        if (*ret < 0)
                return detail_set(detail, MAP_E_NO_MEMORY,
                                  "region \"%.128s\": no descriptor to be had: %s", region,
                                  strerror(errno));
        return 0;
}

static int read_add_ioeventfd(sd_bus_message *m, Request *request, Detail *detail) {
        _cleanup_(closep) int fd = -1;
        IOEventFD key = {};
        int r, given = -1;
        const Option options[] = {{"fd", 'h', &given}, OPTION_EXPECT(request)};

        r = read_ioeventfd_key(m, &key);
        if (r < 0)
                return r;
        r = options_read(m, options, ELEMENTS_OF(options), detail);
        if (r != 0)
                return r;
        r = take_eventfd(request->edit.name, given, &fd, detail);
        if (r == 0)
                r = set_ioeventfd(&request->edit, &key, fd, detail);
        if (r == 0)
                TAKE_FD(fd);
        return r;
}

static int read_remove_ioeventfd(sd_bus_message *m, Request *request, Detail *detail) {
        IOEventFD key = {};
        int r;

        r = read_ioeventfd_key(m, &key);
        if (r < 0)
                return r;
        r = set_ioeventfd(&request->edit, &key, -1, detail);
        if (r != 0)
                return r;
        return read_expect(m, request, detail);
}

static int read_add_coalesced(sd_bus_message *m, Request *request, Detail *detail) {
        int r;

        r = sd_bus_message_read(m, "tt", &request->edit.offset, &request->edit.size);
        if (r < 0)
                return r;
        return read_expect(m, request, detail);
}

static int read_set_handler(sd_bus_message *m, Request *request, Detail *detail) {
        HandlerSpec spec = HANDLER_SPEC_USUAL;
        const Option options[] = {
                {"value", 't', &spec.value, 0, &spec.has_value, 1},
                {"min-width", 'u', &spec.min_width},
                {"max-width", 'u', &spec.max_width},
                {"unaligned", 'b', &spec.unaligned},
                {"fd", 'h', &spec.fd, 0, &spec.has_fd, 1},
                {"timeout-usec", 't', &spec.timeout_usec, 0, &spec.socket_options,
                 HANDLER_TIMEOUT_USEC},
                {"user-data", 't', &spec.user_data, 0, &spec.socket_options, HANDLER_USER_DATA},
                {"posted-writes", 'b', &spec.posted_writes, 0, &spec.socket_options,
                 HANDLER_POSTED_WRITES},
                OPTION_EXPECT(request),
        };
        int r;

        r = sd_bus_message_read(m, "s", &spec.kind);
        if (r < 0)
                return r;
        r = options_read(m, options, ELEMENTS_OF(options), detail);
        if (r != 0)
                return r;
        r = handler_from_spec(&request->edit.handler, &spec, request->edit.name, detail);
        if (r > 0)
                detail_prefix(detail, "region \"%.128s\": ", request->edit.name);
        return r;
}

static const Verb verbs[] = {
        {"AddRegion", EDIT_ADD_REGION, read_add_region},
        {"AddAlias", EDIT_ADD_ALIAS, read_add_alias},
        {"RemoveRegion", EDIT_REMOVE_REGION, read_expect},
        {"EnableRegion", EDIT_SET_REGION, read_enable_region},
        {"MoveRegion", EDIT_MOVE_REGION, read_move_region},
        {"SetRegion", EDIT_SET_REGION, read_set_region},
        {"AddAddressSpace", EDIT_ADD_ADDRESS_SPACE, read_add_address_space},
        {"RemoveAddressSpace", EDIT_REMOVE_ADDRESS_SPACE, read_expect},
        {"AddIOEventFD", EDIT_ADD_IOEVENTFD, read_add_ioeventfd},
        {"RemoveIOEventFD", EDIT_REMOVE_IOEVENTFD, read_remove_ioeventfd},
        {"AddCoalesced", EDIT_ADD_COALESCED, read_add_coalesced},
        {"ClearCoalesced", EDIT_CLEAR_COALESCED, read_expect},
        {"SetHandler", EDIT_SET_HANDLER, read_set_handler},
};

static int request_read(sd_bus_message *m, Request *request, Detail *detail) {
        const Verb *verb = verbs;
        int r;

        /* The vtable lets no other member through. */
        while (strcmp(verb->member, sd_bus_message_get_member(m)) != 0)
                verb++;
        request->edit.verb = verb->verb;
        r = read_name(m, &request->edit);
        if (r < 0)
                return r;
        return verb->read(m, request, detail);
}

int map_target_expect(const MapTarget *target, uint64_t expected, Detail *detail) {
        const OpenTransaction *open = target->transaction;
        const VM *vm = target->service->vm;
        uint64_t generation = open ? open->staged->base_generation : vm->map->generation;

        if (generation == expected)
                return 0;
        detail_set(detail, 0, "VM \"%s\" has generation %" PRIu64 ", not %" PRIu64 " as expected",
                   vm->name, generation, expected);
        if (open)
                detail_prefix(detail, "transaction %s of ", strrchr(open->path, '/') + 1);
        return MAP_E_CONFLICT;
}

static int method_edit(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        MapTarget *target = userdata;
        _cleanup_(preparation_freep) Preparation *prepared = preparation_take(target->service, m);
        _cleanup_(edit_deinit) Edit edit = {};
        Request request = {};
        uint64_t generation;
        Detail detail = {};
        int r;

        r = request_read(m, &request, &detail);
        edit = request.edit;
        if (r == 0 && request.has_expected)
                r = map_target_expect(target, request.expected, &detail);
        if (r == 0 && prepared)
                prealloc_give(&prepared->memory, &edit);
        if (r == 0 && request.has_fd && !edit.backing)
                r = vm_equip_passed(target->service->vm, &edit, request.fd, request.fd_offset,
                                    &detail);
        if (r == 0 && !target->transaction)
                return map_commit_edit(target->service, m, &edit, true);
        if (r != 0 && !target->transaction)
                counters_note_abort(&target->service->vm->counters, r);
        if (r == 0)
                r = map_target_edit(target, &edit, &generation, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        return sd_bus_reply_method_return(m, "t", generation);
}

#define VERB(member, ...)                                                                          \
        SD_BUS_METHOD_WITH_ARGS(member, SD_BUS_ARGS(__VA_ARGS__, "a{sv}", options),                \
                                SD_BUS_RESULT("t", generation), method_edit,                       \
                                SD_BUS_VTABLE_UNPRIVILEGED)

const sd_bus_vtable map_vtable[] = {
        SD_BUS_VTABLE_START(0),
        VERB("AddRegion", "s", name, "s", kind, "t", size, "s", parent, "t", offset, "i", priority),
        VERB("AddAlias", "s", name, "s", target, "t", target_offset, "t", size, "s", parent, "t",
             offset, "i", priority),
        VERB("RemoveRegion", "s", name),
        VERB("EnableRegion", "s", name, "b", enabled),
        VERB("MoveRegion", "s", name, "s", parent, "t", offset, "i", priority),
        VERB("SetRegion", "s", name, "a{sv}", properties),
        VERB("AddAddressSpace", "s", name, "s", root),
        VERB("RemoveAddressSpace", "s", name),
        VERB("AddIOEventFD", "s", region, "t", offset, "u", length, "b", match, "t", data),
        VERB("RemoveIOEventFD", "s", region, "t", offset, "u", length, "b", match, "t", data),
        VERB("AddCoalesced", "s", region, "t", offset, "t", size),
        VERB("ClearCoalesced", "s", region),
        VERB("SetHandler", "s", region, "s", handler),
        SD_BUS_METHOD_WITH_ARGS("Apply", SD_BUS_ARGS("s", document, "a{sv}", options),
                                SD_BUS_RESULT("t", generation, "s", report), method_apply,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ApplyFD", SD_BUS_ARGS("h", document, "a{sv}", options),
                                SD_BUS_RESULT("t", generation, "s", report), method_apply_fd,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS(
                "FindFree", SD_BUS_ARGS("s", space, "t", size, "t", align, "t", first, "t", last),
                SD_BUS_RESULT("t", address), method_find_free, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};
