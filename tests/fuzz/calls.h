/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Calls: D-Bus messages that are nearly right
 *
 * A path of the contract or one like it, a method, arguments of its types or of others: names that
 * exist, names that do not, numbers at limits, options known and unknown, descriptors of any kind.
 */

#include <systemd/sd-bus.h>

#include "tests/fuzz/choices.h"

/* `vm` is the path of the VM that calls are about. Ends the program when there is no memory. */
sd_bus_message *call_choose(Choices *choices, sd_bus *bus, const char *destination, const char *vm);
