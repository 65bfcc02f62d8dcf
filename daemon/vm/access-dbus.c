/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>

#include "api/names.h"
#include "daemon/vm/access-dbus.h"
#include "daemon/vm/error-dbus.h"
#include "daemon/vm/vm-error.h"
#include "lib/memory/access.h"
#include "lib/memory/address-space.h"

typedef struct Refusal Refusal;

/* Userdata of the operations that turn a trapped piece into words. */
struct Refusal {
        const AddressSpace *space;
        Detail *detail;
};

static int refuse_nothing(const Refusal *refusal, const Piece *piece) {
        const Section *section = piece->section;

        return detail_set(refusal->detail, VM_E_UNASSIGNED,
                          "address space \"%s\": nothing answers at 0x%" PRIx64 "%s%s%s",
                          refusal->space->name, piece->range.first, section ? ": region \"" : "",
                          section ? section->region->name : "", section ? "\" is reserved" : "");
}

static int refuse(const Refusal *refusal, const Piece *piece, const char *verb, const char *why) {
        const Section *section = piece->section;

        return detail_set(refusal->detail, VM_E_NOT_SUPPORTED,
                          "address space \"%s\": cannot %s at 0x%" PRIx64
                          ": region \"%s\", seen at 0x%" PRIx64 "-0x%" PRIx64 ", %s",
                          refusal->space->name, verb, piece->range.first, section->region->name,
                          section->range.first, section->range.last, why);
}

static int refuse_read(void *userdata, const Piece *piece, void *data) {
        const Section *section = piece->section;

        if (!section || section->kind == REGION_RESERVED)
                return refuse_nothing(userdata, piece);
        return refuse(userdata, piece, "read",
                      section->kind == REGION_ROMD
                              ? "is a ROM device that is not in direct-read mode"
                              : "is mmio, not memory");
}

static int refuse_write(void *userdata, const Piece *piece, const void *data) {
        const Section *section = piece->section;

        if (!section || section->kind == REGION_RESERVED)
                return refuse_nothing(userdata, piece);
        return refuse(userdata, piece, "write",
                      section->kind == REGION_ROMD   ? "is a ROM device, which takes commands"
                      : section->kind == REGION_MMIO ? "is mmio, not memory"
                                                     : "is read-only there");
}

static const AccessOps refusing = {refuse_read, refuse_write};

/* The range of an access that is not empty. MAP_E_TOO_LARGE, MAP_E_INVALID_RANGE. */
static int access_range(const AddressSpace *space, uint64_t address, uint64_t length, Range *ret,
                        Detail *detail) {
        if (length > GUESTMAP_ACCESS_MAX)
                return detail_set(detail, MAP_E_TOO_LARGE,
                                  "address space \"%s\": 0x%" PRIx64
                                  " bytes, over the limit of 0x%x of one access: use "
                                  "GetMemoryTable and GetBacking",
                                  space->name, length, GUESTMAP_ACCESS_MAX);
        if (!range_place(address, length, ret))
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "address space \"%s\": 0x%" PRIx64 " bytes at 0x%" PRIx64
                                  " reach beyond 2^64",
                                  space->name, length, address);
        return 0;
}

static int read_memory(const AddressSpace *space, sd_bus_message *m, sd_bus_message *reply,
                       Detail *detail) {
        Refusal refusal = {space, detail};
        uint64_t address, length;
        Range range;
        void *data;
        int r;

        r = sd_bus_message_read(m, "tt", &address, &length);
        if (r < 0)
                return r;
        if (length == 0)
                return sd_bus_message_append_array(reply, 'y', NULL, 0);
        r = access_range(space, address, length, &range, detail);
        if (r != 0)
                return r;
        r = sd_bus_message_append_array_space(reply, 'y', length, &data);
        if (r < 0)
                return r;
        return access_read(space->view->current, range, data, &refusing, &refusal, detail);
}

int method_read_memory(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Detail detail = {};
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = read_memory(userdata, m, reply, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        return sd_bus_send(NULL, reply, NULL);
}

static int write_memory(const AddressSpace *space, sd_bus_message *m, Detail *detail) {
        Refusal refusal = {space, detail};
        const void *data;
        uint64_t address;
        size_t length;
        Range range;
        int r;

        r = sd_bus_message_read(m, "t", &address);
        if (r < 0)
                return r;
        r = sd_bus_message_read_array(m, 'y', &data, &length);
        if (r < 0)
                return r;
        if (length == 0)
                return 0;
        r = access_range(space, address, length, &range, detail);
        if (r != 0)
                return r;
        return access_write_whole(space->view->current, range, data, &refusing, &refusal, detail);
}

int method_write_memory(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Detail detail = {};
        int r;

        r = write_memory(userdata, m, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        return sd_bus_reply_method_return(m, NULL);
}
