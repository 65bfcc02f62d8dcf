/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <sys/eventfd.h>

#include "daemon/vm/converge.h"
#include "daemon/vm/document-internal.h"

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

static int check_regions(const Document *document, const Map *map, Detail *detail) {
        if (document->layout.n_regions <= map->limits.regions)
                return 0;
        return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                          "the document has %zu regions, the limit is %" PRIu64,
                          document->layout.n_regions, map->limits.regions);
}

static int copy_edits(const EditList *from, EditList *to) {
        Edit *copy;
        int r = 0;

        for (size_t i = 0; r == 0 && i < from->n; i++)
                r = edit_list_add_copy(to, &from->items[i], &copy);
        return r;
}

/* Documents give an ioeventfd without a descriptor; the map gets one that has its own. */
static int equip_ioeventfd(Edit *edit) {
        const IOEventFD *key = edit->ioeventfd;
        _cleanup_(closep) int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        IOEventFD *equipped;
        int r;

        if (fd < 0)
                return -errno;
        r = ioeventfd_new(&equipped, key->offset, key->length, key->match, key->data, fd);
        if (r < 0)
                return r;
        TAKE_FD(fd);
        ioeventfd_unref(edit->ioeventfd);
        edit->ioeventfd = equipped;
        return 0;
}

static int equip(VM *vm, EditList *edits, size_t first, Detail *detail) {
        int r = 0;

        for (size_t i = first; r == 0 && i < edits->n; i++) {
                Edit *edit = &edits->items[i];

                if (edit->verb == EDIT_ADD_IOEVENTFD)
                        r = equip_ioeventfd(edit);
                else
                        r = vm_equip_edit(vm, edit, detail);
        }
        return r;
}

int document_edits(const Document *document, VM *vm, EditList *edits, Detail *detail) {
        size_t first = edits->n;
        int r;

        if (document->is_patch) {
                r = copy_edits(&document->edits, edits);
        } else {
                r = check_regions(document, vm->map, detail);
                if (r == 0)
                        r = converge(&document->layout, vm->map, edits, detail);
        }
        return r ? r : equip(vm, edits, first, detail);
}

uint64_t edits_bytes_discarded(const EditList *edits, const Map *map) {
        uint64_t bytes = 0;

        for (size_t i = 0; i < edits->n; i++) {
                const Region *region = NULL;

                if (edits->items[i].verb == EDIT_REMOVE_REGION)
                        region = map_find_region(map, edits->items[i].name);
                if (region && region->backing)
                        bytes += region->backing->size;
        }
        return bytes;
}
