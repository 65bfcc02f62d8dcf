/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * VM.Dump and VM.GetLayout: reports written beside the loop
 *
 * A million sections are a tenth of a second of writing. A dump of views works on the snapshot that
 * was published when it was asked for, on a thread; commits and other calls go on meanwhile. One of
 * a large tree borrows the tree. Slots, of which there are few, are written in their place.
 *
 * A DumpCall is answered exactly once, or not at all when its caller has gone.
 */

#include <stdbool.h>
#include <systemd/sd-bus.h>

typedef struct DumpCall DumpCall;
typedef struct Service Service;

enum {
        DUMPS_MAX = 32,     /* being made for one VM */
        DUMPS_RESERVED = 8, /* of these only for its owner and root */
        DUMPS_USER_MAX = 2, /* of any other uid */
};

/* Methods; userdata is the Service. */
int method_dump(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_get_layout(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* Whether a dump of that needs the tree of regions. */
bool dump_needs_tree(const char *what);
/* `caller` left; NULL: everybody, with the connection. */
void dumps_drop(Service *service, const char *caller);
