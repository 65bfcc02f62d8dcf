/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * History: net changes, how far back they are known, what they cost
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/vm/history.h"
#include "tests/common/memory.h"
#include "tests/common/scene.h"
#include "tests/common/unit.h"
#include "tests/unit/fail-allocation.h"

typedef struct Past {
        Map *map;
        History history;
} Past;

/* The map of a scene at generation 1, and a history that begins there. */
static Past *past_new(size_t size_max) {
        Past *past = calloc(1, sizeof(*past));

        assert_non_null(past);
        past->map = scene_new();
        history_init(&past->history, past->map->generation, size_max);
        return past;
}

static void past_free(Past *past) {
        history_deinit(&past->history);
        map_free(past->map);
        free(past);
}

static void commit(Past *past) {
        Commit *made = NULL;

        assert_int_equal(commit_new(&made, past->map, NULL), 0);
        assert_int_equal(commit_apply(made, NULL), 0);
        if (made->tree_changed)
                history_add(&past->history, made);
        commit_free(made);
}

static void edit_commit(Past *past, Edit edit) {
        must_edit(past->map, edit);
        commit(past);
}

/* A row a line, "-" or "+" first; "forgotten". The caller frees. */
static char *net(Past *past, const char *space, uint64_t since) {
        char *text = NULL;
        size_t size, n_rows = 0;
        DeltaRow *rows = NULL;
        FILE *out;
        int r;

        r = history_compose(&past->history, space, since, &rows, &n_rows);
        if (r == HISTORY_E_FORGOTTEN)
                return strdup("forgotten");
        assert_int_equal(r, 0);
        out = open_memstream(&text, &size);
        assert_non_null(out);
        for (size_t i = 0; i < n_rows; i++)
                fprintf(out, "%c%" PRIx64 "-%" PRIx64 " %s@%" PRIx64 "\n",
                        rows[i].sign < 0 ? '-' : '+', rows[i].range.first, rows[i].range.last,
                        rows[i].region, rows[i].offset);
        fclose(out);
        free(rows);
        return text;
}

static char *memory_net(Past *past, uint64_t since) {
        return net(past, "memory", since);
}

static Edit mmio(const char *name, uint64_t size, uint64_t offset) {
        return add_region(REGION_MMIO, name, size, "system", offset, 1);
}

static void test_net(void **state) {
        Past *past = past_new(HISTORY_BYTES_MAX);

        edit_commit(past, mmio("a", 0x1000, 0));
        edit_commit(past, mmio("b", 0x1000, 0x2000));
        edit_commit(past, remove_region("a"));
        assert_text(memory_net(past, 1), "+2000-2fff b@0\n");
        assert_text(memory_net(past, 2), "-0-fff a@0\n+2000-2fff b@0\n");
        assert_text(memory_net(past, 3), "-0-fff a@0\n");
        /* Without a backing a name is all that is known of a region. */
        edit_commit(past, mmio("a", 0x1000, 0));
        assert_text(memory_net(past, 2), "+2000-2fff b@0\n");
        past_free(past);
}

static void test_cut_and_rejoined(void **state) {
        Past *past = past_new(HISTORY_BYTES_MAX);

        edit_commit(past, add_region(REGION_RAM, "ram", 0x10000, "system", 0, 0));
        edit_commit(past, mmio("window", 0x1000, 0x4000));
        assert_text(memory_net(past, 2),
                    "+0-3fff ram@0\n-0-ffff ram@0\n+4000-4fff window@0\n+5000-ffff ram@5000\n");
        edit_commit(past, remove_region("window"));
        assert_text(memory_net(past, 2), "");
        assert_text(memory_net(past, 3),
                    "-0-3fff ram@0\n+0-ffff ram@0\n-4000-4fff window@0\n-5000-ffff ram@5000\n");
        past_free(past);
}

/* Gone and come in one commit. */
static void test_replaced(void **state) {
        Past *past = past_new(HISTORY_BYTES_MAX);

        must_add_memory(past->map, add_region(REGION_RAM, "ram", 0x1000, "system", 0, 0));
        must_edit(past->map, mmio("a", 0x1000, 0x1000));
        commit(past);
        must_edit(past->map, remove_region("a"));
        must_edit(past->map, mmio("a", 0x1000, 0x1000));
        commit(past);
        assert_text(memory_net(past, 2), "");
        past_free(past);
}

static void test_dirty_logging(void **state) {
        Past *past = past_new(HISTORY_BYTES_MAX);

        must_edit(past->map, add_region(REGION_RAM, "r1", 0x1000, "system", 0, 0));
        must_edit(past->map, add_region(REGION_RAM, "r2", 0x1000, "system", 0x1000, 0));
        commit(past);
        must_edit(past->map, set_flags("r1", REGION_DIRTY_LOG, REGION_DIRTY_LOG));
        must_edit(past->map, set_flags("r2", REGION_DIRTY_LOG, REGION_DIRTY_LOG));
        commit(past);
        assert_text(memory_net(past, 2),
                    "-0-fff r1@0\n+0-fff r1@0\n-1000-1fff r2@0\n+1000-1fff r2@0\n");
        edit_commit(past, set_flags("r1", REGION_DIRTY_LOG, 0));
        assert_text(memory_net(past, 2), "-1000-1fff r2@0\n+1000-1fff r2@0\n");
        past_free(past);
}

/* What is remembered of memory that has gone is its id, not the memory. */
static void test_memory_goes(void **state) {
        Past *past = past_new(HISTORY_BYTES_MAX);
        int fd;

        must_add_memory(past->map, add_region(REGION_RAM, "dimm", 0x1000, "system", 0, 0));
        commit(past);
        fd = must_find(past->map, "dimm")->backing->fd;
        assert_true(fcntl(fd, F_GETFD) >= 0);
        edit_commit(past, remove_region("dimm"));
        rcu_barrier_all();
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        assert_text(memory_net(past, 2), "-0-fff dimm@0\n");
        past_free(past);
}

/* Address spaces */

static void test_spaces_apart(void **state) {
        Past *past = past_new(HISTORY_BYTES_MAX);

        must_edit(past->map, add_region(REGION_CONTAINER, "io", 0x10000, NULL, 0, 0));
        must_edit(past->map, add_space("io", "io"));
        edit_commit(past, mmio("a", 0x1000, 0));
        edit_commit(past, add_region(REGION_MMIO, "port", 1, "io", 0, 0));
        assert_text(net(past, "io", 2), "+0-0 port@0\n");
        assert_text(memory_net(past, 1), "+0-fff a@0\n");
        past_free(past);
}

/* A name that comes back goes on with its past, as long as there is one. */
static void test_space_comes_back(void **state) {
        Past *past = past_new(HISTORY_BYTES_MAX);

        edit_commit(past, mmio("a", 0x1000, 0));
        edit_commit(past, remove_space("memory"));
        assert_text(memory_net(past, 2), "-0-fff a@0\n");
        edit_commit(past, add_region(REGION_MMIO, "b", 0x1000, "system", 0x1000, 0));
        edit_commit(past, add_space("memory", "system"));
        assert_text(memory_net(past, 2), "+1000-1fff b@0\n");
        assert_text(memory_net(past, 3), "+0-fff a@0\n+1000-1fff b@0\n");
        assert_text(memory_net(past, 4), "+0-fff a@0\n+1000-1fff b@0\n");
        /* One that was never there was as empty as one that is not there now. */
        edit_commit(past, add_space("other", "system"));
        assert_text(net(past, "other", 1), "+0-fff a@0\n+1000-1fff b@0\n");
        assert_text(net(past, "other", 0), "forgotten");
        past_free(past);
}

/* The bound */

/* One row with a name of a byte. */
static size_t one_row_size(void) {
        return sizeof(Delta) + sizeof(DeltaRow) + 2;
}

static void toggle(Past *past, unsigned n) {
        for (unsigned i = 0; i < n; i++)
                edit_commit(past, i % 2 ? enable("a") : disable("a"));
}

static void test_oldest_is_forgotten(void **state) {
        Past *past = past_new(4 * one_row_size());

        edit_commit(past, mmio("a", 0x1000, 0));
        toggle(past, 3);
        assert_text(memory_net(past, 1), "");
        assert_int_equal(past->history.size, past->history.size_max);
        edit_commit(past, enable("a"));
        assert_text(memory_net(past, 1), "forgotten");
        assert_text(memory_net(past, 2), "");
        toggle(past, 100);
        assert_int_equal(past->history.size, past->history.size_max);
        assert_text(memory_net(past, 101), "forgotten");
        assert_text(memory_net(past, 102), "");
        assert_text(memory_net(past, 105), "+0-fff a@0\n");
        past_free(past);
}

/* What is forgotten for another space's sake was the past of that other space. */
static void test_quiet_space(void **state) {
        Past *past = past_new(8 * one_row_size());

        must_edit(past->map, add_region(REGION_CONTAINER, "io", 0x10000, NULL, 0, 0));
        edit_commit(past, add_space("io", "io"));
        edit_commit(past, add_region(REGION_MMIO, "port", 1, "io", 0, 0));
        edit_commit(past, mmio("a", 0x1000, 0));
        toggle(past, 10);
        edit_commit(past, set_offset("port", 1));
        assert_int_equal(past->map->generation, 15);
        assert_text(net(past, "io", 2), "forgotten");
        assert_text(net(past, "io", 3), "-0-0 port@0\n+1-1 port@0\n");
        past_free(past);
}

/* One that is too large is not kept, and takes the place of no other. */
static void test_too_large(void **state) {
        Past *past = past_new(4 * one_row_size());
        const Delta *delta;

        edit_commit(past, mmio("a", 0x1000, 0));
        must_edit(past->map, mmio("b", 0x1000, 0x10000));
        must_edit(past->map, mmio("c", 0x1000, 0x20000));
        must_edit(past->map, mmio("d", 0x1000, 0x30000));
        commit(past);
        assert_int_equal(history_n_rows(&past->history, 3), SIZE_MAX);
        toggle(past, 2);
        assert_text(memory_net(past, 1), "forgotten");
        assert_text(memory_net(past, 2), "forgotten");
        assert_text(memory_net(past, 3), "");
        assert_text(memory_net(past, 4), "+0-fff a@0\n");
        assert_int_equal(history_n_rows(&past->history, 5), 1);
        delta = history_from(&past->history, 5);
        assert_string_equal(delta->rows[0].region, "a");
        assert_null(history_next(&past->history, delta));
        past_free(past);
}

/* A change that would never fit a reply is not worked out to its end. */
static void test_too_many_rows(void **state) {
        Past *past = past_new(HISTORY_BYTES_MAX);
        DeltaRow *rows;
        size_t n_rows;

        for (unsigned i = 0; i <= HISTORY_NET_ROWS_MAX / 2; i++) {
                char name[16];

                snprintf(name, sizeof(name), "%u", i);
                must_edit(past->map, mmio(name, 0x1000, 0x2000 * (uint64_t)i));
        }
        commit(past);
        assert_int_equal(history_compose(&past->history, "memory", 1, &rows, &n_rows), 0);
        assert_int_equal(n_rows, HISTORY_NET_ROWS_MAX / 2 + 1);
        free(rows);
        edit_commit(past, set_flags("system", REGION_NONVOLATILE, REGION_NONVOLATILE));
        assert_int_equal(history_n_rows(&past->history, 3), HISTORY_NET_ROWS_MAX + 2);
        assert_text(memory_net(past, 2), "forgotten");
        assert_text(memory_net(past, 1), "forgotten");
        past_free(past);
}

/* Pieces of one region, side by side, share a name. */
static void test_names_are_shared(void **state) {
        Past *past = past_new(HISTORY_BYTES_MAX);
        const Delta *delta;

        edit_commit(past, add_region(REGION_RAM, "ram", 0x10000, "system", 0, 0));
        for (unsigned i = 0; i < 4; i++) {
                char name[] = {(char)('a' + i), '\0'};

                must_edit(past->map, mmio(name, 0x1000, 0x2000 * (i + 1)));
        }
        commit(past);
        delta = history_from(&past->history, 3);
        assert_int_equal(delta->n_rows, 10);
        assert_ptr_equal(delta->rows[0].region, delta->rows[1].region);
        assert_int_equal(delta->size, sizeof(Delta) + 10 * sizeof(DeltaRow) + 5 * sizeof("ram") +
                                              4 * sizeof("a"));
        past_free(past);
}

/* Without memory it forgets, and says so. */
static void test_no_memory(void **state) {
        Past *past = past_new(HISTORY_BYTES_MAX);
        DeltaRow *rows;
        size_t n_rows;

        edit_commit(past, mmio("a", 0x1000, 0));
        for (unsigned n = 1; n <= 2; n++) {
                Commit *made = NULL;

                must_edit(past->map, n % 2 ? disable("a") : enable("a"));
                assert_int_equal(commit_new(&made, past->map, NULL), 0);
                assert_int_equal(commit_apply(made, NULL), 0);
                fail_allocation_at(1);
                history_add(&past->history, made);
                assert_true(fail_allocation_done());
                commit_free(made);
                assert_text(memory_net(past, n + 1), "forgotten");
                assert_int_equal(history_n_rows(&past->history, n + 2), SIZE_MAX);
                assert_int_equal(past->history.size, 0);
        }
        toggle(past, 1);
        fail_allocation_at(1);
        assert_int_equal(history_compose(&past->history, "memory", 4, &rows, &n_rows), -ENOMEM);
        assert_true(fail_allocation_done());
        assert_text(memory_net(past, 4), "-0-fff a@0\n");
        past_free(past);
}

UNIT_TESTS(cmocka_unit_test(test_net), cmocka_unit_test(test_cut_and_rejoined),
           cmocka_unit_test(test_replaced), cmocka_unit_test(test_dirty_logging),
           cmocka_unit_test(test_memory_goes), cmocka_unit_test(test_spaces_apart),
           cmocka_unit_test(test_space_comes_back), cmocka_unit_test(test_oldest_is_forgotten),
           cmocka_unit_test(test_quiet_space), cmocka_unit_test(test_too_large),
           cmocka_unit_test(test_too_many_rows), cmocka_unit_test(test_names_are_shared),
           cmocka_unit_test(test_no_memory));
