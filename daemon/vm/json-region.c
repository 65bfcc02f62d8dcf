/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/vm/json-region.h"

static const struct {
        uint32_t flag;
        const char *key;
} flag_keys[] = {
        {REGION_ENABLED, "enabled"},         {REGION_READONLY, "readonly"},
        {REGION_NONVOLATILE, "nonvolatile"}, {REGION_UNMERGEABLE, "unmergeable"},
        {REGION_DIRECT_READ, "romd"},        {REGION_DIRTY_LOG, "dirty-log"},
};

void json_region_flags(JSONWriter *writer, uint32_t which, uint32_t flags) {
        for (size_t i = 0; i < ELEMENTS_OF(flag_keys); i++) {
                if (!(which & flag_keys[i].flag))
                        continue;
                json_key(writer, flag_keys[i].key);
                json_boolean(writer, flags & flag_keys[i].flag);
        }
}

static void json_numa(JSONWriter *writer, const NUMA *numa) {
        if (numa_is_one(numa->nodes)) {
                json_key(writer, "numa-node");
                json_number(writer, (uint64_t)__builtin_ctzll(numa->nodes));
        } else {
                json_key(writer, "numa-nodes");
                json_string(writer, numa_nodes_list(numa->nodes).text);
        }
        json_key(writer, "numa-policy");
        json_string(writer, numa_policy_to_string(numa->policy));
}

void json_region_memory(JSONWriter *writer, const BackingSpec *spec) {
        if (spec->huge_page != 0) {
                json_key(writer, "hugepage-size");
                json_size(writer, spec->huge_page);
        }
        if (spec->prealloc) {
                json_key(writer, "prealloc");
                json_boolean(writer, true);
        }
        if (spec->numa.policy != NUMA_ANYWHERE)
                json_numa(writer, &spec->numa);
        if (spec->dump) {
                json_key(writer, "dump");
                json_boolean(writer, true);
        }
}

void json_region_ioeventfd(JSONWriter *writer, const IOEventFD *ioeventfd) {
        json_key(writer, "offset");
        json_hex(writer, ioeventfd->offset);
        json_key(writer, "length");
        json_number(writer, ioeventfd->length);
        if (ioeventfd->match) {
                json_key(writer, "match");
                json_boolean(writer, true);
        }
        if (ioeventfd->data != 0) {
                json_key(writer, "data");
                json_hex(writer, ioeventfd->data);
        }
}

void json_region_handler(JSONWriter *writer, const Handler *handler) {
        uint64_t value;

        if (handler_value(handler, &value)) {
                json_key(writer, "value");
                json_hex(writer, value);
        }
        if (handler->widths.min != HANDLER_WIDTHS_ANY.min) {
                json_key(writer, "min-width");
                json_number(writer, handler->widths.min);
        }
        if (handler->widths.max != HANDLER_WIDTHS_ANY.max) {
                json_key(writer, "max-width");
                json_number(writer, handler->widths.max);
        }
        if (handler->widths.unaligned) {
                json_key(writer, "unaligned");
                json_boolean(writer, true);
        }
}
