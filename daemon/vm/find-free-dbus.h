/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Map.FindFree: where there is room in an address space
 *
 * On a VM it is answered from what is published; on a transaction from the views that the map would
 * have with what is staged.
 */

#include <systemd/sd-bus.h>

int method_find_free(sd_bus_message *m, void *userdata, sd_bus_error *error);
