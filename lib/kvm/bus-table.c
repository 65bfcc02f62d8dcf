/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * KVM's rules on a tree of ioeventfds, by key, and a list of zones
 */

#include "lib/kvm/bus-table.h"
#include "lib/memory/ioeventfd.h"

struct TableDevice {
        BusOp op; /* first: bus_table_next_*() cast */
        RB_ENTRY(TableDevice) by_key;
        struct cds_list_head link;
};

/* Addresses on a bus are to it what offsets in a region are to a region's ioeventfds. */
static IOEventFD key_of(const BusOp *op) {
        return (IOEventFD){
                .offset = op->address,
                .length = op->length,
                .match = op->match,
                .data = op->data,
        };
}

static int compare_key(const TableDevice *a, const TableDevice *b) {
        const IOEventFD key_a = key_of(&a->op), key_b = key_of(&b->op);

        return ioeventfd_compare(&key_a, &key_b);
}

RB_GENERATE_STATIC(TableIOEventFDs, TableDevice, by_key, compare_key)

void bus_table_init(BusTable *table) {
        RB_INIT(&table->ioeventfds);
        CDS_INIT_LIST_HEAD(&table->zones);
        table->n_zones = 0;
}

static void remove_ioeventfd(BusTable *table, TableDevice *device) {
        RB_REMOVE(TableIOEventFDs, &table->ioeventfds, device);
        free(device);
}

static void remove_zone(BusTable *table, TableDevice *device) {
        cds_list_del(&device->link);
        table->n_zones--;
        free(device);
}

void bus_table_deinit(BusTable *table) {
        TableDevice *device, *next;

        while ((device = RB_ROOT(&table->ioeventfds)))
                remove_ioeventfd(table, device);
        cds_list_for_each_entry_safe(device, next, &table->zones, link)
                remove_zone(table, device);
}

static bool ioeventfd_is_valid(const BusOp *op) {
        bool is_length = op->length <= 8 && (op->length & (op->length - 1)) == 0;

        return is_length && !(op->length == 0 && op->match) &&
               op->address + op->length >= op->address;
}

static bool collides(BusTable *table, const BusOp *op) {
        TableDevice key = {.op.address = op->address}, *other;
        const IOEventFD new = key_of(op);

        for (other = RB_NFIND(TableIOEventFDs, &table->ioeventfds, &key);
             other && other->op.address == op->address;
             other = RB_NEXT(TableIOEventFDs, NULL, other)) {
                const IOEventFD old = key_of(&other->op);

                if (ioeventfd_collides(&new, &old))
                        return true;
        }
        return false;
}

static int add(BusTable *table, const BusOp *op) {
        TableDevice *device;

        if (table->n_zones > BUS_ZONES_MAX)
                return -ENOSPC;
        device = malloc(sizeof(*device));
        if (!device)
                return -ENOMEM;
        device->op = *op;
        if (op->is_zone) {
                cds_list_add_tail(&device->link, &table->zones);
                table->n_zones++;
        } else {
                RB_INSERT(TableIOEventFDs, &table->ioeventfds, device);
        }
        return 0;
}

static int set_ioeventfd(BusTable *table, const BusOp *op) {
        TableDevice key = {.op = *op}, *found;

        if (!ioeventfd_is_valid(op))
                return -EINVAL;
        if (!op->remove)
                return collides(table, op) ? -EEXIST : add(table, op);
        found = RB_FIND(TableIOEventFDs, &table->ioeventfds, &key);
        if (!found || found->op.fd != op->fd)
                return -ENOENT;
        remove_ioeventfd(table, found);
        return 0;
}

static bool covers(const BusOp *zone, const BusOp *op) {
        return zone->address <= op->address && op->length <= zone->length &&
               op->address - zone->address <= zone->length - op->length;
}

static int set_zone(BusTable *table, const BusOp *op) {
        TableDevice *zone, *next;

        if (!op->remove)
                return add(table, op);
        cds_list_for_each_entry_safe(zone, next, &table->zones, link)
                if (covers(&zone->op, op))
                        remove_zone(table, zone);
        return 0;
}

int bus_table_set(BusTable *table, const BusOp *op) {
        return op->is_zone ? set_zone(table, op) : set_ioeventfd(table, op);
}

const BusOp *bus_table_next_ioeventfd(const BusTable *table, const BusOp *op) {
        struct TableIOEventFDs *all = (struct TableIOEventFDs *)&table->ioeventfds;
        TableDevice *next = op ? RB_NEXT(TableIOEventFDs, NULL, (TableDevice *)op)
                               : RB_MIN(TableIOEventFDs, all);

        return next ? &next->op : NULL;
}

const BusOp *bus_table_next_zone(const BusTable *table, const BusOp *op) {
        const struct cds_list_head *before = op ? &((const TableDevice *)op)->link : &table->zones;
        const struct cds_list_head *next = before->next;

        return next == &table->zones ? NULL : &cds_list_entry(next, TableDevice, link)->op;
}
