/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What document-parse.c fills and document.c uses
 */

#include "daemon/vm/document.h"
#include "daemon/vm/layout.h"

struct Document {
        bool is_patch;
        EditList edits; /* of a patch */
        Layout layout;  /* of a layout */
};
