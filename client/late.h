/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Late answers: whoever waits for a VM that hangs is told so
 *
 * A process that was stopped never answers. Once in a run, when a call or the question for a
 * property has taken some seconds, it is said on stderr which VM is waited for: by the thread of a
 * timer, since a signal would end sd_bus_call(). Not of calls that make memory, which may take
 * minutes: they have a bar; but a question goes before them.
 */

/* A call to that object is under way; of those to guestmapd itself nothing is said. */
void late_begin(const char *path);
void late_end(void);
