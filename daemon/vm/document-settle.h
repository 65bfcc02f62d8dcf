/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What an object of a document means as an edit, once all its keys have been read
 *
 * VM_E_INVALID_DOCUMENT with the object's path, -ENOMEM.
 */

#include "daemon/vm/document-field.h"

/* Of a region or alias: flags that were not given, a place without a parent. */
int settle_new(Edit *edit, const JSONPath *path, Detail *detail);
/* Of a region: where its memory comes from, besides. */
int settle_new_region(Entry *entry, const JSONPath *path, Detail *detail);
int settle_move(Edit *edit, const JSONPath *path, Detail *detail);
/* Makes the ioeventfd, without a descriptor yet. */
int settle_ioeventfd(Entry *entry, const JSONPath *path, Detail *detail);
int settle_handler(Entry *entry, const JSONPath *path, Detail *detail);
