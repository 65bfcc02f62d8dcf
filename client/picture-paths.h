/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Claims: all that could be seen of a tree if nothing hid anything
 */

#include "client/picture.h"

typedef struct Claim Claim;

struct Claim {
        Layer layer;
        size_t order; /* the lower, the higher up */
};

/* Fills paths and `partial` of the picture. *ret is from malloc(), by address. Returns how many. */
size_t picture_claims(Picture *picture, const RegionNode *root, Claim **ret);
