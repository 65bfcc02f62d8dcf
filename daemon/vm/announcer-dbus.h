/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Announcer: telling of commits
 *
 * A commit is told after its caller was answered: it waits here until the handler that made it has
 * returned, and goes out before the next message is looked at. In this order: PropertiesChanged,
 * InterfacesRemoved, InterfacesAdded, Committed; then those who wait for changes are answered.
 *
 * Where the connection does not drain, what waits is folded: one later Committed tells of all,
 * without sections and without signals about objects.
 *
 * I1: `previous` of a Committed is the generation of the one before: nothing is told twice, nothing
 *     is skipped unseen.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "daemon/vm/object-changes.h"

typedef struct Announcement Announcement;
typedef struct Announcer Announcer;
typedef struct Service Service;

/* One commit, or several folded ones. */
struct Announcement {
        uint64_t generation;
        uint32_t n_edits;
        uint32_t n_slot_operations;
        char *transaction;     /* path of the object; NULL: it was none */
        ObjectChanges objects; /* settled */
        bool folded;
};

struct Announcer {
        uint64_t told;     /* generation of the last Committed */
        uint64_t n_folded; /* commits that had no Committed of their own */
        bool waiting;      /* `next` is there */
        Announcement next;
        sd_event_source *soon;  /* on from a commit until its handler has returned */
        sd_event_source *retry; /* on while the connection does not drain */
};

int announcer_init(Announcer *announcer, Service *service, uint64_t generation);
void announcer_deinit(Announcer *announcer);
/* Takes over the announcement's contents. Cannot fail. */
void announcer_put(Service *service, Announcement *announcement);
