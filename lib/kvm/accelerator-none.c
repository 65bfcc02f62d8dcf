/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * accelerator=none: a slot table, two bus tables, and no VM
 *
 * Its limits are those of a current x86 machine, the same everywhere, so that a map which is tried
 * here fares as it will under KVM.
 */

#include <string.h>
#include <unistd.h>

#include "lib/kvm/accelerator.h"
#include "lib/kvm/bus-table.h"
#include "lib/kvm/slot-table.h"
#include "lib/memory/page-log.h"

enum {
        USUAL_SLOTS = 32764, /* KVM_CAP_NR_MEMSLOTS on x86 since Linux 5.12 */
        ADDRESS_BITS = 52,   /* the most that x86 defines */
};

typedef struct AcceleratorNone AcceleratorNone;

struct AcceleratorNone {
        Accelerator base; /* first: the ops cast */
        SlotTable slots;
        BusTable memory;
        BusTable ports;
};

static int none_set_slot(Accelerator *accelerator, const SlotOp *op) {
        return slot_table_set(&((AcceleratorNone *)accelerator)->slots, op);
}

/* No guest writes anything. */
static int none_get_dirty(Accelerator *accelerator, uint32_t slot, uint64_t n, uint64_t *bits) {
        memset(bits, 0, page_log_words(n) * sizeof(*bits));
        return 0;
}

static int none_clear_dirty(Accelerator *accelerator, uint32_t slot, uint64_t first, uint32_t n,
                            const uint64_t *bits) {
        return 0;
}

static int none_set_device(Accelerator *accelerator, const BusOp *op) {
        AcceleratorNone *none = (AcceleratorNone *)accelerator;

        return bus_table_set(op->ports ? &none->ports : &none->memory, op);
}

static Accelerator *none_free(Accelerator *accelerator) {
        AcceleratorNone *none = (AcceleratorNone *)accelerator;

        slot_table_deinit(&none->slots);
        bus_table_deinit(&none->memory);
        bus_table_deinit(&none->ports);
        free(none);
        return NULL;
}

static const AcceleratorOps none_ops = {
        .name = "none",
        .set_slot = none_set_slot,
        .get_dirty = none_get_dirty,
        .clear_dirty = none_clear_dirty,
        .set_device = none_set_device,
        .free = none_free,
};

int accelerator_new_none(Accelerator **ret, uint32_t n_slots) {
        AcceleratorNone *none = calloc(1, sizeof(*none));

        if (!none)
                return -ENOMEM;
        accelerator_init(&none->base, &none_ops);
        none->base.n_slots = n_slots ? n_slots : USUAL_SLOTS;
        none->base.address_last = (UINT64_C(1) << ADDRESS_BITS) - 1;
        none->base.has_readonly = true;
        none->base.has_port_zones = true;
        none->base.ring_page = 1;
        slot_table_init(&none->slots, &none->base);
        bus_table_init(&none->memory);
        bus_table_init(&none->ports);
        *ret = &none->base;
        return 0;
}
