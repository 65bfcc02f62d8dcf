/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a method asks for: a right, and arguments
 *
 * One table for the whole contract, so that no object decides for itself, and nothing is passed on
 * that would be refused for its types. guestmapd asks it for calls that come over the bus, a VM's
 * process for those on connections of its own.
 *
 * A right is a class of methods, and an action of polkit's.
 *
 * I1: methods of one name need the same right, so that a call need not name its interface.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/private.h"

typedef struct MethodRight MethodRight;

struct MethodRight {
        const char *interface;
        const char *member;
        const char *signature; /* of its arguments */
        uint32_t right;        /* one of GUESTMAP_RIGHT_* */
};

extern const MethodRight method_rights[];
extern const size_t n_method_rights;

/*
 * The one right that a method needs. One that is in no interface of the contract needs
 * GUESTMAP_RIGHT_ADMIN.
 */
uint32_t method_right(const char *interface, const char *member);

/*
 * The same for a call on an object. A transaction needs GUESTMAP_RIGHT_MODIFY when it begins and
 * none afterwards: whose it is the VM's process knows, and shows it to nobody else.
 */
uint32_t call_right(const char *path, const char *interface, const char *member);

/* Whether the method takes such arguments. One that is not in the contract takes any. */
bool rights_take(const char *interface, const char *member, const char *signature);

/* For one right: what polkit calls it; and what somebody without it may not do to a VM. */
const char *right_action(uint32_t right);
const char *right_verb(uint32_t right);
