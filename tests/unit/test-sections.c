/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Growing arrays: what was appended is there, in order, however often they grew. */

#include "lib/memory/sections.h"
#include "tests/common/unit.h"

enum { N = 10000 };

static Section section_number(uint64_t i) {
        return (Section){.range = {i * 2, i * 2}, .offset = i};
}

static void test_sections(void **state) {
        Sections sections = {};

        assert_int_equal(sections_append(&sections, NULL, 0), 0);
        assert_int_equal(sections.n, 0);
        for (uint64_t i = 0; i < N; i += 3) {
                const Section three[] = {section_number(i), section_number(i + 1),
                                         section_number(i + 2)};

                assert_int_equal(sections_append(&sections, three, 3), 0);
        }
        assert_int_equal(sections.n, (N + 2) / 3 * 3);
        assert_true(sections.allocated >= sections.n);
        for (uint64_t i = 0; i < sections.n; i++) {
                assert_int_equal(sections.items[i].offset, i);
                assert_int_equal(sections.items[i].range.first, i * 2);
        }
        sections_deinit(&sections);
        assert_null(sections.items);
        assert_int_equal(sections.n, 0);
        assert_int_equal(sections.allocated, 0);
        assert_int_equal(sections_append(&sections, &(Section){.offset = 7}, 1), 0);
        assert_int_equal(sections.items[0].offset, 7);
        sections_deinit(&sections);
        sections_deinit(&sections);
}

static void test_announced(void **state) {
        AnnouncedList list = {};

        for (uint64_t i = 0; i < N; i++)
                assert_int_equal(announced_list_append(&list, &(Announced){.range = {i, i}}, 1), 0);
        assert_int_equal(list.n, N);
        for (uint64_t i = 0; i < N; i++)
                assert_int_equal(list.items[i].range.last, i);
        announced_list_deinit(&list);
        assert_int_equal(list.n, 0);
        announced_list_deinit(&list);
}

UNIT_TESTS(cmocka_unit_test(test_sections), cmocka_unit_test(test_announced));
