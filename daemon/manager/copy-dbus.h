/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Copying what a message says into another one
 *
 * sd_bus_message_copy() looks at every value as if it could be anything. Large replies are lists of
 * rows, a(ttstsu) and the like, each of which is what the one before was: these are read and
 * appended by their signature, which takes a fifth less. In a forwarded reply of 10,000 sections
 * copying is more than half of all work there is. A guest's memory is an array of bytes, which is
 * copied as one piece.
 */

#include <systemd/sd-bus.h>

/* Appends all that is in `from`, which is sealed, from where it has been read to. */
int message_copy(sd_bus_message *to, sd_bus_message *from);
