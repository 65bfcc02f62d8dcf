/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "api/names.h"
#include "daemon/vm/json-write.h"
#include "daemon/vm/report-part.h"
#include "daemon/vm/report.h"
#include "lib/memory/undo.h"

void report_flags(JSONWriter *writer, uint32_t flags) {
        static const struct {
                uint32_t flag;
                const char *word;
        } words[] = {
                {REGION_READONLY, "readonly"},       {REGION_NONVOLATILE, "nonvolatile"},
                {REGION_UNMERGEABLE, "unmergeable"}, {REGION_DIRECT_READ, "romd"},
                {REGION_DIRTY_LOG, "dirty-log"},
        };

        json_open(writer, '[');
        for (size_t i = 0; i < ELEMENTS_OF(words); i++)
                if (flags & words[i].flag)
                        json_string(writer, words[i].word);
        json_close(writer, ']');
}

void report_section(JSONWriter *writer, const Section *section) {
        json_open(writer, '{');
        json_key(writer, "first");
        json_hex(writer, section->range.first);
        json_key(writer, "last");
        json_hex(writer, section->range.last);
        json_key(writer, "region");
        json_string(writer, section->region->name);
        json_key(writer, "offset");
        json_hex(writer, section->offset);
        json_key(writer, "kind");
        json_string(writer, region_kind_to_string(section->kind));
        json_key(writer, "flags");
        report_flags(writer, section->flags);
        json_close(writer, '}');
}

static void report_counted(JSONWriter *writer, const char *key, const Sections *sections) {
        json_key(writer, key);
        json_open(writer, '{');
        json_key(writer, "count");
        json_number(writer, sections->n);
        json_key(writer, "sections");
        json_open(writer, '[');
        for (size_t i = 0; i < MIN_OF(sections->n, GUESTMAP_SIGNAL_SECTIONS_MAX); i++) {
                json_line(writer, 4);
                report_section(writer, &sections->items[i]);
        }
        json_close(writer, ']');
        json_close(writer, '}');
}

static void report_changes(JSONWriter *writer, const Commit *commit) {
        json_open(writer, '{');
        for (size_t i = 0; i < commit->n_changes; i++) {
                json_line(writer, 2);
                json_key_string(writer, commit->changes[i].space);
                json_open(writer, '{');
                report_counted(writer, "removed", &commit->changes[i].diff->removed);
                report_counted(writer, "added", &commit->changes[i].diff->added);
                json_close(writer, '}');
        }
        json_close(writer, '}');
}

/* Before it is applied. */
static void report_handlers(JSONWriter *writer, const Commit *commit) {
        size_t i = 0, n = 0;
        Region *region;

        json_open(writer, '{');
        map_begin_walk(commit->map);
        while (n < GUESTMAP_SIGNAL_SECTIONS_MAX && (region = map_next_rehandled(commit->map, &i))) {
                if (!map_walk_visits(commit->map, region))
                        continue;
                json_key_string(writer, region->name);
                json_string(writer, region_handler_kind(region));
                n++;
        }
        json_close(writer, '}');
}

static void report_plan(JSONWriter *writer, const SlotPlan *plan) {
        json_open(writer, '{');
        for (SlotOpKind kind = 0; kind < N_SLOT_OP_KINDS; kind++) {
                json_key(writer, slot_op_kind_to_string(kind));
                json_number(writer, plan->counts[kind]);
        }
        json_close(writer, '}');
}

int report_commit(char **ret, const VM *vm, const Commit *commit, size_t n_edits,
                  uint64_t bytes_discarded) {
        const SlotPlan *plan = slots_plan(vm->slots);
        _cleanup_(json_writer_deinit) JSONWriter writer;

        json_writer_init(&writer, SIZE_MAX);
        json_open(&writer, '{');
        json_key(&writer, "generation");
        json_number(&writer, commit->generation);
        json_key(&writer, "edits");
        json_number(&writer, n_edits);
        json_key(&writer, "changed");
        json_boolean(&writer, commit->tree_changed);
        json_line(&writer, 1);
        report_edited(&writer, commit->map);
        json_line(&writer, 1);
        json_key(&writer, "address-spaces");
        report_changes(&writer, commit);
        json_line(&writer, 1);
        json_key(&writer, "handlers");
        report_handlers(&writer, commit);
        json_line(&writer, 1);
        json_key(&writer, "slot-operations");
        report_plan(&writer, plan);
        json_key(&writer, "bytes-remapped");
        json_hex(&writer, plan->bytes_remapped);
        json_key(&writer, "bytes-unchanged-remapped");
        json_hex(&writer, plan->bytes_unchanged);
        json_key(&writer, "bytes-trapped");
        json_hex(&writer, slots_planned_trapped(vm->slots));
        json_key(&writer, "bytes-discarded");
        json_hex(&writer, bytes_discarded);
        json_close(&writer, '}');
        return json_writer_take(&writer, ret);
}
