/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Documents: layouts and patches in JSON, guestmap-layout(5)
 *
 * A document is parsed strictly: unknown keys, wrong types, duplicate keys, duplicate names are
 * errors that name the key's path ("regions[3].size"). A patch is a list of edits. A layout says
 * what the map shall be; document_edits() works out the fewest edits that lead there from what the
 * map is.
 *
 *   {"guestmap": 1, "regions": […], "address-spaces": […]}     a layout; the latter may be left out
 *   {"guestmap": 1, "edits": [{VERB: {…}}, …]}                 a patch
 *
 * A region is an object of
 *   name, kind, size                   always; size of a ROM, too
 *   target, target-offset (0)          of an alias, and only there
 *   parent (not placed), offset (0), priority (0)
 *   enabled (true), readonly, nonvolatile, unmergeable, dirty-log (false)
 *   romd (true)                        of kind romd: direct-read mode
 *   backing ("fd"), fd-offset (0)      of memory that the caller passes in
 *   hugepage-size, prealloc (false),   of memory: how it is made (backing-spec.h)
 *   numa-node or numa-nodes, numa-policy ("bind"),
 *   dump (false)
 *   ioeventfds                         [{offset, length, match (false), data (0)}, …]
 *   coalesced                          [{offset, size}, …]
 *   handler                            {kind, value, min-width (1), max-width (8), unaligned
 *                                      (false)}
 * and an address space one of name and root. The verbs of a patch and what they take:
 *   add-region            name, kind, size, parent, offset, priority, backing, fd-offset, how
 *                         memory is made, and the flags above
 *   add-alias             name, target, target-offset, size, parent, offset, priority, flags
 *   remove-region         name
 *   enable-region         name, enabled
 *   move-region           name, parent ("": take out), offset (0), priority (0)
 *   set-region            name, properties: {size, offset, priority, target-offset, flags}; the
 *                         properties may stand beside the name as well
 *   add-address-space     name, root
 *   remove-address-space  name
 *   add-ioeventfd, remove-ioeventfd   region, offset, length, match (false), data (0)
 *   add-coalesced         region, offset, size
 *   clear-coalesced       region
 *   set-handler           region, handler, value, min-width (1), max-width (8), unaligned (false)
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/vm/edit-list.h"
#include "daemon/vm/named-fds.h"
#include "daemon/vm/prealloc.h"
#include "daemon/vm/vm.h"
#include "lib/util/cancel.h"
#include "lib/util/detail.h"

typedef struct Document Document;

/* VM_E_INVALID_DOCUMENT, MAP_E_TOO_LARGE (bytes, depth: says which), MAP_E_INVALID_KIND,
 * MAP_E_INVALID_NAME, and of a layout MAP_E_NO_SUCH_REGION (a parent, target or root). */
int document_parse(Document **ret, const char *text, size_t length, const VMLimits *limits,
                   Detail *detail);
/*
 * The same from a file, of which the descriptor's position does not matter: a regular one or a
 * memfd, no larger than the limits say. The text is read into memory of our own, so
 * that nobody can change or cut it under the parser, and given back as it is parsed. Beside the
 * above MAP_E_QUOTA_EXCEEDED (more regions or edits than the limits), VM_E_INVALID_ARGUMENTS
 * (nothing to read a document from); -ECANCELED.
 */
int document_read(Document **ret, int fd, const VMLimits *limits, const Cancel *cancel,
                  Detail *detail);
Document *document_free(Document *document);
DEFINE_CLEANUP(Document *, document_free);

/*
 * Whether it is a patch ("edits") rather than a layout ("regions"). When an edit of a patch fails,
 * its number says where; those of a layout nobody has seen, and the detail names the region anyway.
 */
bool document_is_patch(const Document *document);

/*
 * The edits that the document asks for, in an order in which they can be made on the map as it is
 * now (the tree, with whatever is checked out). Edits are equipped with what they need from the
 * host: backings, those that were made for it before in `prealloc`, or NULL, and eventfds. For a
 * layout: identity is the name; RAM of the same name and kind keeps
 * its backing (a size beyond it is refused); what the document lacks is removed; of each (parent,
 * priority) group the fewest regions are re-placed. Any MapError or VMError that can be told before
 * an edit is made.
 */
int document_edits(const Document *document, VM *vm, const NamedFDs *fds, Prealloc *prealloc,
                   EditList *edits, Detail *detail);

/*
 * The bytes of RAM whose contents are lost once the edits, not made yet, are committed. Unless NULL
 * *ret_region is the first region that loses any, by its name in the edits; unchanged if none does.
 */
uint64_t edits_bytes_discarded(const EditList *edits, const Map *map, const char **ret_region);
