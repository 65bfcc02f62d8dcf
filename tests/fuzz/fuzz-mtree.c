/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * QEMU's dumps: any text is refused with a line and a reason, or is regions of which each has a
 * name of its own, stands behind its parent, and is placed or shown as a layout can say it
 *
 * Input: a tree, and, behind a line "----", a flat dump.
 */

#include <stdlib.h>
#include <string.h>

#include "client/json-print.h"
#include "client/mtree-import.h"
#include "tests/fuzz/choices.h"

static int compare_names(const void *a, const void *b) {
        return strcmp((*(MtreeRegion *const *)a)->name, (*(MtreeRegion *const *)b)->name);
}

static void check_region(const MtreeRegion *region) {
        size_t length = strlen(region->name);

        if (length == 0 || length > MTREE_NAME_MAX || region->same != region)
                abort();
        if (region->parent && !region->parent->name)
                abort();
        if (region->line->target && (!region->target || !region->target->name))
                abort();
}

static void check_import(MtreeImport *import) {
        _cleanup_(json_putp) json_object *layout = mtree_import_layout(import);

        if (json_object_array_length(json_object_object_get(layout, "regions")) != import->n_order)
                abort();
        for (size_t i = 0; i < import->n_order; i++)
                check_region(import->order[i]);
        qsort(import->order, import->n_order, sizeof(*import->order), compare_names);
        for (size_t i = 1; i < import->n_order; i++)
                if (strcmp(import->order[i - 1]->name, import->order[i]->name) == 0)
                        abort();
        for (size_t i = 0; i < import->tree.n_spaces; i++)
                if (!import->space_names[i])
                        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(freep) char *text = strndup((const char *)data, size);
        char *flat = strstr(text, "\n----\n");
        MtreeError error = {};
        MtreeImport import;
        bool in_flat;
        int r;

        if (flat) {
                *flat = '\0';
                flat += strlen("\n----\n");
        }
        r = mtree_import(&import, text, flat, &error, &in_flat);
        if (r < 0 && !error.text[0])
                abort();
        if (r >= 0)
                check_import(&import);
        mtree_import_deinit(&import);
        return 0;
}
