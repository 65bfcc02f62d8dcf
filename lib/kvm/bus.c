/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Bus: the listener
 *
 * I3: nothing is allocated between prepare() and settle(): carrying a plan out and taking it back
 *     fail for the accelerator's reasons only.
 */

#include <inttypes.h>
#include <string.h>

#include "lib/kvm/bus-table.h"
#include "lib/kvm/bus.h"
#include "lib/kvm/zone-list.h"
#include "lib/memory/map-error.h"
#include "lib/util/array.h"
#include "lib/util/tree.h"

typedef struct BusDevice BusDevice;
typedef struct BusPlan BusPlan;

RB_HEAD(BusDevices, BusDevice);

struct BusDevice {
        Range range;
        IOEventFD *ioeventfd; /* counted reference; NULL: a zone */
        bool present;         /* on the bus, and in Bus.devices; else the plan's */
        RB_ENTRY(BusDevice) by_address;
};

/* Of the commit at hand, from prepare() to settle(). */
struct BusPlan {
        BusDevice **devices; /* those to be removed, then those to be added */
        size_t n;
        size_t n_removed;
        size_t allocated;
        bool has_zones;     /* some come or go */
        ZoneList announced; /* Bus.announced of after the commit; once it is applied, of before */
        bool repairs;       /* it replaces everything, because of `torn` */
};

struct Bus {
        Listener listener;
        Accelerator *accelerator;
        struct BusDevices devices;
        ZoneList announced; /* the zones of the view that is in force */
        BusPlan plan;
        uint64_t last; /* address that a guest can reach */
        bool ports;
        bool has_zones;
        bool torn; /* I2 does not hold: the accelerator refused to take something back */
        char space[];
};

static int compare_address(const BusDevice *a, const BusDevice *b) {
        return announced_compare(&(Announced){.range = a->range, .ioeventfd = a->ioeventfd},
                                 &(Announced){.range = b->range, .ioeventfd = b->ioeventfd});
}

RB_GENERATE_STATIC(BusDevices, BusDevice, by_address, compare_address)

static Bus *bus_of(Listener *listener) {
        return caa_container_of(listener, Bus, listener);
}

static const SpaceChange *bus_change(const Bus *bus, const Commit *commit) {
        for (size_t i = 0; i < commit->n_changes; i++)
                if (strcmp(commit->changes[i].space, bus->space) == 0)
                        return &commit->changes[i];
        return NULL;
}

static BusDevice *device_free(BusDevice *device) {
        ioeventfd_unref(device->ioeventfd);
        free(device);
        return NULL;
}

static void plan_deinit(BusPlan *plan) {
        for (size_t i = 0; i < plan->n; i++)
                if (!plan->devices[i]->present)
                        device_free(plan->devices[i]);
        free(plan->devices);
        zone_list_deinit(&plan->announced);
        *plan = (BusPlan){};
}

static int plan_append(BusPlan *plan, BusDevice *device) {
        int r;

        r = array_reserve(&plan->devices, &plan->allocated, plan->n, 1);
        if (r == 0)
                plan->devices[plan->n++] = device;
        return r;
}

static int plan_add(Bus *bus, Range range, IOEventFD *ioeventfd) {
        BusDevice *device;
        int r;

        if (range.last > bus->last)
                return 0;
        device = calloc(1, sizeof(*device));
        if (!device)
                return -ENOMEM;
        device->range = range;
        device->ioeventfd = ioeventfd_ref(ioeventfd);
        r = plan_append(&bus->plan, device);
        if (r < 0)
                device_free(device);
        return r;
}

static int plan_remove(Bus *bus, Range range, IOEventFD *ioeventfd) {
        BusDevice key = {.range = range, .ioeventfd = ioeventfd};
        BusDevice *device = RB_FIND(BusDevices, &bus->devices, &key);

        return device ? plan_append(&bus->plan, device) : 0;
}

typedef int (*PlanFunction)(Bus *bus, Range range, IOEventFD *ioeventfd);

static int plan_ioeventfds(Bus *bus, const AnnouncedList *list, PlanFunction function) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < list->n; i++)
                if (list->items[i].ioeventfd)
                        r = function(bus, list->items[i].range, list->items[i].ioeventfd);
        return r;
}

/* The zones of one list that the other has not. */
static int plan_zones(Bus *bus, const ZoneList *list, const ZoneList *other,
                      PlanFunction function) {
        int r = 0;

        for (size_t i = 0, j = 0; r == 0 && i < list->n; i++) {
                Range zone = list->items[i];

                while (j < other->n && other->items[j].last < zone.last)
                        j++;
                if (j == other->n || !range_equal(other->items[j], zone))
                        r = function(bus, zone, NULL);
        }
        return r;
}

/* What an address space's announced zones come to, as far as they fit. */
static int bus_join_zones(const Bus *bus, const ZoneList *announced, ZoneList *ret) {
        if (!bus->has_zones)
                return 0;
        return zone_list_join(ret, announced, bus->last, BUS_ZONES_MAX);
}

static int check_limit(const Bus *bus, const SpaceChange *change, const ZoneList *zones,
                       Detail *detail) {
        const Range *last;

        if (zones->n <= BUS_ZONES_MAX)
                return 0;
        last = &zones->items[BUS_ZONES_MAX];
        return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                          "region \"%s\": coalesced zone 0x%" PRIx64 "-0x%" PRIx64
                          ": address space \"%s\" has %d zones, the limit of a bus",
                          flat_view_find(change->new, last->first)->region->name, last->first,
                          last->last, bus->space, BUS_ZONES_MAX);
}

/* What the zones come to that are announced once the change is in force. */
static int plan_join_zones(Bus *bus, const SpaceChange *change, ZoneList *wanted, Detail *detail) {
        ZoneList *announced = &bus->plan.announced;
        int r;

        r = zone_list_change(announced, &bus->announced, change->diff);
        if (r == 0)
                r = bus_join_zones(bus, announced, wanted);
        return r == 0 ? check_limit(bus, change, wanted, detail) : r;
}

/* From what there is to what there is to be: first everything that goes. */
static int plan_change(Bus *bus, const SpaceChange *change, Detail *detail) {
        _cleanup_(zone_list_deinit) ZoneList had = {}, wanted = {};
        BusPlan *plan = &bus->plan;
        int r = 0;

        plan->has_zones = diff_has_zones(change->diff);
        if (plan->has_zones) {
                r = bus_join_zones(bus, &bus->announced, &had);
                if (r == 0)
                        r = plan_join_zones(bus, change, &wanted, detail);
        }
        if (r == 0)
                r = plan_ioeventfds(bus, &change->diff->announced_removed, plan_remove);
        if (r == 0)
                r = plan_zones(bus, &had, &wanted, plan_remove);
        plan->n_removed = plan->n;
        if (r == 0)
                r = plan_ioeventfds(bus, &change->diff->announced_added, plan_add);
        return r == 0 ? plan_zones(bus, &wanted, &had, plan_add) : r;
}

/* From whatever there is: all of it goes, all that the view announces comes. */
static int plan_repair(Bus *bus, const SpaceChange *change, Detail *detail) {
        _cleanup_(announced_list_deinit) AnnouncedList all = {};
        _cleanup_(zone_list_deinit) ZoneList wanted = {};
        BusPlan *plan = &bus->plan;
        BusDevice *device;
        int r;

        plan->repairs = plan->has_zones = true;
        r = plan_join_zones(bus, change, &wanted, detail);
        RB_FOREACH(device, BusDevices, &bus->devices)
                r = r == 0 ? plan_append(plan, device) : r;
        plan->n_removed = plan->n;
        if (r == 0)
                r = announced_list_append_view(&all, change->new, RANGE_WHOLE);
        if (r == 0)
                r = plan_ioeventfds(bus, &all, plan_add);
        return r == 0 ? plan_zones(bus, &wanted, &(ZoneList){}, plan_add) : r;
}

static void bus_settle(Listener *listener, const Commit *commit) {
        plan_deinit(&bus_of(listener)->plan);
}

static int bus_prepare(Listener *listener, const Commit *commit, Detail *detail) {
        Bus *bus = bus_of(listener);
        const SpaceChange *change = bus_change(bus, commit);
        int r;

        if (!change)
                return 0;
        r = bus->torn ? plan_repair(bus, change, detail) : plan_change(bus, change, detail);
        if (r != 0)
                plan_deinit(&bus->plan);
        return r;
}

static int bus_do(Bus *bus, BusDevice *device, bool remove) {
        const IOEventFD *ioeventfd = device->ioeventfd;
        BusOp op = {
                .remove = remove,
                .ports = bus->ports,
                .is_zone = !ioeventfd,
                .match = ioeventfd && ioeventfd->match,
                .length = ioeventfd ? ioeventfd->length : (uint32_t)range_size(device->range),
                .fd = ioeventfd ? ioeventfd->fd : -1,
                .address = device->range.first,
                .data = ioeventfd ? ioeventfd->data : 0,
        };
        int r;

        r = accelerator_set_device(bus->accelerator, &op);
        if (r < 0)
                return r;
        if (remove)
                RB_REMOVE(BusDevices, &bus->devices, device);
        else
                RB_INSERT(BusDevices, &bus->devices, device);
        device->present = !remove;
        return 0;
}

/* Takes the first n operations back, latest first, as far as the accelerator lets us. */
static void bus_take_back(Bus *bus, size_t n) {
        while (n-- > 0)
                if (bus_do(bus, bus->plan.devices[n], n >= bus->plan.n_removed) < 0)
                        bus->torn = true;
}

static int refused(const SpaceChange *change, const BusDevice *device, bool remove, int error,
                   Detail *detail) {
        const Section *section =
                flat_view_find(remove ? change->old : change->new, device->range.first);
        const char *verb = remove ? "remove" : "add";

        if (device->ioeventfd)
                detail_set(detail, 0, "%s ioeventfd of length %" PRIu32 " at 0x%" PRIx64 ": %s",
                           verb, device->ioeventfd->length, device->range.first, strerror(-error));
        else
                detail_set(detail, 0, "%s coalesced zone 0x%" PRIx64 "-0x%" PRIx64 ": %s", verb,
                           device->range.first, device->range.last, strerror(-error));
        if (section)
                detail_prefix(detail, "region \"%s\": ", section->region->name);
        return MAP_E_KVM;
}

/* Their numbers change places with those of the plan: back again with undo(). */
static void swap_announced(Bus *bus) {
        ZoneList before = bus->announced;

        if (!bus->plan.has_zones)
                return;
        bus->announced = bus->plan.announced;
        bus->plan.announced = before;
}

static int bus_apply(Listener *listener, const Commit *commit, Detail *detail) {
        Bus *bus = bus_of(listener);
        const SpaceChange *change = bus_change(bus, commit);
        BusPlan *plan = &bus->plan;

        if (!change)
                return 0;
        for (size_t i = 0; i < plan->n; i++) {
                bool remove = i < plan->n_removed;
                int r = bus_do(bus, plan->devices[i], remove);

                if (r < 0) {
                        bus_take_back(bus, i);
                        return refused(change, plan->devices[i], remove, r, detail);
                }
        }
        swap_announced(bus);
        if (plan->repairs)
                bus->torn = false;
        return 0;
}

static void bus_undo(Listener *listener, const Commit *commit) {
        Bus *bus = bus_of(listener);

        if (!bus_change(bus, commit))
                return;
        bus_take_back(bus, bus->plan.n);
        swap_announced(bus);
        bus->torn |= bus->plan.repairs;
}

static const ListenerOps bus_ops = {
        .prepare = bus_prepare,
        .apply = bus_apply,
        .undo = bus_undo,
        .settle = bus_settle,
};

int bus_new(Bus **ret, Accelerator *accelerator, const char *space, bool ports) {
        Bus *bus = calloc(1, sizeof(*bus) + strlen(space) + 1);

        if (!bus)
                return -ENOMEM;
        strcpy(bus->space, space);
        bus->listener = (Listener){
                .ops = &bus_ops,
                .priority = LISTENER_PRIORITY_ACCELERATOR,
                .space = bus->space,
        };
        bus->accelerator = accelerator;
        bus->ports = ports;
        bus->last = ports ? UINT16_MAX : accelerator->address_last;
        bus->has_zones = accelerator->ring_page && (!ports || accelerator->has_port_zones);
        RB_INIT(&bus->devices);
        *ret = bus;
        return 0;
}

Bus *bus_free(Bus *bus) {
        BusDevice *device;

        if (!bus)
                return NULL;
        while ((device = RB_MIN(BusDevices, &bus->devices))) {
                if (bus_do(bus, device, true) < 0)
                        RB_REMOVE(BusDevices, &bus->devices, device);
                device_free(device);
        }
        plan_deinit(&bus->plan);
        zone_list_deinit(&bus->announced);
        free(bus);
        return NULL;
}

Listener *bus_listener(Bus *bus) {
        return &bus->listener;
}
