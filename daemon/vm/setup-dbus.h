/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Setup: the VM of this process comes to be
 *
 * With a layout it is loaded by a job, and until that is done there is no VM: Describe says
 * "starting". When it fails the process is good for nothing and ends, with the reason as the
 * answer.
 */

#include <systemd/sd-bus.h>

/* Private.Setup; userdata is a Service. */
int method_setup(sd_bus_message *m, void *userdata, sd_bus_error *error);
