/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How a VM comes back
 *
 * The connection to its process has ended. Mostly the process has, and another takes its place with
 * what the first one stored: systemd runs it, or guestmapd does (spawn.h). Or the connection alone
 * was lost. Or it was guestmapd that ended, and has started again. It is one way in all cases:
 *
 *   look ─▶ connect ─▶ who are you? ─▶ (offer) ─▶ what are your properties? ─▶ LIVING
 *    ▲──────────┴─────────────┴───────────┴───────────────────┘ after a while
 *
 * Meanwhile the VM's State is "recovering", and calls are held (held-dbus.h). There is no limit to
 * how often it is tried: it ends when systemd says that the unit has ended. A process that cannot
 * make the VM again says so when it is asked who it is, and stays for the memory that it has: the
 * VM is CRASHED then, and when that process is gone it is tried again.
 *
 * I1: what comes back has the ID of what was lost. A process that says otherwise is not its.
 */

#include "daemon/manager/vm.h"

/*
 * Finds what an earlier guestmapd left: processes by their sockets, and durable VMs. From then on
 * those that were stopped are found when they run again.
 */
int recovery_find(Manager *manager);

/* A process that served the VM hung up; a process has ended. */
void recovery_link_closed(VM *vm);
void recovery_process_ended(void *vm, const char *how);

/* Gives it a link to whatever listens at its socket. */
int recovery_connect(VM *vm);
