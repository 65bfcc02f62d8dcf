/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Outcomes as D-Bus errors
 *
 * The only place of guestmap-vmd where an outcome gets its name on the bus. Every vtable handler
 * ends in error_from_outcome() or in a reply of its own, so that no positive outcome is taken for
 * "answered" by sd-bus.
 */

#include <systemd/sd-bus.h>

#include "lib/util/detail.h"

/* The word that begins the message of an outcome's error; NULL if it has none of its own. */
const char *error_token(int outcome);

/*
 * 0 stays 0. A MapError, VMError or -ENOMEM becomes an error of the contract: the message is the
 * token, a colon, the detail. Any other -errno is passed on. Returns a negative number for all but
 * 0.
 */
int error_from_outcome(sd_bus_error *error, int outcome, const Detail *detail);
