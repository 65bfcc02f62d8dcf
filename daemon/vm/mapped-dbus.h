/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Region.MappedAt: where address spaces show a region
 *
 * Looked for where the region can be: from the region upwards. So it costs what there is above the
 * region and of it, not what there is in the views.
 */

#include <systemd/sd-bus.h>

/* For the vtable of a region; nothing is checked out. */
int get_mapped_at(sd_bus *bus, const char *path, const char *interface, const char *property,
                  sd_bus_message *reply, void *userdata, sd_bus_error *error);
