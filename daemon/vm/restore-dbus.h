/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Restore: the VM of a process that is gone, served again
 *
 * recovery.h makes it. What cannot be made again is left to salvage-dbus.h, for as long as that
 * lasts: unless it is its files that are damaged, the reason may go, and it is tried again, after a
 * second, then after twice as long each time, up to a minute. When it has come back, or the reason
 * is another one, all connections end: whoever was told of what was left is to ask anew.
 */

typedef struct Service Service;

/* Before the service has connections. No VM and no salvage: there was none. -errno. */
int restore_vm(Service *service);
