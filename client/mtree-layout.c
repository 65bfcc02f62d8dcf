/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What was imported, as documents: the layout, and what is not known of it
 */

#include <string.h>

#include "client/json-print.h"
#include "client/mtree-import.h"
#include "lib/util/range.h"

static void add_size(json_object *object, const MtreeRegion *region) {
        uint64_t less_one = region->line->last - region->line->first;

        json_add_size(object, "size", region->empty ? 0 : range_size((Range){0, less_one}));
}

static void add_place(json_object *object, const MtreeRegion *region) {
        if (!region->parent)
                return;
        json_add_text(object, "parent", region->parent->name);
        json_add_hex(object, "offset", mtree_line_offset(region->line));
        if (region->line->priority != 0)
                json_add_int(object, "priority", region->line->priority);
}

static json_object *region_json(const MtreeRegion *region) {
        const MtreeLine *line = region->line;
        json_object *object = json_new_object();

        json_add_text(object, "name", region->name);
        json_add_text(object, "kind", mtree_region_kind(region));
        add_size(object, region);
        if (line->target) {
                json_add_text(object, "target", region->target->name);
                json_add_hex(object, "target-offset", line->window);
        }
        add_place(object, region);
        if (!line->enabled || line->orphan)
                json_add_bool(object, "enabled", false);
        if (region->readonly)
                json_add_bool(object, "readonly", true);
        if (line->nonvolatile)
                json_add_bool(object, "nonvolatile", true);
        return object;
}

static json_object *space_json(const MtreeImport *import, size_t i) {
        const MtreeTree *tree = &import->tree;
        const MtreeLine *root = tree->blocks[tree->spaces[i].place].root;
        json_object *object = json_new_object();

        json_add_text(object, "name", import->space_names[i]);
        json_add_text(object, "root", import->regions[root - tree->lines].same->name);
        return object;
}

json_object *mtree_import_layout(const MtreeImport *import) {
        json_object *layout = json_new_object();
        json_object *regions = json_new_array(), *spaces = json_new_array();

        for (size_t i = 0; i < import->n_order; i++)
                json_append(regions, region_json(import->order[i]));
        for (size_t i = 0; i < import->tree.n_spaces; i++)
                json_append(spaces, space_json(import, i));
        json_add_int(layout, "guestmap", 1);
        json_add(layout, "regions", regions);
        json_add(layout, "address-spaces", spaces);
        return layout;
}
