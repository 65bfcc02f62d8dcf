/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Flat views: look-up, merging, cutting, and who keeps what alive. */

#include "lib/memory/flat-view.h"
#include "tests/common/scene.h"
#include "tests/common/unit.h"

static Region *make_region(const char *name) {
        Region *region = NULL;

        assert_int_equal(region_new(&region, name, REGION_RAM, NULL, NULL), 0);
        return region;
}

static Epoch *make_epoch(void) {
        Epoch *epoch = NULL;

        assert_int_equal(epoch_new(&epoch), 0);
        return epoch;
}

static FlatView *make_view(const Section *sections, size_t n) {
        _cleanup_(epoch_unrefp) Epoch *epoch = make_epoch();
        FlatView *view = NULL;

        assert_int_equal(flat_view_new(&view, epoch, sections, n, NULL, 0), 0);
        return view;
}

static void test_find(void **state) {
        Region *ram = make_region("ram");
        const Section sections[] = {
                {.range = {0x1000, 0x1fff}, .region = ram},
                {.range = {0x2000, 0x2000}, .region = ram, .offset = 0x5000},
                {.range = {0x3000, 0x3fff}, .region = ram, .offset = 0x8000},
                {.range = {UINT64_MAX - 1, UINT64_MAX}, .region = ram},
        };
        FlatView *view = make_view(sections, ELEMENTS_OF(sections));
        static const struct {
                uint64_t address;
                int found, lower; /* indices; -1: nothing there */
        } cases[] = {
                {0, -1, 0},
                {0xfff, -1, 0},
                {0x1000, 0, 0},
                {0x1fff, 0, 0},
                {0x2000, 1, 1},
                {0x2001, -1, 2},
                {0x2fff, -1, 2},
                {0x3abc, 2, 2},
                {0x4000, -1, 3},
                {UINT64_MAX - 2, -1, 3},
                {UINT64_MAX - 1, 3, 3},
                {UINT64_MAX, 3, 3},
        };

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                const Section *found = flat_view_find(view, cases[i].address);

                assert_ptr_equal(found,
                                 cases[i].found < 0 ? NULL : &view->sections[cases[i].found]);
                assert_int_equal(flat_view_lower_bound(view, cases[i].address), cases[i].lower);
        }
        flat_view_unref(view);
        region_unref(ram);
}

static void test_empty(void **state) {
        FlatView *view = make_view(NULL, 0);

        assert_null(flat_view_find(view, 0));
        assert_int_equal(flat_view_lower_bound(view, 0), 0);
        assert_int_equal(flat_view_lower_bound(view, UINT64_MAX), 0);
        flat_view_unref(view);
}

static void test_behind_the_last(void **state) {
        Region *ram = make_region("ram");
        FlatView *view = make_view(&(Section){.range = {0, 7}, .region = ram}, 1);

        assert_int_equal(flat_view_lower_bound(view, 7), 0);
        assert_int_equal(flat_view_lower_bound(view, 8), 1);
        assert_null(flat_view_find(view, 8));
        flat_view_unref(view);
        region_unref(ram);
}

static void test_can_merge(void **state) {
        Region *ram = make_region("ram"), *other = make_region("other");
        const Section a = {.range = {0x1000, 0x1fff},
                           .region = ram,
                           .offset = 0x100,
                           .kind = REGION_RAM,
                           .flags = REGION_NONVOLATILE};
        const Section next = {.range = {0x2000, 0x2fff},
                              .region = ram,
                              .offset = 0x1100,
                              .kind = REGION_RAM,
                              .flags = REGION_NONVOLATILE};
        Section b = next;

        assert_true(section_can_merge(&a, &b));
        assert_false(section_can_merge(&b, &a));
        b.range.first++;
        assert_false(section_can_merge(&a, &b));
        b = next;
        b.offset++;
        assert_false(section_can_merge(&a, &b));
        b = next;
        b.region = other;
        assert_false(section_can_merge(&a, &b));
        for (uint32_t flag = REGION_READONLY; flag <= REGION_DIRTY_LOG; flag <<= 1) {
                b = next;
                b.flags ^= flag;
                assert_false(section_can_merge(&a, &b));
        }
        region_unref(ram);
        region_unref(other);
}

static void test_unmergeable(void **state) {
        Region *ram = make_region("ram");
        const Section a = {.range = {0, 7}, .region = ram, .flags = REGION_UNMERGEABLE};
        const Section b = {
                .range = {8, 15}, .region = ram, .offset = 8, .flags = REGION_UNMERGEABLE};

        assert_false(section_can_merge(&a, &b));
        region_unref(ram);
}

static void test_nothing_wraps(void **state) {
        Region *ram = make_region("ram");
        const Section top = {.range = {8, UINT64_MAX}, .region = ram, .offset = 8};
        const Section zero = {.range = {0, 7}, .region = ram, .offset = 0};

        assert_false(section_can_merge(&top, &zero));
        assert_true(section_can_merge(&zero, &top));
        region_unref(ram);
}

static void test_same(void **state) {
        Region *ram = make_region("ram"), *other = make_region("other");
        const Section a = {
                .range = {0x1000, 0x1fff}, .region = ram, .offset = 0x100, .kind = REGION_RAM};
        Section b = a;

        assert_true(section_same(&a, &b));
        b.flags = REGION_DIRTY_LOG;
        assert_true(section_same(&a, &b));
        for (uint32_t flag = REGION_READONLY; flag <= REGION_DIRECT_READ; flag <<= 1) {
                b = a;
                b.flags ^= flag;
                assert_false(section_same(&a, &b));
        }
        b = a;
        b.range.last--;
        assert_false(section_same(&a, &b));
        b = a;
        b.range.first--;
        assert_false(section_same(&a, &b));
        b = a;
        b.offset--;
        assert_false(section_same(&a, &b));
        b = a;
        b.region = other;
        assert_false(section_same(&a, &b));
        region_unref(ram);
        region_unref(other);
}

static void test_cut(void **state) {
        Region *ram = make_region("ram");
        const Section whole = {.range = {0x1000, 0x1fff},
                               .region = ram,
                               .offset = 0x100,
                               .kind = REGION_ROM,
                               .flags = REGION_READONLY};
        Section part = section_cut(&whole, (Range){0x1800, 0x18ff});

        assert_int_equal(part.range.first, 0x1800);
        assert_int_equal(part.range.last, 0x18ff);
        assert_int_equal(part.offset, 0x900);
        assert_ptr_equal(part.region, ram);
        assert_int_equal(part.kind, REGION_ROM);
        assert_int_equal(part.flags, REGION_READONLY);
        part = section_cut(&whole, whole.range);
        assert_true(section_same(&part, &whole));
        region_unref(ram);
}

static void test_host(void **state) {
        Backing *backing = NULL;
        Region *region = NULL, *bare = make_region("bare");
        Section section;

        assert_int_equal(backing_new_memfd(&backing, 1, "ram", 0x2000, NULL), 0);
        assert_int_equal(region_new(&region, "ram", REGION_RAM, backing, NULL), 0);
        section = (Section){.range = {0x80, 0x8f}, .region = region, .offset = 0x1234};
        assert_ptr_equal(section_host(&section), (char *)backing->host + 0x1234);
        section.region = bare;
        assert_null(section_host(&section));
        region_unref(region);
        region_unref(bare);
        backing_unref(backing);
}

/* The view copies its sections and counts what it announces. */
static void test_lifetime(void **state) {
        _cleanup_(epoch_unrefp) Epoch *epoch = make_epoch();
        Region *ram = make_region("ram");
        Section section = {.range = {0, 7}, .region = ram};
        IOEventFD *ioeventfd = must_ioeventfd(4, 4, false, 0);
        Coalesced *zone = NULL;
        FlatView *view = NULL;

        assert_int_equal(coalesced_new(&zone, (Range){0, 3}), 0);
        Announced announced[] = {{.range = {0, 3}, .region = ram, .coalesced = zone},
                                 {.range = {4, 7}, .region = ram, .ioeventfd = ioeventfd}};

        assert_int_equal(flat_view_new(&view, epoch, &section, 1, announced, 2), 0);
        ioeventfd_unref(ioeventfd);
        coalesced_unref(zone);
        section.range.last = 0;
        announced[0] = announced[1] = (Announced){};

        assert_int_equal(view->sections[0].range.last, 7);
        assert_int_equal(view->announced[0].coalesced->range.last, 3);
        assert_int_equal(view->announced[1].ioeventfd->offset, 4);

        assert_ptr_equal(flat_view_ref(view), view);
        flat_view_retire(view);
        rcu_barrier_all();
        assert_int_equal(view->n_sections, 1);
        assert_null(flat_view_unref(view));
        assert_null(flat_view_unref(NULL));
        region_unref(ram);
}

UNIT_TESTS(cmocka_unit_test(test_find), cmocka_unit_test(test_empty),
           cmocka_unit_test(test_behind_the_last), cmocka_unit_test(test_can_merge),
           cmocka_unit_test(test_unmergeable), cmocka_unit_test(test_nothing_wraps),
           cmocka_unit_test(test_same), cmocka_unit_test(test_cut), cmocka_unit_test(test_host),
           cmocka_unit_test(test_lifetime));
