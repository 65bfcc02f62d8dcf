/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <linux/kvm.h>

#include "daemon/vm/json-write.h"
#include "daemon/vm/report-part.h"
#include "daemon/vm/report.h"
#include "daemon/vm/section-walk.h"
#include "lib/memory/flat-view.h"

static void report_whole_view(JSONWriter *writer, const FlatView *view) {
        SectionWalk walk;

        json_open(writer, '[');
        for (const Section *section = section_walk_first(&walk, view, 0);
             section && writer->error == 0; section = section_walk_next(&walk)) {
                json_line(writer, 4);
                report_section(writer, section);
        }
        json_close(writer, ']');
}

static void report_memory(JSONWriter *writer, const Section *section) {
        json_line(writer, 4);
        json_open(writer, '{');
        json_key(writer, "first");
        json_hex(writer, section->range.first);
        json_key(writer, "last");
        json_hex(writer, section->range.last);
        json_key(writer, "backing");
        json_number(writer, section->region->backing->id);
        json_key(writer, "offset");
        json_hex(writer, section_file_offset(section));
        json_key(writer, "flags");
        report_flags(writer, section->flags);
        json_close(writer, '}');
}

static void report_view_memory(JSONWriter *writer, const FlatView *view) {
        ViewCursor cursor;

        json_open(writer, '[');
        for (const Section *section = flat_view_first(view, &cursor, 0);
             section && writer->error == 0; section = flat_view_next(&cursor))
                if (section_is_memory(section) && section->region->backing)
                        report_memory(writer, section);
        json_close(writer, ']');
}

static void report_views(JSONWriter *writer, const Snapshot *snapshot,
                         void (*report_view)(JSONWriter *writer, const FlatView *view)) {
        json_open(writer, '{');
        json_key(writer, "generation");
        json_number(writer, snapshot->generation);
        json_key(writer, "address-spaces");
        json_open(writer, '{');
        for (size_t i = 0; i < snapshot->n_spaces; i++) {
                json_line(writer, 2);
                json_key_string(writer, snapshot->spaces[i].space->name);
                report_view(writer, snapshot->spaces[i].view);
        }
        json_close(writer, '}');
        json_close(writer, '}');
}

void report_flat(JSONWriter *writer, const Snapshot *snapshot) {
        report_views(writer, snapshot, report_whole_view);
}

void report_memory_table(JSONWriter *writer, const Snapshot *snapshot) {
        report_views(writer, snapshot, report_view_memory);
}

static uint32_t section_flags_of_slot(uint32_t flags) {
        return (flags & KVM_MEM_READONLY ? REGION_READONLY : 0) |
               (flags & KVM_MEM_LOG_DIRTY_PAGES ? REGION_DIRTY_LOG : 0);
}

static void report_slot(JSONWriter *writer, const Slots *slots, const Slot *slot) {
        json_open(writer, '{');
        json_key(writer, "slot");
        json_number(writer, slot->number);
        json_key(writer, "first");
        json_hex(writer, slot->extent.range.first);
        json_key(writer, "last");
        json_hex(writer, slot->extent.range.last);
        json_key(writer, "backing");
        json_number(writer, slot->extent.backing->id);
        json_key(writer, "offset");
        json_hex(writer, slot->extent.offset);
        json_key(writer, "flags");
        report_flags(writer, section_flags_of_slot(slots_flags(slots, slot)));
        json_close(writer, '}');
}

void report_slots(JSONWriter *writer, const VM *vm) {
        json_open(writer, '{');
        json_key(writer, "generation");
        json_number(writer, vm->map->generation);
        json_key(writer, "slots");
        json_open(writer, '[');
        for (const Slot *slot = slots_first(vm->slots, 0); slot;
             slot = slots_next(vm->slots, slot)) {
                json_line(writer, 2);
                report_slot(writer, vm->slots, slot);
        }
        json_close(writer, ']');
        json_close(writer, '}');
}
