/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Descriptors that callers pass in, as a guest's memory or as a doorbell
 *
 * Memory is a regular file, of memory or on a disk, or a dax device (dax-device.h). What is mapped
 * may go all the same: a file can be cut off, and its file system be full when a page is touched
 * first. To a guest this is an error of KVM's, to a process that loads or stores a SIGBUS. So only
 * what is sealed against shrinking, which are memfds, is touched (backing.h). Huge pages are
 * reserved when the file is mapped.
 *
 * Who else may open the file again, and how, is up to its mode, and that to whoever made it.
 *
 * What is rung is an eventfd. KVM says so only where the doorbell is announced, which may be at a
 * later commit, of somebody else.
 *
 * Source: memfd_create(2); fcntl(2); eventfd(2).
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/util/detail.h"

typedef struct PassedFD PassedFD;

struct PassedFD {
        int fd;           /* borrowed */
        uint64_t offset;  /* where the memory begins in the file */
        const char *root; /* in front of /sys; NULL: nothing, but in tests */

        /* From passed_fd_check(): */
        uint64_t size;  /* bytes of the file */
        uint64_t page;  /* what offset and mapping are multiples of */
        bool sealed;    /* against shrinking */
        bool in_memory; /* its pages are host memory, and nothing else: tmpfs or hugetlbfs */
};

/*
 * Whether `size` bytes from the offset on are fit to be the memory of region `name`.
 * MAP_E_INVALID_ARGUMENT: not such a file, not such a descriptor. MAP_E_INVALID_RANGE: offset or
 * size. A backing's size rules (backing.h) have been checked before.
 */
int passed_fd_check(PassedFD *passed, const char *name, uint64_t size, Detail *detail);

/* Whether it is an eventfd, for an ioeventfd of region `name`. MAP_E_INVALID_ARGUMENT; -errno. */
int passed_eventfd_check(int fd, const char *name, Detail *detail);
