/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a method asks for: a right, and arguments
 *
 * One table for the whole contract, so that no object and no VM process decides for itself, and
 * nothing is passed on that would be refused for its types. What a caller has of these rights is
 * auth.h's.
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
        uint32_t right;        /* GUESTMAP_RIGHT_* */
};

extern const MethodRight method_rights[];
extern const size_t n_method_rights;

/*
 * What a call of the method needs. A call that names no interface needs what any method of that
 * name does; a method that is in no interface of the contract needs everything.
 */
uint32_t rights_needed(const char *interface, const char *member);

/* Whether the method takes such arguments. One that is not in the contract takes any. */
bool rights_take(const char *interface, const char *member, const char *signature);

/* What somebody without the rights is told: "change", "destroy", … */
const char *rights_verb(uint32_t needed);
