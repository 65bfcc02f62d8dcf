/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Named outcomes of guestmap-vmd beside those of the map
 */

#include "lib/memory/map-error.h"

typedef enum VMError VMError;

enum VMError {
        VM_E_INVALID_DOCUMENT = MAP_E_N,
        VM_E_INVALID_ARGUMENTS, /* org.freedesktop.DBus.Error.InvalidArgs */
        VM_E_ACCESS_DENIED,     /* org.freedesktop.DBus.Error.AccessDenied */
        VM_E_TRANSACTION_CLOSED,
        VM_E_UNASSIGNED,
        VM_E_NOT_SUPPORTED,
        VM_E_NO_SUCH_VCPU,
        VM_E_NO_SPACE, /* for what is to outlive the process */
        VM_E_CANCELLED,
        VM_E_UNPREPARED, /* not an error: memory has to be populated first */
        VM_E_DAMAGED,    /* a file of our own; no caller gets to see it */
        VM_E_N,
};
