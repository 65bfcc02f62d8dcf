/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * dax devices: memory of the host's, persistent for the most part, as a character device
 *
 * What stat() tells of one is its number; the rest is in sysfs.
 *
 * Source: /sys/dev/char; /sys/bus/dax.
 */

#include <stdint.h>
#include <sys/types.h>

typedef struct DAXDevice DAXDevice;

struct DAXDevice {
        uint64_t size;  /* in bytes */
        uint64_t align; /* what offset and size of a mapping are multiples of, a power of two */
};

/* `root` goes before /sys: "" but in tests. -ENODEV: no dax device; -EINVAL: no sense in sysfs. */
int dax_device_read(DAXDevice *ret, const char *root, dev_t number);
