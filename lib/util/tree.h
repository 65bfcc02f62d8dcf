/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Red-black trees: libbsd's macros
 *
 * The *_STATIC variants expect a system header to define __unused; glibc's do not. A tree whose
 * nodes sum up their subtrees redefines RB_AUGMENT before RB_GENERATE (see region.c).
 *
 * Source: tree(3bsd).
 */

#include <bsd/sys/tree.h>

#ifndef __unused
#define __unused __attribute__((__unused__))
#endif
