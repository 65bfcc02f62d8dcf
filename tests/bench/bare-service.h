/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A bare sd-bus service: what serving a list of sections costs at the least
 *
 * A process with an array of rows and one method, written as anybody would: GetFlatView of
 * org.guestmap1.Bare, at /bare, gives (t a(ttstsu)), n rows like those of siblings of one page.
 */

#include <stddef.h>
#include <sys/types.h>

#include "tests/bus/world.h"

#define BARE_SERVICE "org.guestmap1.Bare"
#define BARE_PATH    "/bare"

/* Forks; -1 if it does not come up. Ended by world_close() at the latest. */
pid_t bare_service_start(World *world, size_t n);
