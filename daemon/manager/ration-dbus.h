/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Ration: what a VM holds of the RAM that its owner may have in all VMs
 *
 * A process asks before its VM has more (ReserveRAM, api/private.h), and says what it has when it
 * is asked (LimitRAM). It does not say when it has less: before anybody is refused the others are
 * asked.
 *
 * I1: `held` is not less than what the VM has, unless guestmapd has never heard of its process.
 * I2: nothing is granted while a VM that may be the same user's has not said what it holds, or
 *     whose it is: since guestmapd has found it, or since it was asked last.
 *
 * Without a limit nothing is asked. Whoever holds more than a new limit leaves keeps it.
 */

#include <stdbool.h>
#include <stdint.h>

typedef struct sd_bus_message sd_bus_message;
typedef struct Manager Manager;
typedef struct Ration Ration;
typedef struct VM VM;

struct Ration {
        uint64_t held;   /* bytes */
        bool is_known;   /* the process was heard of */
        unsigned n_asks; /* LimitRAM, not answered */

        sd_bus_message *request; /* ReserveRAM, not answered; of this link or an earlier one */
        uint64_t wanted;         /* by it */
        bool others_asked;       /* for it */
};

/* There is a new link: its process may ask, and is asked what it has. */
int ration_begin(VM *vm);
/* Lets go of a request that was not answered. */
void ration_forget(VM *vm);

/* The limit may be another one. */
void ration_reload(Manager *manager);
/* Answers what can be answered now. */
void ration_reconsider(Manager *manager);
