/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Ration: how much RAM the VM may have of what its user may have in all VMs
 *
 * guestmapd knows the sum. While it says that there is a limit, a change after which the map has
 * more asks for that before it is recorded, and waits; one that takes memory away tells nobody:
 * guestmapd asks when it wants to know.
 *
 *   thread: ration_take() ─▶ wish ………………………………… ▶ goes on, or is refused
 *   loop:                      └─▶ ration_wish() ─▶ ration_answer()
 *
 * I1: `held` is the most that the map has until the change under way is applied, and once it is,
 *     with what is set aside: also while there is no limit, so that one that comes counts what
 *     there is.
 *
 * ration_take() and ration_settle() are for whoever has the tree; the loop, which grants, may not
 * wait for itself and asks ration_waits() first. For whoever works without a ration NULL is one
 * without limit.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/util/detail.h"

typedef struct Ration Ration;

struct Ration {
        int fd;               /* an eventfd that wakes the loop when there is a wish */
        pthread_mutex_t lock; /* of all below */
        pthread_cond_t answered;
        bool is_limited;
        bool is_closed;
        bool is_asking;
        uint64_t held, wanted; /* bytes */
        uint64_t aside;        /* of these, for what is prepared and not in the map yet */
        Detail refusal;        /* the last answer; empty: it was granted */
};

/* -errno. */
int ration_init(Ration *ration);
void ration_deinit(Ration *ration);
/* Nobody answers any more: whoever waits is refused, and whoever comes. */
void ration_close(Ration *ration);

/* Whether ration_take() would have to wait for an answer. */
bool ration_waits(Ration *ration, uint64_t bytes);
/* The map is to have so much. MAP_E_QUOTA_EXCEEDED. */
int ration_take(Ration *ration, uint64_t bytes, Detail *detail);
/* The map has so much, and no change is under way. */
void ration_settle(Ration *ration, uint64_t bytes);

/*
 * Memory that was taken for a change that is taken back, and made again when the memory is there:
 * set aside it outlives the change. Then it is used by that, or put back. Any thread.
 */
void ration_set_aside(Ration *ration, uint64_t bytes);
void ration_use(Ration *ration, uint64_t bytes);
void ration_put_back(Ration *ration, uint64_t bytes);

/* Whether more is to be asked for, from what is returned on: that is held. */
uint64_t ration_limit(Ration *ration, bool is_limited);
/* Whether somebody waits for an answer; *ret is what is to be held then. */
bool ration_wish(Ration *ration, uint64_t *ret);
/* "": granted; else the words that say why not. */
void ration_answer(Ration *ration, const char *refusal);
