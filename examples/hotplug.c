/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A map in a process of one's own: memory is plugged while a listener and memory slots follow
 *
 * Nothing here is a service: no bus, no files, no threads but liburcu's. With guestmap-dev
 * installed it is built by
 *
 *   cc -o hotplug hotplug.c $(pkg-config --cflags --libs guestmap)
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kvm/slots.h"
#include "lib/memory/commit.h"
#include "lib/memory/map.h"
#include "lib/memory/map-error.h"

#define GIB (UINT64_C(1) << 30)

/* Negative is an errno, positive an outcome with a name; either way nothing has changed. */
static void must(int r, const Detail *detail) {
        if (r == 0)
                return;
        fprintf(stderr, "%s\n", *detail->text ? detail->text : strerror(-r));
        exit(EXIT_FAILURE);
}

/* Edits change the tree at once, and what others see with the commit. */
static int make_edits(Map *map, const Edit *edits, size_t n, Detail *detail) {
        _cleanup_(commit_freep) Commit *commit = NULL;
        size_t mark = map_mark(map);
        int r = 0;

        for (size_t i = 0; r == 0 && i < n; i++)
                r = map_edit(map, &edits[i], detail);
        if (r == 0)
                r = commit_new(&commit, map, detail);
        if (r == 0)
                r = commit_apply(commit, detail);
        if (r != 0)
                map_rollback(map, mark);
        return r;
}

/* Memory of one's own, placed below "system". */
static int plug(Map *map, char *name, uint64_t address, uint64_t size, Detail *detail) {
        static uint64_t last_id; /* of a map's backings */
        _cleanup_(backing_unrefp) Backing *memory = NULL;
        Edit edit = {
                .verb = EDIT_ADD_REGION,
                .kind = REGION_RAM,
                .flags = REGION_ENABLED,
                .name = name,
                .size = size,
                .parent = "system",
                .offset = address,
        };
        int r;

        r = backing_new_memfd(&memory, ++last_id, name, size, NULL, detail);
        if (r != 0)
                return r;
        edit.backing = memory;
        return make_edits(map, &edit, 1, detail);
}

static void print_added(Listener *listener, const ListenerSection *added) {
        printf("+ %s %#" PRIx64 "-%#" PRIx64 " %s\n", added->space, added->section.range.first,
               added->section.range.last, added->section.region->name);
}

static void print_removed(Listener *listener, const ListenerSection *removed) {
        printf("- %s %#" PRIx64 "-%#" PRIx64 " %s\n", removed->space, removed->section.range.first,
               removed->section.range.last, removed->section.region->name);
}

static void print_slots(const Slots *slots) {
        for (const Slot *slot = slots_first(slots, 0); slot; slot = slots_next(slots, slot))
                printf("slot %" PRIu32 ": %#" PRIx64 "-%#" PRIx64 "\n", slot->number,
                       slot->extent.range.first, slot->extent.range.last);
}

int main(void) {
        static const ListenerOps ops = {.region_add = print_added, .region_del = print_removed};
        Listener printer = {.ops = &ops, .priority = LISTENER_PRIORITY_OBSERVER};
        _cleanup_(accelerator_freep) Accelerator *accelerator = NULL;
        _cleanup_(map_freep) Map *map = NULL;
        _cleanup_(slots_freep) Slots *slots = NULL;
        Detail detail = {};
        const Edit machine[] = {
                {EDIT_ADD_REGION, REGION_CONTAINER, .name = "system", .size = SIZE_WHOLE,
                 .flags = REGION_ENABLED},
                {EDIT_ADD_ADDRESS_SPACE, .name = "memory", .parent = "system"},
        };

        rcu_register();
        must(map_new(&map, &map_limits_default), &detail);
        /* A table with the rules of KVM's slots; accelerator_new_kvm() where there is /dev/kvm. */
        must(accelerator_new_none(&accelerator, 0), &detail);
        must(slots_new(&slots, accelerator, "memory"), &detail);
        must(listener_register(slots_listener(slots), map, &detail), &detail);
        must(listener_register(&printer, map, &detail), &detail);

        must(make_edits(map, machine, ELEMENTS_OF(machine), &detail), &detail);
        must(plug(map, "ram", 0, GIB, &detail), &detail);
        must(plug(map, "dimm0", 4 * GIB, GIB, &detail), &detail);
        printf("generation %" PRIu64 "\n", map->generation);
        print_slots(slots);
        if (plug(map, "dimm0", 8 * GIB, GIB, &detail) == MAP_E_REGION_EXISTS)
                printf("refused: %s\n", detail.text);

        listener_unregister(&printer, map);
        listener_unregister(slots_listener(slots), map);
        map = map_free(map);
        rcu_unregister();
        return EXIT_SUCCESS;
}
