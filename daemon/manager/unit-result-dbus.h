/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How a service has failed, in words
 *
 * systemd tells what it has seen of the process; what was in the process' way it tells only where
 * that has said so itself, by STATUS= and ERRNO= of sd_notify(3). What systemd could not set up
 * before the program began has an exit status for each step: systemd.exec(5).
 */

#include <systemd/sd-bus.h>

#include "lib/util/detail.h"

/* From a reply with the properties of org.freedesktop.systemd1.Service. */
int unit_result_read(sd_bus_message *reply, Detail *ret);
