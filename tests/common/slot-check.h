/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What must be true of slots after each commit, however they are cut
 */

#include "lib/kvm/slots.h"

/*
 * NULL, or what is wrong: the slots are disjoint, cover exactly what extent_from_section() gives
 * for the sections of the view, with the same host addresses and flags, and the rest is trapped.
 */
const char *check_slots(const Slots *slots, const Accelerator *accelerator, const FlatView *view);
