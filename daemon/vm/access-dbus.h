/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * AddressSpace.Read and Write: small peeks and pokes
 *
 * Only host memory is read and written; what would reach a device is refused. Both need nothing
 * but the published view, which this thread is the one to replace. For sd-bus; userdata is the
 * AddressSpace.
 */

#include <systemd/sd-bus.h>

int method_read_memory(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_write_memory(sd_bus_message *m, void *userdata, sd_bus_error *error);
