/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "api/names.h"
#include "daemon/manager/fd-store.h"
#include "daemon/manager/quota.h"

typedef struct QuotaRow QuotaRow;

struct QuotaRow {
        const char *section;
        const char *name;
        uint64_t max; /* 0: what is configured is not bounded */
};

static const QuotaRow quota_table[QUOTA_COUNT] = {
        [QUOTA_VMS] = {"Service", "VMs"},
        [QUOTA_SIGNALS] = {"Service", "Signals"},
        [QUOTA_VMS_PER_USER] = {"User", "VMsPerUser"},
        [QUOTA_CALLS_PER_USER] = {"User", "CallsPerUser"},
        [QUOTA_BYTES_PER_USER] = {"User", "BytesPerUser"},
        [QUOTA_RAM_BYTES_PER_USER] = {"User", "RAMBytesPerUser"},
        [QUOTA_CALLS_PER_CLIENT] = {"Client", "CallsPerClient"},
        [QUOTA_CALLS_PER_VM] = {"VM", "CallsPerVM"},
        [QUOTA_BYTES_PER_VM] = {"VM", "BytesPerVM"},
        [QUOTA_MEMORY_MAX] = {"VM", "MemoryMax"},
        [QUOTA_DESCRIPTORS] = {"Client", "DescriptorsPerCall"},
        [QUOTA_MESSAGE_BYTES] = {"Client", "MessageBytes"},
        [QUOTA_REGIONS] = {"VM", "Regions"},
        [QUOTA_ADDRESS_SPACES] = {"VM", "AddressSpaces"},
        [QUOTA_IOEVENTFDS] = {"VM", "IOEventFDs"},
        [QUOTA_COALESCED_ZONES] = {"VM", "CoalescedZones"},
        [QUOTA_RAM_BYTES] = {"VM", "RAMBytes"},
        [QUOTA_TRANSACTIONS] = {"VM", "Transactions"},
        [QUOTA_EDITS] = {"VM", "Edits"},
        [QUOTA_DOCUMENT_BYTES] = {"VM", "DocumentBytes", GUESTMAP_DOCUMENT_FD_MAX},
        [QUOTA_JSON_DEPTH] = {"VM", "JSONDepth", GUESTMAP_JSON_DEPTH_MAX},
        [QUOTA_STORED_DESCRIPTORS] = {"VM", "StoredDescriptors", FD_STORE_MAX},
};

const Quotas quotas_default = {{
        [QUOTA_VMS] = 4096,
        [QUOTA_SIGNALS] = 256,
        [QUOTA_VMS_PER_USER] = 2048,
        [QUOTA_CALLS_PER_USER] = 2048,
        [QUOTA_BYTES_PER_USER] = 32 << 20,
        [QUOTA_RAM_BYTES_PER_USER] = QUOTA_INFINITY,
        [QUOTA_CALLS_PER_CLIENT] = 512,
        [QUOTA_CALLS_PER_VM] = 4096,
        [QUOTA_BYTES_PER_VM] = 64 << 20,
        [QUOTA_MEMORY_MAX] = QUOTA_INFINITY,
        [QUOTA_DESCRIPTORS] = 4,
        [QUOTA_MESSAGE_BYTES] = 16 << 20,
        [QUOTA_REGIONS] = 2 << 20,
        [QUOTA_ADDRESS_SPACES] = 4096,
        [QUOTA_IOEVENTFDS] = 64 << 10,
        [QUOTA_COALESCED_ZONES] = 64 << 10,
        [QUOTA_RAM_BYTES] = UINT64_C(64) << 40,
        [QUOTA_TRANSACTIONS] = 64,
        [QUOTA_EDITS] = 1 << 20,
        [QUOTA_DOCUMENT_BYTES] = GUESTMAP_DOCUMENT_FD_MAX,
        [QUOTA_JSON_DEPTH] = GUESTMAP_JSON_DEPTH_MAX,
        [QUOTA_STORED_DESCRIPTORS] = 1024,
}};

const char *quota_to_string(Quota quota) {
        return quota < QUOTA_COUNT ? quota_table[quota].name : NULL;
}

int quota_from_key(const char *section, const char *name) {
        for (Quota quota = 0; quota < QUOTA_COUNT; quota++)
                if (strcmp(quota_table[quota].section, section) == 0 &&
                    strcmp(quota_table[quota].name, name) == 0)
                        return (int)quota;
        return -EINVAL;
}

bool quota_section_is_valid(const char *section) {
        for (Quota quota = 0; quota < QUOTA_COUNT; quota++)
                if (strcmp(quota_table[quota].section, section) == 0)
                        return true;
        return false;
}

int quotas_set(Quotas *quotas, Quota quota, uint64_t limit) {
        if (quota_table[quota].max > 0 && limit > quota_table[quota].max)
                return -ERANGE;
        quotas->limits[quota] = limit;
        return 0;
}

int quota_check(const Quotas *quotas, Quota quota, size_t used, Detail *detail) {
        if (used < quotas->limits[quota])
                return 0;
        return detail_set(detail, 1, "%s: %zu are in use, %" PRIu64 " allowed",
                          quota_to_string(quota), used, quotas->limits[quota]);
}

int quota_check_size(const Quotas *quotas, Quota quota, size_t size, Detail *detail) {
        if (size <= quotas->limits[quota])
                return 0;
        return detail_set(detail, 1, "%s: the call has %zu, %" PRIu64 " allowed",
                          quota_to_string(quota), size, quotas->limits[quota]);
}
