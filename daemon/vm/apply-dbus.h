/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Map.Apply: a whole document in one message
 */

#include <systemd/sd-bus.h>

/* userdata is a MapTarget. */
int method_apply(sd_bus_message *m, void *userdata, sd_bus_error *error);
