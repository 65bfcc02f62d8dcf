/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * org.guestmap1.Map: the verbs that edit, on the VM and on transactions
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "lib/memory/edit.h"
#include "lib/util/detail.h"

typedef struct MapTarget MapTarget;
typedef struct OpenTransaction OpenTransaction;
typedef struct Service Service;

/* What the verbs work on: userdata of the vtable. */
struct MapTarget {
        Service *service;
        OpenTransaction *transaction; /* NULL: the VM itself, each verb is a commit */
};

extern const sd_bus_vtable map_vtable[];

/*
 * Makes one edit and commits it, or stages it. Takes over the edit's contents where it can. On a
 * transaction the generation is 0. Waits for others where a change has to. Any MapError or VMError.
 */
int map_target_edit(MapTarget *target, Edit *edit, uint64_t *ret_generation, Detail *detail);
/*
 * Makes an edit that is a commit of its own, and answers its call, with the generation if it tells
 * that, or with what went wrong: now, or once others have done what it has to wait for. 1; -ENOMEM:
 * no answer.
 */
int map_commit_edit(Service *service, sd_bus_message *m, Edit *edit, bool tells_generation);
/* MAP_E_CONFLICT unless the map's generation, or the transaction's base, is `expected`. */
int map_target_expect(const MapTarget *target, uint64_t expected, Detail *detail);
