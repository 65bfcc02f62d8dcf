/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>

#include "api/names.h"
#include "daemon/manager/quota.h"
#include "lib/util/string-table.h"

static const char *const quota_names[QUOTA_COUNT] = {
        [QUOTA_VMS] = "VMs",
        [QUOTA_CALLS_PER_CLIENT] = "CallsPerClient",
        [QUOTA_CALLS_PER_VM] = "CallsPerVM",
        [QUOTA_BYTES_PER_VM] = "BytesPerVM",
        [QUOTA_DESCRIPTORS] = "DescriptorsPerCall",
        [QUOTA_SIGNALS] = "Signals",
        [QUOTA_DOCUMENT_BYTES] = "DocumentBytes",
};

static const uint64_t quota_limits[QUOTA_COUNT] = {
        [QUOTA_VMS] = 4096,          [QUOTA_CALLS_PER_CLIENT] = 512,
        [QUOTA_CALLS_PER_VM] = 4096, [QUOTA_BYTES_PER_VM] = 64 << 20,
        [QUOTA_DESCRIPTORS] = 4,     [QUOTA_SIGNALS] = 256,
        [QUOTA_DOCUMENT_BYTES] = GUESTMAP_DOCUMENT_FD_MAX,
};

const char *quota_to_string(Quota quota) {
        return quota < QUOTA_COUNT ? quota_names[quota] : NULL;
}

uint64_t quota_limit(Quota quota) {
        return quota_limits[quota];
}

int quota_check(Quota quota, size_t used, Detail *detail) {
        if (used < quota_limits[quota])
                return 0;
        return detail_set(detail, 1, "%s: %zu are in use, %" PRIu64 " allowed", quota_names[quota],
                          used, quota_limits[quota]);
}
