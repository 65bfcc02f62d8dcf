/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "daemon/vm/json-scan.h"
#include "daemon/vm/layout.h"
#include "daemon/vm/vm-error.h"
#include "lib/util/array.h"

int layout_add_region(Layout *layout, Edit *add, EditList *devices) {
        int r;

        r = array_reserve(&layout->regions, &layout->n_allocated, layout->n_regions, 1);
        if (r < 0) {
                edit_deinit(add);
                edit_list_deinit(devices);
        } else {
                layout->regions[layout->n_regions++] =
                        (LayoutRegion){.add = *add, .devices = *devices};
        }
        *add = (Edit){};
        *devices = (EditList){};
        return r;
}

/* By name; of equal names the one that stands first comes first. */
static int compare_names(const void *a, const void *b) {
        const LayoutRegion *left = *(LayoutRegion *const *)a, *right = *(LayoutRegion *const *)b;
        int order = strcmp(left->add.name, right->add.name);

        return order != 0 ? order : left < right ? -1 : 1;
}

static int compare_key(const void *name, const void *region) {
        return strcmp(name, (*(LayoutRegion *const *)region)->add.name);
}

LayoutRegion *layout_find(const Layout *layout, const char *name) {
        LayoutRegion **found = bsearch(name, layout->by_name, layout->n_regions,
                                       sizeof(*layout->by_name), compare_key);

        return found ? *found : NULL;
}

/* What is wrong with member `key` of number `index` of list `list`. */
static int layout_error(const char *list, size_t index, const char *key, int outcome,
                        Detail *detail, const char *what, const char *name) {
        JSONPath in = json_path_member(NULL, list), at = json_path_element(&in, index),
                 member = json_path_member(&at, key);

        return json_path_error(&member, outcome, detail, "%s \"%s\"", what, name);
}

static int index_regions(Layout *layout, Detail *detail) {
        layout->by_name = calloc(layout->n_regions + 1, sizeof(*layout->by_name));
        if (!layout->by_name)
                return -ENOMEM;
        for (size_t i = 0; i < layout->n_regions; i++)
                layout->by_name[i] = &layout->regions[i];
        qsort(layout->by_name, layout->n_regions, sizeof(*layout->by_name), compare_names);
        for (size_t i = 1; i < layout->n_regions; i++) {
                const LayoutRegion *region = layout->by_name[i];

                if (strcmp(layout->by_name[i - 1]->add.name, region->add.name) == 0)
                        return layout_error("regions", (size_t)(region - layout->regions), "name",
                                            VM_E_INVALID_DOCUMENT, detail, "a second region",
                                            region->add.name);
        }
        return 0;
}

static int resolve_name(const Layout *layout, const char *list, size_t index, const char *key,
                        const char *name, LayoutRegion **ret, Detail *detail) {
        if (!name)
                return 0;
        *ret = layout_find(layout, name);
        if (!*ret)
                return layout_error(list, index, key, MAP_E_NO_SUCH_REGION, detail,
                                    "the document has no region", name);
        return 0;
}

static int resolve_region(const Layout *layout, size_t i, Detail *detail) {
        LayoutRegion *region = &layout->regions[i];
        int r;

        r = resolve_name(layout, "regions", i, "parent", region->add.parent, &region->parent,
                         detail);
        if (r)
                return r;
        if (region->parent && region->parent->add.kind == REGION_ALIAS)
                return layout_error("regions", i, "parent", MAP_E_INVALID_KIND, detail,
                                    "an alias cannot be a parent:", region->add.parent);
        return resolve_name(layout, "regions", i, "target", region->add.target, &region->target,
                            detail);
}

static int compare_space_names(const void *a, const void *b) {
        const Edit *left = *(Edit *const *)a, *right = *(Edit *const *)b;
        int order = strcmp(left->name, right->name);

        return order != 0 ? order : left < right ? -1 : 1;
}

static int compare_space_key(const void *name, const void *space) {
        return strcmp(name, (*(Edit *const *)space)->name);
}

Edit *layout_find_space(const Layout *layout, const char *name) {
        Edit **found = bsearch(name, layout->spaces_by_name, layout->spaces.n,
                               sizeof(*layout->spaces_by_name), compare_space_key);

        return found ? *found : NULL;
}

static int index_spaces(Layout *layout, Detail *detail) {
        size_t n = layout->spaces.n;

        layout->spaces_by_name = calloc(n + 1, sizeof(*layout->spaces_by_name));
        if (!layout->spaces_by_name)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                layout->spaces_by_name[i] = &layout->spaces.items[i];
        qsort(layout->spaces_by_name, n, sizeof(*layout->spaces_by_name), compare_space_names);
        for (size_t i = 1; i < n; i++) {
                const Edit *space = layout->spaces_by_name[i];

                if (strcmp(layout->spaces_by_name[i - 1]->name, space->name) == 0)
                        return layout_error("address-spaces",
                                            (size_t)(space - layout->spaces.items), "name",
                                            VM_E_INVALID_DOCUMENT, detail, "a second address space",
                                            space->name);
        }
        return 0;
}

int layout_resolve(Layout *layout, Detail *detail) {
        int r;

        r = index_regions(layout, detail);
        if (r)
                return r;
        for (size_t i = 0; i < layout->n_regions; i++) {
                r = resolve_region(layout, i, detail);
                if (r)
                        return r;
        }
        for (size_t i = 0; i < layout->spaces.n; i++) {
                LayoutRegion *root = NULL;

                r = resolve_name(layout, "address-spaces", i, "root",
                                 layout->spaces.items[i].parent, &root, detail);
                if (r)
                        return r;
        }
        return index_spaces(layout, detail);
}

void layout_deinit(Layout *layout) {
        for (size_t i = 0; i < layout->n_regions; i++) {
                edit_deinit(&layout->regions[i].add);
                edit_list_deinit(&layout->regions[i].devices);
        }
        free(layout->regions);
        free(layout->by_name);
        free(layout->spaces_by_name);
        edit_list_deinit(&layout->spaces);
        *layout = (Layout){};
}
