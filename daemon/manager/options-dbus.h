/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The options at the end of a call that has none yet
 */

#include <systemd/sd-bus.h>

/* Reads an a{sv}, and refuses whatever is in it by its name. */
int options_read_none(sd_bus_message *m, sd_bus_error *error);
