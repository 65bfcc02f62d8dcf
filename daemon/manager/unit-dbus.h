/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The units of a VM
 *
 * As a service guestmapd starts no processes itself: they would end with its control group. A VM is
 * guestmap-vm@INSTANCE.socket, which guestmapd starts and connects to at RUNTIME_DIR/INSTANCE, and
 * guestmap-vm@INSTANCE.service, which that brings up. To end a VM both are stopped.
 */

#include <limits.h>

#include "daemon/manager/vm.h"

enum {
        UNIT_NAME_MAX = 64,
        UNIT_CALLS_MAX = 32, /* asked at a time; more wait in line */
};

void unit_name(const VM *vm, const char *type, char unit[static UNIT_NAME_MAX]);

/* `result` is systemd's word for how the job went, "done" if well. Called once. */
typedef void (*UnitDone)(VM *vm, const char *result);

/* Where its service has its journal. */
void unit_directory(const VM *vm, char path[static PATH_MAX]);

/*
 * Starts its service, with the MemoryMax= that is in force now, and with it the socket: not that
 * alone, since of a service that a connection starts nobody would tell that it cannot. The VM must
 * stay until `done` was called. On failure it is not called.
 */
int unit_start(VM *vm, UnitDone done);
int unit_stop(VM *vm, const char *type, UnitDone done);

/*
 * What has become of its service: "active", "inactive", "failed", or another word while that is to
 * change, or can't be known now.
 */
int unit_look(VM *vm, UnitDone looked);

/* Why its service has failed, as unit-result-dbus.h has it; "failed": who knows. */
int unit_ask_result(VM *vm, UnitDone told);

/* Stops a unit; nobody is told how that went. */
void unit_drop(VM *vm, const char *type);

/* Of no job or look for the VM will be told. */
void unit_cancel(VM *vm);
/* The same of all VMs, before they go. What stands in line is not asked any more. */
void units_cancel(Manager *manager);

/* A service that has failed is shown by systemd as such, and can't be cleaned, until then. */
int unit_forget(VM *vm, UnitDone done);

/*
 * Has what a service that is stopped keeps in its state directory removed. When that is done it is
 * under way, and the service does not start before its end.
 */
int unit_clean(VM *vm, UnitDone done);

/* Hears on the manager's bus of jobs that have ended. */
int units_register(Manager *manager);

/* The bus is gone, and with it the news of all jobs under way. */
void units_clear(Manager *manager);
