/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Named outcomes of lib/memory and of its listeners
 *
 * One per error name of the D-Bus contract that the map itself can give. Functions that return one
 * of these fill their Detail with the object, the value and the limit. -errno is for the
 * unforeseen only, above all -ENOMEM.
 *
 * Source: this project.
 */

typedef enum MapError MapError;

enum MapError {
        MAP_E_NO_SUCH_REGION = 1,
        MAP_E_REGION_EXISTS,
        MAP_E_NO_SUCH_ADDRESS_SPACE,
        MAP_E_ADDRESS_SPACE_EXISTS,
        MAP_E_INVALID_NAME,
        MAP_E_INVALID_RANGE,
        MAP_E_INVALID_KIND,
        MAP_E_INVALID_ARGUMENT,
        MAP_E_WOULD_LOOP,
        MAP_E_IN_USE,
        MAP_E_NO_SLOTS,
        MAP_E_NO_MEMORY,
        MAP_E_KVM,
        MAP_E_CONFLICT,
        MAP_E_QUOTA_EXCEEDED,
        MAP_E_TOO_LARGE,
        MAP_E_IOEVENTFD_EXISTS,
        MAP_E_NO_SUCH_IOEVENTFD,
        MAP_E_NO_FREE_RANGE,
        MAP_E_N, /* outcomes of other layers start here */
};
