/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Rota: who calls much waits for those who call little
 *
 * What all clients send comes in by one socket. A caller may have ROTA_CALLS calls handled as they
 * come; then it joins the rota: what it sends stands in its line until nothing else is to be done,
 * and those in the rota take turns, a call each. So a flood costs others what it takes to read it,
 * not what it takes to do it.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>
#include <urcu/list.h>

typedef struct Caller Caller;
typedef struct Manager Manager;
typedef struct Rota Rota;
typedef struct RotaPlace RotaPlace;

enum { ROTA_CALLS = 16 };

struct Rota {
        struct cds_list_head callers; /* of RotaPlace.siblings, whose turn is next first */
        sd_event_source *turn;        /* on while there are any */
};

struct RotaPlace {
        struct cds_list_head siblings;
        unsigned n_calls; /* handled since its line was last at its end */
        bool is_taken;    /* it is in the rota */
};

int rota_init(Manager *manager);
void rota_deinit(Manager *manager);

/* Whether a call may be handled at once; otherwise the caller is in the rota. */
bool rota_pass(Caller *caller);
/*
 * It has left, or its line stands still, after which it is where it was: what it may do as it comes
 * is no more than before. Accepts a caller that is in no rota.
 */
void rota_leave(Caller *caller);
