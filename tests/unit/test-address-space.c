/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Address spaces and views: who holds whom, and when a view belongs to its root. */

#include "lib/memory/address-space.h"
#include "tests/common/unit.h"

static Region *make_region(void) {
        Region *region = NULL;

        assert_int_equal(region_new(&region, "root", REGION_CONTAINER, NULL, NULL), 0);
        return region;
}

static void test_a_space_holds_its_view_and_root(void **state) {
        Region *root = make_region();
        AddressSpace *space = NULL;
        View *view = NULL;

        assert_int_equal(view_new(&view, root), 0);
        assert_ptr_equal(view->root, root);
        assert_int_equal(flat_view_n_sections(view->current), 0);
        assert_int_equal(address_space_new(&space, "memory", view), 0);
        assert_string_equal(space->name, "memory");
        assert_int_equal(space->generation, 0);
        view_unref(view);
        region_unref(root);

        assert_string_equal(space->view->root->name, "root");
        assert_ptr_equal(address_space_ref(space), space);
        assert_null(address_space_unref(space));
        assert_null(address_space_unref(space));
        assert_null(address_space_unref(NULL));
        assert_null(view_unref(NULL));
}

static void test_links(void **state) {
        CDS_LIST_HEAD(views);
        Region *root = make_region();
        View *view = NULL;

        assert_int_equal(view_new(&view, root), 0);
        assert_null(root->view);
        view_link(view, &views);
        view_link(view, &views);
        assert_ptr_equal(root->view, view);
        assert_int_equal(view->n_spaces, 2);
        assert_ptr_equal(cds_list_first_entry(&views, View, link), view);
        assert_ptr_equal(view->link.next, &views);

        view_unlink(view);
        assert_ptr_equal(root->view, view);
        view_unlink(view);
        assert_null(root->view);
        assert_true(cds_list_empty(&views));
        view_unref(view);
        region_unref(root);
}

UNIT_TESTS(cmocka_unit_test(test_a_space_holds_its_view_and_root), cmocka_unit_test(test_links));
