/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Access teller: Region.Accessed, what guests ask of regions whose handler is a log
 *
 * At most GUESTMAP_ACCESSES_MAX signals a second: then the notes are left where they are, where
 * there is room for a few, and the next one that is told says how many found none.
 */

#include <stddef.h>
#include <systemd/sd-event.h>

typedef struct AccessTeller AccessTeller;
typedef struct Service Service;

struct AccessTeller {
        Service *service;
        sd_event_source *notes;
        sd_event_source *second; /* runs from the first signal of a second to its end */
        size_t n_told;           /* in this second */
};

/* The service has its VM. Zero is a teller of nothing, too. */
int access_teller_init(AccessTeller *teller, Service *service, int notes_fd);
void access_teller_deinit(AccessTeller *teller);
