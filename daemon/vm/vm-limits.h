/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a VM may have, and a call to it
 *
 * Given once, with Setup, by the names that guestmapd's Limits property has; refusals say these
 * names.
 */

#include <stddef.h>
#include <stdint.h>

#include "lib/memory/map.h"

typedef struct VMLimits VMLimits;

struct VMLimits {
        MapLimits map;
        uint64_t transactions;   /* open ones of one user */
        uint64_t document_bytes; /* of a document in a file */
        uint64_t json_depth;
        uint64_t stored_descriptors; /* that the service manager keeps, if it does */
        uint64_t descriptors;        /* of one call that guestmapd does not see */
        uint64_t message_bytes;      /* of one such call, about */
};

extern const VMLimits vm_limits_default;

/* Number i of them, NULL behind the last one. */
const char *vm_limits_get(const VMLimits *limits, size_t i, uint64_t *ret);
/* -ENOENT: nothing here is called so. */
int vm_limits_set(VMLimits *limits, const char *name, uint64_t value);
