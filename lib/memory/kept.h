/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Kept: that somebody else holds an object's descriptor, too
 *
 * Memory, doorbells and sockets are nothing without their descriptors. Whoever embeds the library
 * may have them kept elsewhere, to find them again by number when the process is gone. An object
 * with a descriptor has a place for that; when the object goes, so does its share of the keeping.
 *
 * Source: this project.
 */

#include <stddef.h>
#include <stdint.h>

typedef struct Kept Kept;

struct Kept {
        uint64_t number; /* of the name under which it is kept */
        /* An object that had it kept is gone. Any thread. */
        void (*leave)(Kept *kept);
};

static inline void kept_leave(Kept *kept) {
        if (kept)
                kept->leave(kept);
}
