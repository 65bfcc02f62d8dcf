/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>

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

static int check_count(const char *what, size_t n, uint64_t limit, Detail *detail) {
        if (n <= limit)
                return 0;
        return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                          "the document has more than %" PRIu64 " %s, the limit", limit, what);
}

int document_check_size(const Document *document, const MapLimits *limits, Detail *detail) {
        int r;

        r = check_count("regions", document->layout.n_regions, limits->regions, detail);
        return r ? r : check_count("edits", document->edits.n, limits->edits, detail);
}

static int copy_edits(const EditList *from, EditList *to) {
        Edit *copy;
        int r = 0;

        for (size_t i = 0; r == 0 && i < from->n; i++)
                r = edit_list_add_copy(to, &from->items[i], &copy);
        return r;
}

static int equip(VM *vm, EditList *edits, size_t first, bool numbered, Detail *detail) {
        for (size_t i = first; i < edits->n; i++) {
                int r = vm_equip_edit(vm, &edits->items[i], detail);

                if (r > 0 && numbered)
                        detail_prefix(detail, "edit %zu: ", i - first + 1);
                if (r != 0)
                        return r;
        }
        return 0;
}

int document_edits(const Document *document, VM *vm, EditList *edits, Detail *detail) {
        size_t first = edits->n;
        int r;

        r = document_check_size(document, &vm->map->limits, detail);
        if (r)
                return r;
        r = document->is_patch ? copy_edits(&document->edits, edits)
                               : converge(&document->layout, vm->map, edits, detail);
        return r ? r : equip(vm, edits, first, document->is_patch, detail);
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
