/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/memory/dax-device.h"
#include "lib/util/cleanup.h"

typedef struct Path {
        char text[PATH_MAX];
} Path;

static Path attribute(const char *root, dev_t number, const char *name) {
        Path path;

        snprintf(path.text, sizeof(path.text), "%s/sys/dev/char/%u:%u/%s", root, major(number),
                 minor(number), name);
        return path;
}

/* A link to /sys/bus/dax. */
static bool is_dax(const char *root, dev_t number) {
        char target[PATH_MAX];
        ssize_t n = readlink(attribute(root, number, "subsystem").text, target, sizeof(target) - 1);
        const char *slash;

        if (n < 0)
                return false;
        target[n] = '\0';
        slash = strrchr(target, '/');
        return slash && strcmp(slash, "/dax") == 0;
}

static int read_number(const char *root, dev_t number, const char *name, uint64_t *ret) {
        _cleanup_(fclosep) FILE *file = fopen(attribute(root, number, name).text, "re");

        return file && fscanf(file, "%" SCNu64, ret) == 1 ? 0 : -EINVAL;
}

int dax_device_read(DAXDevice *ret, const char *root, dev_t number) {
        DAXDevice device;
        int r;

        if (!is_dax(root, number))
                return -ENODEV;
        r = read_number(root, number, "size", &device.size);
        if (r == 0)
                r = read_number(root, number, "align", &device.align);
        if (r < 0)
                return r;
        if (device.align == 0 || device.align & (device.align - 1))
                return -EINVAL;
        *ret = device;
        return 0;
}
