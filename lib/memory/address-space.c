/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "lib/memory/address-space.h"

static int compare_name(const AddressSpace *a, const AddressSpace *b) {
        return strcmp(a->name, b->name);
}

RB_GENERATE(AddressSpaces, AddressSpace, by_name, compare_name)

int view_new(View **ret, Region *root) {
        _cleanup_(epoch_unrefp) Epoch *epoch = NULL;
        _cleanup_(view_unrefp) View *view = NULL;
        int r;

        view = calloc(1, sizeof(*view));
        if (!view)
                return -ENOMEM;
        urcu_ref_init(&view->ref);
        CDS_INIT_LIST_HEAD(&view->link);
        view->root = region_ref(root);
        r = epoch_new(&epoch);
        if (r < 0)
                return r;
        r = flat_view_new(&view->current, epoch, &(ViewTree){}, &(ViewTree){});
        if (r < 0)
                return r;
        *ret = TAKE_PTR(view);
        return 0;
}

View *view_ref(View *view) {
        if (view)
                urcu_ref_get(&view->ref);
        return view;
}

static void view_free_ref(struct urcu_ref *ref) {
        View *view = caa_container_of(ref, View, ref);

        dirty_ranges_deinit(&view->dirty);
        /* The last one has no successor that its nodes could have been left by. */
        if (view->current) {
                view_tree_free(view->current->sections);
                view_tree_free(view->current->announced);
        }
        flat_view_unref(view->current);
        region_unref(view->root);
        free(view);
}

View *view_unref(View *view) {
        if (view)
                urcu_ref_put(&view->ref, view_free_ref);
        return NULL;
}

void view_link(View *view, struct cds_list_head *views) {
        if (view->n_spaces++ > 0)
                return;
        view->root->view = view;
        cds_list_add_tail(&view->link, views);
}

void view_unlink(View *view) {
        if (--view->n_spaces > 0)
                return;
        view->root->view = NULL;
        cds_list_del_init(&view->link);
}

int address_space_new(AddressSpace **ret, const char *name, View *view) {
        size_t length = strlen(name) + 1;
        AddressSpace *space;

        space = calloc(1, sizeof(*space) + length);
        if (!space)
                return -ENOMEM;
        urcu_ref_init(&space->ref);
        space->view = view_ref(view);
        memcpy(space->name, name, length);
        *ret = space;
        return 0;
}

AddressSpace *address_space_ref(AddressSpace *space) {
        if (space)
                urcu_ref_get(&space->ref);
        return space;
}

static void address_space_free_ref(struct urcu_ref *ref) {
        AddressSpace *space = caa_container_of(ref, AddressSpace, ref);

        view_unref(space->view);
        free(space);
}

AddressSpace *address_space_unref(AddressSpace *space) {
        if (space)
                urcu_ref_put(&space->ref, address_space_free_ref);
        return NULL;
}
