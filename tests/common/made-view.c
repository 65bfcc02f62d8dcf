/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Views without a map; see made-view.h. */

#include "tests/common/made-view.h"

static ViewTree made_tree(ViewSplice *splice, size_t item_size, const void *items, size_t n) {
        ViewTree tree = {};

        if (view_tree_splice(&tree, splice, item_size, RANGE_WHOLE, items, n) != 0)
                abort();
        return tree;
}

/* As if a successor had left out all of them. */
static void leave_nodes(Epoch *epoch, ViewSplice *splice, ViewTree sections, ViewTree announced) {
        CDS_LIST_HEAD(none);

        view_splice_settle(splice, &none);
        view_splice_kill(splice, &sections);
        view_splice_kill(splice, &announced);
        view_splice_settle(splice, &epoch->nodes);
}

FlatView *made_view(const Section *sections, size_t n_sections, const Announced *announced,
                    size_t n_announced) {
        _cleanup_(epoch_unrefp) Epoch *epoch = NULL;
        FlatView *view = NULL;
        ViewSplice splice;
        ViewTree s, a;

        view_splice_init(&splice);
        s = made_tree(&splice, sizeof(*sections), sections, n_sections);
        a = made_tree(&splice, sizeof(*announced), announced, n_announced);
        if (epoch_new(&epoch) != 0 || flat_view_new(&view, epoch, &s, &a) != 0)
                abort();
        leave_nodes(epoch, &splice, s, a);
        return view;
}
