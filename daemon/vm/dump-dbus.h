/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * VM.Dump: reports written beside the loop
 *
 * A million sections are a tenth of a second of writing. A dump of views works on the snapshot that
 * was published when it was asked for, on a thread; commits and other calls go on meanwhile. A dump
 * of slots, of which there are few, is made at once.
 *
 * A DumpCall is answered exactly once, or not at all when its caller has gone.
 */

#include <systemd/sd-bus.h>

typedef struct DumpCall DumpCall;
typedef struct Service Service;

enum {
        DUMPS_MAX = 32,     /* being made for one VM */
        DUMPS_RESERVED = 8, /* of these only for its owner and root */
        DUMPS_USER_MAX = 4, /* of any other uid */
};

/* The method; userdata is the Service. */
int method_dump(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* `caller` left; NULL: everybody, with the connection. */
void dumps_drop(Service *service, const char *caller);
