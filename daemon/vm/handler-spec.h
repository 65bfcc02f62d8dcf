/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Handlers in words: how callers and documents say who shall answer a region's trapped accesses
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/memory/handler.h"
#include "lib/util/detail.h"

typedef struct HandlerSpec HandlerSpec;

struct HandlerSpec {
        const char *kind;
        uint64_t value;
        uint32_t has_value;
        uint32_t min_width; /* bytes */
        uint32_t max_width;
        bool unaligned;

        int fd; /* of a socket, borrowed */
        uint32_t has_fd;
        uint64_t timeout_usec; /* these three of a socket as well, and which of them were given */
        uint64_t user_data;
        bool posted_writes;
        uint32_t socket_options;
};

/* Bits of socket_options. */
enum {
        HANDLER_TIMEOUT_USEC = 1 << 0,
        HANDLER_USER_DATA = 1 << 1,
        HANDLER_POSTED_WRITES = 1 << 2,
};

/* Of which nothing was said. */
#define HANDLER_SPEC_USUAL ((HandlerSpec){.min_width = 1, .max_width = 8, .timeout_usec = 1000000})

/*
 * For a region of that name. VM_E_INVALID_ARGUMENTS: there is no such kind, width, value, or the
 * descriptor will not do. -errno.
 */
int handler_from_spec(Handler **ret, const HandlerSpec *spec, const char *region, Detail *detail);
