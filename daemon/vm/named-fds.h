/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Descriptors by the names of the regions whose memory they are: the option `fds` of a document
 */

#include <stddef.h>

#include "lib/util/array.h"

typedef struct NamedFD NamedFD;
typedef struct NamedFDs NamedFDs;

/* Both are borrowed from the message that they came in. */
struct NamedFD {
        const char *name;
        int fd;
};

struct NamedFDs {
        NamedFD *items;
        size_t n;
        size_t allocated;
};

/* -1: there is none of that name. */
int named_fds_find(const NamedFDs *fds, const char *name);

static inline void named_fds_deinit(NamedFDs *fds) {
        free(fds->items);
        *fds = (NamedFDs){};
}
