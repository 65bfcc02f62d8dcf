/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Share: how many calls may be waiting for one thing, or how much of them
 *
 * Who may only look must be able to keep neither the others who look nor the owner from it: some
 * room is kept for the VM's owner and root, and no other user gets all of the rest.
 */

#include <stddef.h>
#include <stdint.h>

#include "daemon/vm/vm.h"
#include "lib/util/detail.h"

typedef struct Share Share;

struct Share {
        const char *what; /* that calls do, such as "wait for changes" */
        const char *unit; /* what of them is counted, such as "bytes of calls"; NULL: they are */
        size_t max;
        size_t reserved; /* of these only for the owner and root */
        size_t user_max; /* of any other uid */
};

/* Whether one more call fits beside the n that there are, n_user of them of this uid.
 * MAP_E_QUOTA_EXCEEDED. */
int share_check(const Share *share, const VM *vm, size_t n, uint32_t uid, size_t n_user,
                Detail *detail);
