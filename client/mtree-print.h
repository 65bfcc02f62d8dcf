/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A map as QEMU 7.2 prints it for "info mtree" and "info mtree -f", to the byte
 *
 * What differs: the order of trees and views, which in QEMU is that of a hash table, is here the
 * layout's, and so is that of spaces in a view; what is appended for an accelerator (KVM), by -d
 * and by -o is not printed. A number that import-mtree has put behind a name is left out, and the
 * space "io" is called "I/O".
 */

#include <json-c/json.h>

#include "client/view.h"

/* With `disabled` as for "info mtree -D". */
void mtree_print_tree(const Output *output, json_object *layout, bool disabled);
/*
 * The views of the layout's spaces, in its order; `wanted` is a space if only its view is. Fails if
 * there is no such space.
 */
int mtree_print_flat(const Output *output, json_object *layout, const Sections *views,
                     const char *wanted);
