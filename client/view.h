/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Views of address spaces, fetched whole
 *
 * *ret is empty before, and is to be deinitialized whatever comes.
 */

#include <stdint.h>

#include "client/client.h"
#include "client/sections.h"

/* So often is tried to see all of a map at one generation. */
enum { VIEW_ATTEMPTS_MAX = 10 };

/*
 * Page by page. A view of many pages on a map that never rests cannot be had so: after a few
 * attempts it is dumped, or where no descriptors pass it is said.
 */
int view_fetch(Client *client, const char *vm_path, const char *space, uint64_t *ret_generation,
               Sections *ret);
/*
 * What `now`, of generation `now_generation`, was at an older one, as GetChanges tells. -EAGAIN,
 * with nothing printed, if the map has changed since.
 */
int view_fetch_older(Client *client, const char *vm_path, const char *space, uint64_t generation,
                     uint64_t now_generation, const Sections *now, Sections *ret);
