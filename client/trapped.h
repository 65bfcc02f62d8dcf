/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Trapped memory: what an edit leaves without a memory slot
 *
 * Such memory is in the map, and yet every access of a guest's leaves the guest. An edit that makes
 * more of it succeeds; so the VM is asked before and behind, and who made the edit is told. What
 * others commit meanwhile counts with it.
 */

#include "client/client.h"

typedef struct Trapped Trapped;

struct Trapped {
        char *vm; /* its path; NULL: it may not be asked */
        uint64_t before;
        uint64_t bytes; /* in all, once trapped_tell() has found that there are more */
};

/* Of the VM that an object is, or is below. Who may edit and not look is told nothing. */
int trapped_init(Trapped *trapped, const Client *client, const char *path);
void trapped_deinit(Trapped *trapped);
/* On stderr, if there is more now. */
void trapped_tell(Trapped *trapped, const Client *client);
