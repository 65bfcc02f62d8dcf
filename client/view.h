/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * View: the sections of an address space at one generation
 */

#include <stddef.h>
#include <stdint.h>

#include "client/client.h"
#include "client/section.h"

typedef struct View View;

/* So often is tried to see all of a map at one generation. */
enum { VIEW_ATTEMPTS_MAX = 10 };

struct View {
        uint64_t generation;
        Section *sections; /* in address order; their text is the pages', or the dump's */
        size_t n;
        size_t n_allocated;
        sd_bus_message **pages;
        size_t n_pages;
        json_object *dump;
};

/*
 * Fetches all of it, page by page. A view of many pages on a map that never rests cannot be had so:
 * after a few attempts it is dumped, or where no descriptors pass it is said. *ret is to be
 * deinitialized whatever comes.
 */
int view_fetch(View *ret, Client *client, const char *vm_path, const char *space);
/*
 * What `now` was at an older generation, as GetChanges tells; sections that are still there are
 * borrowed from it. -EAGAIN, with nothing printed, if the map has changed since `now`.
 */
int view_fetch_older(View *ret, Client *client, const char *vm_path, const char *space,
                     const View *now, uint64_t generation);
void view_deinit(View *view);
