/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/vm/converge.h"
#include "daemon/vm/document-internal.h"
#include "daemon/vm/equip.h"

Document *document_free(Document *document) {
        if (!document)
                return NULL;
        edit_list_deinit(&document->edits);
        layout_deinit(&document->layout);
        free(document);
        return NULL;
}

bool document_is_patch(const Document *document) {
        return document->is_patch;
}

static int check_count(const char *what, const char *quota, size_t n, uint64_t limit,
                       Detail *detail) {
        if (n <= limit)
                return 0;
        return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                          "the document has more than %" PRIu64 " %s, the limit %s", limit, what,
                          quota);
}

int document_check_size(const Document *document, const MapLimits *limits, Detail *detail) {
        int r;

        r = check_count("regions", "Regions", document->layout.n_regions, limits->regions, detail);
        return r ? r : check_count("edits", "Edits", document->edits.n, limits->edits, detail);
}

static int copy_edits(const EditList *from, EditList *to) {
        Edit *copy;
        int r = 0;

        for (size_t i = 0; r == 0 && i < from->n; i++)
                r = edit_list_add_copy(to, &from->items[i], &copy);
        return r;
}

static int equip_edit(VM *vm, Edit *edit, const NamedFDs *fds, Detail *detail) {
        int fd = edit->passed && fds ? named_fds_find(fds, edit->name) : -1;

        if (edit->verb == EDIT_SET_HANDLER && !edit->handler)
                return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                  "region \"%s\": it has no handler on a socket, which SetHandler "
                                  "passes in",
                                  edit->name);
        if (!edit->passed || edit->backing)
                return vm_equip_edit(vm, edit, detail);
        if (fd < 0)
                return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                  "region \"%s\": its memory is to be passed in, and option "
                                  "\"fds\" has none for it",
                                  edit->name);
        return vm_equip_passed(vm, edit, fd, edit->fd_offset, detail);
}

static int equip(VM *vm, EditList *edits, size_t first, const NamedFDs *fds, Prealloc *prealloc,
                 Detail *detail) {
        for (size_t i = edits->n; prealloc && i-- > first;)
                prealloc_give(prealloc, &edits->items[i]);
        for (size_t i = first; i < edits->n; i++) {
                int r = equip_edit(vm, &edits->items[i], fds, detail);

                if (r > 0 && edits->numbered)
                        detail_prefix(detail, "edit %zu: ", i - first + 1);
                if (r != 0)
                        return r;
        }
        return 0;
}

/* Whether the document has a region of that name whose memory is to be passed in. */
static bool takes_fd(const Document *document, const char *name) {
        const LayoutRegion *region = layout_find(&document->layout, name);

        for (size_t i = 0; i < document->edits.n; i++)
                if (document->edits.items[i].passed &&
                    strcmp(document->edits.items[i].name, name) == 0)
                        return true;
        return region && region->add.passed;
}

static int check_fds(const Document *document, const NamedFDs *fds, Detail *detail) {
        for (size_t i = 0; fds && i < fds->n; i++)
                if (!takes_fd(document, fds->items[i].name))
                        return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                          "option \"fds\": the document has no region \"%.128s\" "
                                          "with \"backing\": \"fd\"",
                                          fds->items[i].name);
        return 0;
}

int document_edits(const Document *document, VM *vm, const NamedFDs *fds, Prealloc *prealloc,
                   EditList *edits, Detail *detail) {
        size_t first = edits->n;
        int r;

        r = document_check_size(document, &vm->map->limits, detail);
        if (r == 0)
                r = check_fds(document, fds, detail);
        if (r)
                return r;
        edits->numbered = document->is_patch;
        r = document->is_patch ? copy_edits(&document->edits, edits)
                               : converge(&document->layout, vm->map, edits, detail);
        return r ? r : equip(vm, edits, first, fds, prealloc, detail);
}

uint64_t edits_bytes_discarded(const EditList *edits, const Map *map, const char **ret_region) {
        uint64_t bytes = 0;

        for (size_t i = 0; i < edits->n; i++) {
                const Region *region = NULL;

                if (edits->items[i].verb == EDIT_REMOVE_REGION)
                        region = map_find_region(map, edits->items[i].name);
                if (!region || !region->backing)
                        continue;
                if (bytes == 0 && ret_region)
                        *ret_region = edits->items[i].name;
                bytes += region->backing->size;
        }
        return bytes;
}
