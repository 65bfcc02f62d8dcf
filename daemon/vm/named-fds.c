/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "daemon/vm/named-fds.h"

/* As many as a message carries: a few, at most 16 on most buses. */
int named_fds_find(const NamedFDs *fds, const char *name) {
        for (size_t i = 0; i < fds->n; i++)
                if (strcmp(fds->items[i].name, name) == 0)
                        return fds->items[i].fd;
        return -1;
}
