/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The rules of KVM's buses, as a test of any accelerator
 */

#include <stdbool.h>

#include "lib/kvm/accelerator.h"

/* Tries all of them on a bus with nothing on it, and leaves it so. A failure ends the test. */
void assert_bus_rules(Accelerator *accelerator, bool ports);
