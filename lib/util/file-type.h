/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What kind of file it is, by its mode, in words for who has passed a descriptor of another one
 *
 * Source: inode(7).
 */

#include <sys/stat.h>

static inline const char *file_type_words(mode_t mode) {
        switch (mode & S_IFMT) {
        case S_IFREG:
                return "a regular file";
        case S_IFIFO:
                return "a pipe";
        case S_IFSOCK:
                return "a socket";
        case S_IFDIR:
                return "a directory";
        case S_IFCHR:
                return "a character device";
        case S_IFBLK:
                return "a block device";
        default:
                return "something else";
        }
}
