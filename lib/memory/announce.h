/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Announcing: the ioeventfds and coalesced zones of a device, where the device is seen
 *
 * An ioeventfd is announced where it lies wholly inside one section, a zone as far as it does.
 *
 * Source: QEMU's memory_region_add_eventfd(), memory_region_add_coalescing().
 */

#include "lib/memory/sections.h"

/* Appends what `n` sections announce that begins in the window, ascending if they do. -ENOMEM. */
int announce_sections(const Section *sections, size_t n, Range window, AnnouncedList *announced);
