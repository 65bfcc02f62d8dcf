/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <linux/kvm.h>

#include "daemon/vm/json-write.h"
#include "daemon/vm/report-section.h"
#include "daemon/vm/report.h"

/* The published views need no RCU here: this is the thread that replaces them. */
int report_flat(char **ret, const VM *vm) {
        const Snapshot *snapshot = map_snapshot(vm->map);
        _cleanup_(json_writer_deinit) JSONWriter writer;
        int r;

        r = json_writer_init(&writer);
        if (r < 0)
                return r;
        json_open(&writer, '{');
        json_key(&writer, "generation");
        json_number(&writer, snapshot->generation);
        json_key(&writer, "address-spaces");
        json_open(&writer, '{');
        for (size_t i = 0; i < snapshot->n_spaces; i++) {
                const FlatView *view = snapshot->spaces[i].view;

                json_line(&writer, 2);
                json_key(&writer, snapshot->spaces[i].space->name);
                report_sections(&writer, view->sections, view->n_sections, SIZE_MAX);
        }
        json_close(&writer, '}');
        json_close(&writer, '}');
        return json_writer_take(&writer, ret);
}

static uint32_t section_flags_of_slot(uint32_t flags) {
        return (flags & KVM_MEM_READONLY ? REGION_READONLY : 0) |
               (flags & KVM_MEM_LOG_DIRTY_PAGES ? REGION_DIRTY_LOG : 0);
}

static void report_slot(JSONWriter *writer, const Slot *slot) {
        json_open(writer, '{');
        json_key(writer, "slot");
        json_number(writer, slot->number);
        json_key(writer, "first");
        json_hex(writer, slot->extent.range.first);
        json_key(writer, "last");
        json_hex(writer, slot->extent.range.last);
        json_key(writer, "backing");
        json_number(writer, slot->extent.backing);
        json_key(writer, "offset");
        json_hex(writer, slot->extent.offset);
        json_key(writer, "flags");
        report_flags(writer, section_flags_of_slot(slot->extent.flags));
        json_close(writer, '}');
}

int report_slots(char **ret, const VM *vm) {
        _cleanup_(json_writer_deinit) JSONWriter writer;
        int r;

        r = json_writer_init(&writer);
        if (r < 0)
                return r;
        json_open(&writer, '{');
        json_key(&writer, "generation");
        json_number(&writer, vm->map->generation);
        json_key(&writer, "slots");
        json_open(&writer, '[');
        for (const Slot *slot = slots_first(vm->slots, 0); slot;
             slot = slots_next(vm->slots, slot)) {
                json_line(&writer, 2);
                report_slot(&writer, slot);
        }
        json_close(&writer, ']');
        json_close(&writer, '}');
        return json_writer_take(&writer, ret);
}
