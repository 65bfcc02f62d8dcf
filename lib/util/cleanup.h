/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Scoped ownership
 *
 * A local that owns something is declared with _cleanup_(); giving the thing away is TAKE_PTR() or
 * TAKE_FD(). Constructors fill such a local and hand it out at their end, so that every early
 * return frees what was half built.
 *
 * Source: this project.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(function)     __attribute__((cleanup(function)))
#define _unused_                __attribute__((unused))
#define _printf_(string, first) __attribute__((__format__(__printf__, string, first)))
#define _pure_                  __attribute__((pure))

#define ELEMENTS_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MIN_OF(a, b)       ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b)       ((a) > (b) ? (a) : (b))

#define TAKE_PTR(pointer)                                                                          \
        ({                                                                                         \
                typeof(pointer) taken_ = (pointer);                                                \
                (pointer) = NULL;                                                                  \
                taken_;                                                                            \
        })

#define TAKE_FD(fd)                                                                                \
        ({                                                                                         \
                int taken_ = (fd);                                                                 \
                (fd) = -1;                                                                         \
                taken_;                                                                            \
        })

/* The value of an lvalue of struct type, which is all zero afterwards. */
#define TAKE_STRUCT(lvalue)                                                                        \
        ({                                                                                         \
                typeof(lvalue) taken_ = (lvalue);                                                  \
                (lvalue) = (typeof(lvalue)){};                                                     \
                taken_;                                                                            \
        })

/* DEFINE_CLEANUP(Thing *, thing_free) makes _cleanup_(thing_freep) of a destructor. */
#define DEFINE_CLEANUP(type, function)                                                             \
        static inline void function##p(type *pointer) {                                            \
                if (*pointer)                                                                      \
                        function(*pointer);                                                        \
        }                                                                                          \
        struct cleanup_semicolon_

static inline void freep(void *pointer) {
        free(*(void **)pointer);
}

/* Closes a descriptor unless it is negative; keeps errno. Returns -1, to be assigned back. */
static inline int safe_close(int fd) {
        if (fd >= 0) {
                int saved = errno;

                close(fd);
                errno = saved;
        }
        return -1;
}

static inline void closep(int *fd) {
        safe_close(*fd);
}

static inline void fclosep(FILE **file) {
        if (*file)
                fclose(*file);
}
