/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Readers find what their address space's view has, before and after commits, and never follow what
 * they remember of a view that is not the published one.
 */

#include "lib/memory/reader.h"
#include "lib/util/cleanup.h"
#include "tests/common/scene.h"
#include "tests/common/unit.h"

enum { PAGE = 0x1000 };

/* What was found last is not the published view's; following this pointer ends the program. */
#define NOWHERE ((const Section *)(uintptr_t)8)

static Map *make_map(void) {
        Map *map = scene_new();

        must_edit(map, add_region(REGION_CONTAINER, "ports", 0x10000, NULL, 0, 0));
        must_edit(map, add_space("io", "ports"));
        must_edit(map, add_region(REGION_MMIO, "port", 8, "ports", 0x60, 0));
        must_edit(map, add_region(REGION_RAM, "low", PAGE, "system", 0, 0));
        must_edit_commit(map, add_region(REGION_RAM, "high", PAGE, "system", 2 * PAGE, 0));
        return map;
}

static const char *name_at(Reader *reader, uint64_t address) {
        const Section *section;
        const char *name;

        rcu_enter();
        section = reader_find(reader, address);
        name = section ? section->region->name : "nothing";
        rcu_leave();
        return name;
}

static void test_finds(void **state) {
        _cleanup_(map_freep) Map *map = make_map();
        Reader reader;

        reader_init(&reader, map, "memory");
        for (int i = 0; i < 2; i++) {
                assert_string_equal(name_at(&reader, 0), "low");
                assert_string_equal(name_at(&reader, PAGE - 1), "low");
                assert_string_equal(name_at(&reader, PAGE), "nothing");
                assert_string_equal(name_at(&reader, 2 * PAGE), "high");
                assert_string_equal(name_at(&reader, 3 * PAGE), "nothing");
                assert_string_equal(name_at(&reader, UINT64_MAX), "nothing");
        }
}

static void test_follows_commits(void **state) {
        _cleanup_(map_freep) Map *map = make_map();
        Reader reader;

        reader_init(&reader, map, "memory");
        assert_string_equal(name_at(&reader, 0), "low");
        must_edit_commit(map, set_offset("low", PAGE));
        assert_string_equal(name_at(&reader, 0), "nothing");
        assert_string_equal(name_at(&reader, PAGE), "low");
        must_edit_commit(map, remove_region("low"));
        assert_string_equal(name_at(&reader, PAGE), "nothing");
}

/* The last section outlives commits that change something else, and no others. */
static void test_remembers(void **state) {
        _cleanup_(map_freep) Map *map = make_map();
        const Section *last;
        Reader reader;

        reader_init(&reader, map, "memory");
        (void)name_at(&reader, 0);
        last = reader.last;
        assert_ptr_equal(last, flat_view_find(scene_published(map, "memory"), 0));
        must_edit_commit(map, set_offset("port", 0x70));
        must_edit_commit(map, add_space("a", "ports"));
        assert_string_equal(name_at(&reader, PAGE), "nothing");
        assert_ptr_equal(reader.last, last);
        must_edit_commit(map, set_offset("high", 4 * PAGE));
        assert_string_equal(name_at(&reader, PAGE), "nothing");
        assert_null(reader.last);
}

static void test_space_comes_and_goes(void **state) {
        _cleanup_(map_freep) Map *map = make_map();
        Reader reader;

        reader_init(&reader, map, "later");
        assert_string_equal(name_at(&reader, 0), "nothing");
        must_edit_commit(map, add_space("later", "system"));
        assert_string_equal(name_at(&reader, 0), "low");
        must_edit(map, remove_space("later"));
        must_edit_commit(map, add_space("later", "ports"));
        assert_string_equal(name_at(&reader, 0), "nothing");
        assert_string_equal(name_at(&reader, 0x60), "port");
        must_edit_commit(map, remove_space("later"));
        assert_string_equal(name_at(&reader, 0x60), "nothing");
}

/* As if the published view had been given the address of an older one that was freed. */
static void test_same_address_other_view(void **state) {
        _cleanup_(map_freep) Map *map = make_map();
        Reader reader;

        reader_init(&reader, map, "memory");
        (void)name_at(&reader, 0);
        reader.generation--;
        reader.made--;
        reader.last = NOWHERE;
        assert_string_equal(name_at(&reader, 0), "low");
}

/* As if an older view that was made by the same commit had been at another address. */
static void test_same_commit_other_view(void **state) {
        _cleanup_(map_freep) Map *map = make_map();
        Reader reader;

        reader_init(&reader, map, "memory");
        (void)name_at(&reader, 0);
        assert_int_equal(reader.made, scene_published(map, "io")->generation);
        reader.generation--;
        reader.view = scene_published(map, "io");
        reader.last = NOWHERE;
        assert_string_equal(name_at(&reader, 0), "low");
}

/* Views of one commit have its number; a view that a commit leaves alone keeps its own. */
static void test_views_have_their_commit(void **state) {
        _cleanup_(map_freep) Map *map = make_map();

        assert_int_equal(scene_published(map, "memory")->generation, map->generation);
        must_edit_commit(map, set_offset("port", 0x70));
        assert_int_equal(scene_published(map, "io")->generation, map->generation);
        assert_int_equal(scene_published(map, "memory")->generation, map->generation - 1);
}

static int setup(void **state) {
        rcu_register();
        return 0;
}

static int teardown(void **state) {
        rcu_unregister();
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_finds),
                cmocka_unit_test(test_follows_commits),
                cmocka_unit_test(test_remembers),
                cmocka_unit_test(test_space_comes_and_goes),
                cmocka_unit_test(test_same_address_other_view),
                cmocka_unit_test(test_same_commit_other_view),
                cmocka_unit_test(test_views_have_their_commit),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
