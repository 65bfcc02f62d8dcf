/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Copying a guest's memory into a file
 *
 * Not through messages but from descriptors of the memory itself, and without its holes: of a guest
 * that has touched little, little is read and written.
 */

#include <stdbool.h>
#include <stdint.h>

#include "client/client.h"
#include "lib/util/range.h"

typedef struct Sink Sink;

/* Where bytes go: a regular file gets holes for what is not there, anything else gets zeroes. */
struct Sink {
        const char *name; /* for messages */
        int fd;
        bool regular;
        bool made;  /* there was no such file before */
        bool begun; /* what was in the file before is gone */
};

/* Opens a file, which only its owner may read if it is new, or stdout for "-". */
int sink_open(Sink *sink, const char *path);
/* Ends the file where it was written to last. One that is new and was not written to goes. */
int sink_close(Sink *sink);
int sink_write(Sink *sink, const void *data, size_t n);

/*
 * Copies the range. -EOPNOTSUPP, with nothing printed and nothing copied, where descriptors do not
 * come through or the table of memory is too large for them.
 */
int memory_copy(Client *client, const char *vm_path, const char *space_path, Range range,
                Sink *sink);
