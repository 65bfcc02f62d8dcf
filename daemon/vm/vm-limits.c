/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "api/names.h"
#include "daemon/vm/vm-limits.h"
#include "lib/util/cleanup.h"

typedef struct LimitRow LimitRow;

struct LimitRow {
        const char *name;
        size_t offset; /* in VMLimits */
};

static const LimitRow limit_table[] = {
        {"Regions", offsetof(VMLimits, map.regions)},
        {"AddressSpaces", offsetof(VMLimits, map.address_spaces)},
        {"IOEventFDs", offsetof(VMLimits, map.ioeventfds)},
        {"CoalescedZones", offsetof(VMLimits, map.coalesced_zones)},
        {"RAMBytes", offsetof(VMLimits, map.ram_bytes)},
        {"Edits", offsetof(VMLimits, map.edits)},
        {"Transactions", offsetof(VMLimits, transactions)},
        {"DocumentBytes", offsetof(VMLimits, document_bytes)},
        {"JSONDepth", offsetof(VMLimits, json_depth)},
        {"StoredDescriptors", offsetof(VMLimits, stored_descriptors)},
        {"DescriptorsPerCall", offsetof(VMLimits, descriptors)},
        {"MessageBytes", offsetof(VMLimits, message_bytes)},
};

const VMLimits vm_limits_default = {
        .map = MAP_LIMITS_DEFAULT,
        .transactions = 64,
        .document_bytes = GUESTMAP_DOCUMENT_FD_MAX,
        .json_depth = GUESTMAP_JSON_DEPTH_MAX,
        .stored_descriptors = 1024,
        .descriptors = 4,
        .message_bytes = 16 << 20,
};

const char *vm_limits_get(const VMLimits *limits, size_t i, uint64_t *ret) {
        if (i >= ELEMENTS_OF(limit_table))
                return NULL;
        *ret = *(const uint64_t *)((const char *)limits + limit_table[i].offset);
        return limit_table[i].name;
}

int vm_limits_set(VMLimits *limits, const char *name, uint64_t value) {
        for (size_t i = 0; i < ELEMENTS_OF(limit_table); i++)
                if (strcmp(limit_table[i].name, name) == 0) {
                        *(uint64_t *)((char *)limits + limit_table[i].offset) = value;
                        return 0;
                }
        return -ENOENT;
}
