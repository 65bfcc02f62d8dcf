/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Late answers: whoever waits for a VM that hangs is told so
 *
 * A call may take minutes, to make memory or for a large document, and a process that was stopped
 * never answers. Once in a run, when a call has taken some seconds, it is said on stderr which VM
 * is waited for: by the thread of a timer, since a signal would end sd_bus_call().
 */

/* A call to that object is under way; of those to guestmapd itself nothing is said. */
void late_begin(const char *path);
void late_end(void);
