/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "daemon/vm/address-space-dbus.h"
#include "daemon/vm/dirty-dbus.h"
#include "daemon/vm/dump-dbus.h"
#include "daemon/vm/error-dbus.h"
#include "daemon/vm/journal-record.h"
#include "daemon/vm/open-transaction.h"
#include "daemon/vm/options-dbus.h"
#include "daemon/vm/private-dbus.h"
#include "daemon/vm/report.h"
#include "daemon/vm/service-dbus.h"
#include "daemon/vm/vcpus-dbus.h"
#include "daemon/vm/vm-dbus.h"

static int begin(Service *service, sd_bus_message *m, OpenTransaction **ret, Detail *detail) {
        uint64_t timeout_usec, expected;
        uint32_t has_expected = 0;
        const Option options[] = {{"expect-generation", 't', &expected, 0, &has_expected, 1}};
        int r;

        r = sd_bus_message_read(m, "t", &timeout_usec);
        if (r < 0)
                return r;
        r = options_read(m, options, ELEMENTS_OF(options), detail);
        if (r == 0 && has_expected)
                r = map_target_expect(&service->map_target, expected, detail);
        if (r != 0)
                return r;
        return open_transaction_new(ret, service, service_caller_uid(service, m),
                                    sender_of(service, m), timeout_usec, detail);
}

static int method_begin(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        OpenTransaction *open;
        Detail detail = {};
        int r;

        r = begin(userdata, m, &open, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        return sd_bus_reply_method_return(m, "o", open->path);
}

static int append_region(sd_bus_message *reply, const Region *region) {
        const RegionState *state = &region->state;

        return sd_bus_message_append(reply, "(ssttsib)", region->name,
                                     region_kind_to_string(region_reported_kind(region)),
                                     state->size, state->offset,
                                     state->parent ? state->parent->name : "", state->priority,
                                     region_is(region, REGION_ENABLED));
}

/* At most `max` regions behind `after`, and whether there are others behind them. */
static int append_regions(sd_bus_message *reply, const Map *map, const char *after, uint32_t max) {
        const Region *region = map_next_region(map, after);
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(ssttsib)");
        if (r < 0)
                return r;
        for (uint32_t i = 0; region && i < max; i++) {
                r = append_region(reply, region);
                if (r < 0)
                        return r;
                region = map_next_region(map, region->name);
        }
        r = sd_bus_message_close_container(reply);
        if (r < 0)
                return r;
        return sd_bus_message_append(reply, "b", region != NULL);
}

static int method_list_regions(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Service *service = userdata;
        Map *map = service->vm->map;
        const char *after;
        uint32_t max;
        int r;

        r = sd_bus_message_read(m, "su", &after, &max);
        if (r < 0)
                return r;
        if (max == 0 || max > GUESTMAP_PAGE_MAX)
                max = GUESTMAP_PAGE_MAX;
        map_check_in(map);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_append(reply, "t", map->generation);
        if (r < 0)
                return r;
        r = append_regions(reply, map, after, max);
        if (r < 0)
                return r;
        return sd_bus_send(NULL, reply, NULL);
}

/* No page: an accelerator has 32,764 slots at most, in 48 bytes each. */
static int append_slots(sd_bus_message *reply, const Slots *slots) {
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(uttttu)");
        if (r < 0)
                return r;
        for (const Slot *slot = slots_first(slots, 0); slot; slot = slots_next(slots, slot)) {
                const Extent *extent = &slot->extent;

                r = sd_bus_message_append(reply, "(uttttu)", slot->number, extent->range.first,
                                          extent->range.last, extent->offset, extent->backing->id,
                                          slots_flags(slots, slot));
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}

static int method_get_slots(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const Service *service = userdata;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = append_slots(reply, service->vm->slots);
        if (r < 0)
                return r;
        return sd_bus_send(NULL, reply, NULL);
}

static int find_region(Service *service, const char *name, Region **ret, Detail *detail) {
        map_check_in(service->vm->map);
        *ret = map_find_region(service->vm->map, name);
        if (*ret)
                return 0;
        return detail_set(detail, MAP_E_NO_SUCH_REGION, "VM \"%s\" has no region \"%.128s\"",
                          service->vm->name, name);
}

static int reply_path(sd_bus_message *m, const char *prefix, const char *name) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = sd_bus_path_encode(prefix, name, &path);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(m, "o", path);
}

static int method_get_region(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Service *service = userdata;
        const char *name;
        Region *region;
        Detail detail;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        r = find_region(service, name, &region, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        return reply_path(m, service->region_prefix, name);
}

static int method_get_address_space(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Service *service = userdata;
        const char *name;
        Detail detail;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        if (!snapshot_find(map_snapshot(service->vm->map), name)) {
                r = detail_set(&detail, MAP_E_NO_SUCH_ADDRESS_SPACE,
                               "VM \"%s\" has no address space \"%.128s\"", service->vm->name,
                               name);
                return error_from_outcome(error, r, &detail);
        }
        return reply_path(m, service->space_prefix, name);
}

static int append_transactions(sd_bus_message *reply, Service *service, sd_bus_message *m) {
        OpenTransaction *open;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(otu)");
        if (r < 0)
                return r;
        cds_list_for_each_entry(open, &service->transactions, link) {
                if (!service_caller_sees(service, m, open->uid))
                        continue;
                r = sd_bus_message_append(reply, "(otu)", open->path, open->staged->base_generation,
                                          (uint32_t)open->staged->n_edits);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}

static int method_list_transactions(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = append_transactions(reply, userdata, m);
        if (r < 0)
                return r;
        return sd_bus_send(NULL, reply, NULL);
}

static int append_ioeventfds(sd_bus_message *reply, const Region *region) {
        const IOEventFD *ioeventfd = ioeventfds_first(&region->ioeventfds, 0);
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(tubt)");
        if (r < 0)
                return r;
        for (; ioeventfd; ioeventfd = ioeventfd_next(ioeventfd)) {
                r = sd_bus_message_append(reply, "(tubt)", ioeventfd->offset, ioeventfd->length,
                                          ioeventfd->match, ioeventfd->data);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}

static int method_list_ioeventfds(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *name;
        Region *region;
        Detail detail;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        r = find_region(userdata, name, &region, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = append_ioeventfds(reply, region);
        if (r < 0)
                return r;
        return sd_bus_send(NULL, reply, NULL);
}

static int find_backing(Service *service, uint64_t id, const Backing **ret, Detail *detail) {
        Region *region;

        map_check_in(service->vm->map);
        cds_list_for_each_entry(region, &service->vm->map->backed, link)
                if (region->backing->id == id) {
                        *ret = region->backing;
                        return 0;
                }
        return detail_set(detail, MAP_E_INVALID_RANGE,
                          "VM \"%s\" has no backing %" PRIu64 "; the last one made is %" PRIu64,
                          service->vm->name, id, service->vm->last_backing);
}

static int method_get_backing(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(closep) int fd = -1;
        const Backing *backing = NULL;
        uint64_t id;
        Detail detail;
        int r, writable;

        r = sd_bus_message_read(m, "tb", &id, &writable);
        if (r < 0)
                return r;
        r = find_backing(userdata, id, &backing, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        r = vm_open_backing(backing, writable, &fd, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        return sd_bus_reply_method_return(m, "ht", fd, backing->offset + backing->size);
}

/* guestmapd answers this one itself; here it is for whoever holds the socket without one. */
static int method_destroy(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Service *service = userdata;
        Detail detail = {};
        int r;

        r = options_read_none(m, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        r = sd_bus_reply_method_return(m, NULL);
        if (r < 0)
                return r;
        service->is_destroyed = true;
        private_tell_destroyed(service);
        return sd_event_exit(service->event, EXIT_SUCCESS);
}

static int method_cancel(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *region;
        Detail detail;
        int r;

        r = sd_bus_message_read(m, "s", &region);
        if (r < 0)
                return r;
        r = preparation_cancel(userdata, region, &detail);
        return r != 0 ? error_from_outcome(error, r, &detail) : sd_bus_reply_method_return(m, NULL);
}

static int get_preparing(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return preparations_append(userdata, reply);
}

static int get_string(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const VM *vm = ((const Service *)userdata)->vm;
        const char *value = strcmp(property, "Name") == 0    ? vm->name
                            : strcmp(property, "ID") == 0    ? vm->id
                            : strcmp(property, "State") == 0 ? vm_state(vm)
                                                             : vm->accelerator->ops->name;

        return sd_bus_message_append(reply, "s", value);
}

static int get_number32(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const VM *vm = ((const Service *)userdata)->vm;
        uint32_t value = strcmp(property, "Owner") == 0       ? vm->owner
                         : strcmp(property, "SlotsUsed") == 0 ? slots_used(vm->slots)
                         : strcmp(property, "SlotsMax") == 0
                                 ? vm->accelerator->n_slots
                                 : accelerator_address_bits(vm->accelerator);

        return sd_bus_message_append(reply, "u", value);
}

static int get_number64(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const VM *vm = ((const Service *)userdata)->vm;
        const Snapshot *snapshot = map_snapshot(vm->map);
        uint64_t value = strcmp(property, "Generation") == 0 ? snapshot->generation
                         : strcmp(property, "Regions") == 0  ? snapshot->n_regions
                         : strcmp(property, "RAMBytes") == 0 ? snapshot->ram_bytes
                                                             : slots_trapped(vm->slots);

        return sd_bus_message_append(reply, "t", value);
}

static int get_lost(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        static const char *const words[] = {"memory", "vcpus", "ioeventfds", "handlers"};
        const VM *vm = ((const Service *)userdata)->vm;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "s");
        for (unsigned i = 0; r >= 0 && i < ELEMENTS_OF(words); i++)
                if (vm->lost & 1u << i)
                        r = sd_bus_message_append(reply, "s", words[i]);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_directory(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Service *service = userdata;
        const Record *record = service->vm->record;
        const char *directory = !record                    ? ""
                                : record->journal->durable ? service->places.state
                                                           : service->places.runtime;

        return sd_bus_message_append(reply, "s", directory);
}

static int get_durable(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Record *record = ((const Service *)userdata)->vm->record;

        return sd_bus_message_append(reply, "b", record && record->journal->durable);
}

static int get_slot_stats(sd_bus *bus, const char *path, const char *interface,
                          const char *property, sd_bus_message *reply, void *userdata,
                          sd_bus_error *error) {
        const SlotStats *stats = slots_stats(((const Service *)userdata)->vm->slots);
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{st}");
        for (SlotOpKind kind = 0; r >= 0 && kind < N_SLOT_OP_KINDS; kind++)
                r = sd_bus_message_append(reply, "{st}", slot_op_kind_to_string(kind),
                                          stats->operations[kind]);
        if (r >= 0)
                r = sd_bus_message_append(reply, "{st}", "bytes-remapped", stats->bytes_remapped);
        if (r >= 0)
                r = sd_bus_message_append(reply, "{st}", "bytes-unchanged-remapped",
                                          stats->bytes_unchanged);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

#define CONST SD_BUS_VTABLE_PROPERTY_CONST

const sd_bus_vtable vm_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Begin", SD_BUS_ARGS("t", timeout_usec, "a{sv}", options),
                                SD_BUS_RESULT("o", transaction), method_begin,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetLayout", SD_BUS_ARGS("a{sv}", options),
                                SD_BUS_RESULT("s", document), method_get_layout,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Dump", SD_BUS_ARGS("s", what, "a{sv}", options),
                                SD_BUS_RESULT("h", document), method_dump,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListRegions", SD_BUS_ARGS("s", after, "u", max),
                                SD_BUS_RESULT("t", generation, "a(ssttsib)", regions, "b", more),
                                method_list_regions, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetSlots", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(uttttu)", slots),
                                method_get_slots, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetMetrics", SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("a(ssssa(sa{ss}d))", families), method_get_metrics,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetRegion", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", region),
                                method_get_region, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetAddressSpace", SD_BUS_ARGS("s", name),
                                SD_BUS_RESULT("o", space), method_get_address_space,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListAddressSpaces", SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("t", generation, "a(sst)", spaces),
                                method_list_address_spaces, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListTransactions", SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("a(otu)", transactions), method_list_transactions,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListIOEventFDs", SD_BUS_ARGS("s", region),
                                SD_BUS_RESULT("a(tubt)", ioeventfds), method_list_ioeventfds,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetBacking", SD_BUS_ARGS("t", id, "b", writable),
                                SD_BUS_RESULT("h", fd, "t", size), method_get_backing,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_ARGS("s", region), SD_BUS_NO_RESULT, method_cancel,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("AddVCPU", SD_BUS_ARGS("u", index, "a{sv}", options),
                                SD_BUS_RESULT("o", vcpu), method_add_vcpu,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RemoveVCPU", SD_BUS_ARGS("u", index, "a{sv}", options),
                                SD_BUS_NO_RESULT, method_remove_vcpu, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListVCPUs", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(uos)", vcpus),
                                method_list_vcpus, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Pause", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_pause,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Resume", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_resume,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("StartDirtyLog", SD_BUS_ARGS("s", reason, "a{sv}", options),
                                SD_BUS_NO_RESULT, method_start_vm_log, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("StopDirtyLog", SD_BUS_ARGS("s", reason, "a{sv}", options),
                                SD_BUS_NO_RESULT, method_stop_vm_log, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetDirty", SD_BUS_ARGS("b", clear),
                                SD_BUS_RESULT("t", generation, "t", page_size, "h", bitmaps),
                                method_get_vm_dirty, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("OpenConnection", SD_BUS_ARGS("a{sv}", options),
                                SD_BUS_RESULT("h", connection), method_open_connection,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Destroy", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT,
                                method_destroy, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Name", "s", get_string, 0, CONST),
        SD_BUS_PROPERTY("ID", "s", get_string, 0, CONST),
        SD_BUS_PROPERTY("State", "s", get_string, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Lost", "as", get_lost, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Directory", "s", get_directory, 0, CONST),
        SD_BUS_PROPERTY("Owner", "u", get_number32, 0, CONST),
        SD_BUS_PROPERTY("Durable", "b", get_durable, 0, CONST),
        SD_BUS_PROPERTY("Accelerator", "s", get_string, 0, CONST),
        SD_BUS_PROPERTY("AddressBits", "u", get_number32, 0, CONST),
        SD_BUS_PROPERTY("Generation", "t", get_number64, 0, 0),
        SD_BUS_PROPERTY("SlotsUsed", "u", get_number32, 0, 0),
        SD_BUS_PROPERTY("SlotsMax", "u", get_number32, 0, 0),
        SD_BUS_PROPERTY("SlotStats", "a{st}", get_slot_stats, 0, 0),
        SD_BUS_PROPERTY("Regions", "t", get_number64, 0, 0),
        SD_BUS_PROPERTY("RAMBytes", "t", get_number64, 0, 0),
        SD_BUS_PROPERTY("TrappedBytes", "t", get_number64, 0, 0),
        SD_BUS_PROPERTY("Preparing", "a(stt)", get_preparing, 0,
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("PauseUSec", "a{st}", get_pause_usec, 0, 0),
        SD_BUS_SIGNAL_WITH_ARGS("Committed",
                                SD_BUS_ARGS("t", generation, "t", previous,
                                            "a(sa(ttstsu)a(ttstsu))", changes, "a{sv}", details),
                                0),
        SD_BUS_VTABLE_END,
};
