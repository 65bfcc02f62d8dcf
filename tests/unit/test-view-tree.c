/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * View trees against a plain array
 *
 * Every splice is made to the array too; after each, the tree has the array's items, from wherever
 * one looks; its nodes are as full as they should be; what the splice lists as born and dead is the
 * difference of the two trees' nodes; and the tree of before still reads as it did.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/util/cleanup.h"
#include "tests/common/unit.h"
#include "tests/property/random.h"
#include "tests/unit/fail-allocation.h"
#include "tests/unit/item-array.h"
#include "tests/unit/tree-shape.h"

/* A tree and what must be in it. */
typedef struct Pair {
        ViewTree tree;
        Items items;
} Pair;

/* Checks */

static bool is_item(const void *found, const Items *items, size_t i) {
        return i < items->n ? found && memcmp(found, &items->items[i], sizeof(Item)) == 0 : !found;
}

/* The first few items from an address on, and the last one at or before it. */
static void check_at(const ViewTree *tree, const Items *items, uint64_t address) {
        size_t at = items_below(items, address), upto = items_upto(items, address);
        ViewCursor cursor;
        const Item *item = view_cursor_seek(&cursor, tree, sizeof(Item), address);

        for (size_t i = 0; i < 3 && at + i <= items->n; i++) {
                assert_true(is_item(item, items, at + i));
                if (item)
                        item = view_cursor_next(&cursor);
        }
        assert_true(is_item(view_tree_floor(tree, sizeof(Item), address), items,
                            upto > 0 ? upto - 1 : SIZE_MAX));
}

static void check_reads(const ViewTree *tree, const Items *items) {
        ViewCursor cursor;
        const Item *item = view_cursor_seek(&cursor, tree, sizeof(Item), 0);

        assert_int_equal(tree->n_items, items->n);
        for (size_t i = 0; i < items->n; i++, item = view_cursor_next(&cursor))
                assert_true(is_item(item, items, i));
        assert_null(item);
        check_at(tree, items, 0);
        check_at(tree, items, UINT64_MAX);
}

/* At, before and behind each item. */
static void check_everywhere(const ViewTree *tree, const Items *items) {
        check_reads(tree, items);
        for (size_t i = 0; i < items->n; i++) {
                uint64_t first = items->items[i].range.first;

                check_at(tree, items, first);
                check_at(tree, items, first - (first > 0));
                check_at(tree, items, first + (first < UINT64_MAX));
        }
}

static size_t list_length(const struct cds_list_head *list) {
        const struct cds_list_head *link;
        size_t n = 0;

        cds_list_for_each(link, list) n++;
        return n;
}

/*
 * The shape: one height, no empty node (see tree-shape.c); of two neighbours under one node both
 * are half full, or they hold more than one node could. What is listed is the difference.
 */
static void check_splice(const ViewTree *old, const ViewTree *new, const ViewSplice *splice) {
        TreeShape before, after;

        tree_shape_init(&before, old, sizeof(Item));
        tree_shape_init(&after, new, sizeof(Item));
        assert_int_equal(after.n_thin, 0);
        assert_int_equal(list_length(&splice->born), tree_shape_missing(&after, &before));
        assert_int_equal(list_length(&splice->dead), tree_shape_missing(&before, &after));
        tree_shape_deinit(&before);
        tree_shape_deinit(&after);
}

/* Splicing */

static void splice_into(Pair *pair, ViewSplice *splice, Range window, const Item *items, size_t n) {
        assert_int_equal(view_tree_splice(&pair->tree, splice, sizeof(Item), window, items, n), 0);
        items_splice(&pair->items, window, items, n);
}

/* One window, checked, settled; what it leaves out is freed. */
static void change(Pair *pair, Range window, const Item *items, size_t n) {
        Pair before = {pair->tree, items_copy(&pair->items)};
        CDS_LIST_HEAD(dead);
        ViewSplice splice;

        view_splice_init(&splice);
        splice_into(pair, &splice, window, items, n);
        check_reads(&pair->tree, &pair->items);
        check_reads(&before.tree, &before.items);
        check_splice(&before.tree, &pair->tree, &splice);
        view_splice_settle(&splice, &dead);
        check_reads(&before.tree, &before.items);
        view_nodes_free(&dead);
        check_reads(&pair->tree, &pair->items);
        items_deinit(&before.items);
}

static Pair pair_of(uint64_t first, uint64_t step, size_t n) {
        Items items = items_every(first, step, n);
        Pair pair = {};

        change(&pair, RANGE_WHOLE, items.items, n);
        items_deinit(&items);
        return pair;
}

static void pair_deinit(Pair *pair) {
        view_tree_free(pair->tree);
        items_deinit(&pair->items);
}

static void test_nothing(void **state) {
        Pair pair = {};

        change(&pair, RANGE_WHOLE, NULL, 0);
        change(&pair, (Range){7, 7}, NULL, 0);
        assert_null(pair.tree.root);
        pair_deinit(&pair);
}

static void test_into_empty(void **state) {
        static const size_t sizes[] = {1, 2, 31, 32, 33, 64, 65, 1023, 1024, 1025, 5000};

        for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
                Pair pair = pair_of(10, 3, sizes[i]);

                check_everywhere(&pair.tree, &pair.items);
                pair_deinit(&pair);
        }
}

/* One by one, below all and behind all, up to both ends of the address space. */
static void test_at_both_ends(void **state) {
        enum { N = 1500 };
        Pair pair = {};

        for (uint64_t i = 0; i < N; i++) {
                Item low = {{N - i - 1, N - i - 1}, items_new_tag()};
                Item high = {{UINT64_MAX - N + i + 1, UINT64_MAX - N + i + 1}, items_new_tag()};

                change(&pair, low.range, &low, 1);
                change(&pair, high.range, &high, 1);
        }
        check_everywhere(&pair.tree, &pair.items);
        for (uint64_t i = 0; i < N; i++) {
                change(&pair, (Range){i, i}, NULL, 0);
                change(&pair, (Range){UINT64_MAX - i, UINT64_MAX}, NULL, 0);
        }
        assert_null(pair.tree.root);
        pair_deinit(&pair);
}

static void test_everything_by_nothing(void **state) {
        Pair pair = pair_of(0, 1, 40000);

        change(&pair, (Range){0, 39999}, NULL, 0);
        assert_null(pair.tree.root);
        pair_deinit(&pair);
}

/* All but one at either end: what is left of a tall tree is one leaf. */
static void test_all_but_the_ends(void **state) {
        Pair pair = pair_of(0, 1, 40000);
        TreeShape shape;

        change(&pair, (Range){1, 39998}, NULL, 0);
        tree_shape_init(&shape, &pair.tree, sizeof(Item));
        assert_int_equal(shape.height, 1);
        tree_shape_deinit(&shape);
        check_everywhere(&pair.tree, &pair.items);
        pair_deinit(&pair);
}

/* Windows over many leaves, by fewer, as many and more items. */
static void test_wide_windows(void **state) {
        static const size_t sizes[] = {0, 1, 40, 2000, 6000};
        static const Range windows[] = {{0, 20000},     {1, 1},         {319, 19681},
                                        {30000, 99999}, {32000, 64000}, {50000, UINT64_MAX}};

        for (size_t i = 0; i < ELEMENTS_OF(sizes); i++)
                for (size_t j = 0; j < ELEMENTS_OF(windows); j++) {
                        Pair pair = pair_of(0, 10, 10000);
                        Items items = items_every(windows[j].first, windows[j].first == 1 ? 0 : 1,
                                                  sizes[i]);

                        change(&pair, windows[j], items.items, items.n);
                        check_everywhere(&pair.tree, &pair.items);
                        items_deinit(&items);
                        pair_deinit(&pair);
                }
}

/* Many small windows go into one new tree: nodes of the first are used up by those behind. */
static void test_many_windows_in_a_row(void **state) {
        Pair pair = pair_of(0, 10, 5000), before = {pair.tree, items_copy(&pair.items)};
        CDS_LIST_HEAD(dead);
        ViewSplice splice;

        view_splice_init(&splice);
        for (uint64_t at = 0; at < 50000; at += 70) {
                Item items[] = {{{at + 1, at + 1}, items_new_tag()},
                                {{at + 5, at + 5}, items_new_tag()}};

                splice_into(&pair, &splice, (Range){at, at + 29}, items, at / 70 % 3);
        }
        check_everywhere(&pair.tree, &pair.items);
        check_everywhere(&before.tree, &before.items);
        check_splice(&before.tree, &pair.tree, &splice);
        view_splice_settle(&splice, &dead);
        view_nodes_free(&dead);
        check_everywhere(&pair.tree, &pair.items);
        items_deinit(&before.items);
        pair_deinit(&pair);
}

/* More of one address than a node holds: they stay in order, and go together. */
static void test_equal_addresses(void **state) {
        Pair pair = pair_of(0, 1, 100);
        Items equal = items_every(50, 0, 200);

        change(&pair, (Range){50, 50}, equal.items, equal.n);
        check_everywhere(&pair.tree, &pair.items);
        change(&pair, (Range){51, 51}, NULL, 0);
        change(&pair, (Range){49, 49}, NULL, 0);
        check_everywhere(&pair.tree, &pair.items);
        change(&pair, (Range){50, 50}, equal.items, 1);
        check_everywhere(&pair.tree, &pair.items);
        items_deinit(&equal);
        pair_deinit(&pair);
}

/*
 * One item among 100,000, changed, removed or added: never more than a few nodes of each level
 * come and go, and hardly more than one most times.
 */
static void test_shares_the_rest(void **state) {
        enum { N = 100000, N_ROUNDS = 2000 };
        Pair pair = pair_of(0, 10, N);
        Random random = {1};
        TreeShape shape;
        size_t n_born = 0;

        tree_shape_init(&shape, &pair.tree, sizeof(Item));
        for (int i = 0; i < N_ROUNDS; i++) {
                uint64_t at = random_below(&random, N) * 10 + random_below(&random, 2);
                Item item = {{at, at}, items_new_tag()};
                CDS_LIST_HEAD(dead);
                ViewSplice splice;

                view_splice_init(&splice);
                assert_int_equal(view_tree_splice(&pair.tree, &splice, sizeof(Item), item.range,
                                                  &item, random_below(&random, 3) > 0),
                                 0);
                n_born += list_length(&splice.born);
                assert_true(list_length(&splice.born) <= 2 * shape.height + 1);
                assert_true(list_length(&splice.dead) <= 4 * shape.height);
                view_splice_settle(&splice, &dead);
                view_nodes_free(&dead);
        }
        assert_true(n_born <= N_ROUNDS * (shape.height + 1));
        tree_shape_deinit(&shape);
        pair_deinit(&pair);
}

static void test_kill(void **state) {
        Pair pair = pair_of(0, 10, 5000);
        ViewTree tree = pair.tree;
        CDS_LIST_HEAD(dead);
        TreeShape shape;
        ViewSplice splice;

        tree_shape_init(&shape, &tree, sizeof(Item));
        view_splice_init(&splice);
        view_splice_kill(&splice, &tree);
        assert_null(tree.root);
        assert_int_equal(tree.n_items, 0);
        assert_int_equal(list_length(&splice.dead), shape.n_nodes);
        check_everywhere(&pair.tree, &pair.items);
        view_splice_abandon(&splice);
        check_everywhere(&pair.tree, &pair.items);
        tree = pair.tree;
        view_splice_kill(&splice, &tree);
        view_splice_settle(&splice, &dead);
        view_nodes_free(&dead);
        tree_shape_deinit(&shape);
        items_deinit(&pair.items);
}

/* Failing allocations */

static int replace_three(ViewTree *tree, ViewSplice *splice, const Items *items) {
        static const Range windows[] = {{100, 4000}, {3990, 20000}, {49990, UINT64_MAX}};
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTS_OF(windows); i++)
                r = view_tree_splice(tree, splice, sizeof(Item), windows[i], items->items + i * 100,
                                     100);
        return r;
}

static void test_failing_allocations(void **state) {
        Pair pair = pair_of(0, 10, 5000);
        Items items = items_every(3990, 0, 200);
        Items behind = items_every(49990, 10, 100);
        unsigned n;

        items_append(&items, behind.items, behind.n);
        for (n = 1;; n++) {
                ViewTree tree = pair.tree;
                ViewSplice splice;
                int r;

                view_splice_init(&splice);
                fail_allocation_at(n);
                r = replace_three(&tree, &splice, &items);
                if (!fail_allocation_done()) {
                        assert_int_equal(r, 0);
                        view_splice_abandon(&splice);
                        break;
                }
                assert_int_equal(r, -ENOMEM);
                view_splice_abandon(&splice);
                check_everywhere(&pair.tree, &pair.items);
        }
        assert_true(n > 10);
        check_everywhere(&pair.tree, &pair.items);
        items_deinit(&items);
        items_deinit(&behind);
        pair_deinit(&pair);
}

/* Anything */

enum { N_STEPS = 4000, N_HELD = 16, WORLD = 20000, MOST_NEW = 3000, MOST_ITEMS = 12000 };

static uint64_t random_address(Random *random) {
        return random_one_in(random, 50) ? UINT64_MAX - random_below(random, 3)
                                         : random_below(random, WORLD);
}

static Range random_window(Random *random) {
        uint64_t a = random_address(random), b = random_address(random);

        switch (random_below(random, 8)) {
        case 0:
                return (Range){MIN_OF(a, b), MAX_OF(a, b)};
        case 1:
        case 2:
        case 3:
                return (Range){a, a};
        default:
                b = random_below(random, 100);
                return (Range){a, a + MIN_OF(b, UINT64_MAX - a)};
        }
}

/* Some that begin in the window, in order; now and then two at one address. */
static Items random_items(Random *random, Range window, size_t most) {
        uint64_t n =
                random_one_in(random, 20) ? random_below(random, most) : random_below(random, 4);
        uint64_t at = window.first;
        Items items = {};

        for (uint64_t i = 0; i < n; i++) {
                uint64_t step = random_one_in(random, 8) ? 0 : 1 + random_below(random, 3);
                Item item = {{at, at}, items_new_tag()};

                items_append(&items, &item, 1);
                if (window.last - at < step)
                        break;
                at += step;
        }
        return items;
}

/* One new tree, made in up to four windows; or one that is given up. */
static void random_step(Random *random, Pair *pair, struct cds_list_head *dead) {
        Pair before = {pair->tree, items_copy(&pair->items)};
        ViewSplice splice;

        view_splice_init(&splice);
        for (uint64_t n = 1 + random_below(random, 4); n > 0; n--) {
                Range window = random_window(random);
                Items items =
                        random_items(random, window, pair->items.n < MOST_ITEMS ? MOST_NEW : 4);

                splice_into(pair, &splice, window, items.items, items.n);
                items_deinit(&items);
        }
        check_reads(&pair->tree, &pair->items);
        check_reads(&before.tree, &before.items);
        check_splice(&before.tree, &pair->tree, &splice);
        if (random_one_in(random, 4)) {
                view_splice_abandon(&splice);
                items_deinit(&pair->items);
                *pair = before;
                return;
        }
        view_splice_settle(&splice, dead);
        items_deinit(&before.items);
}

/* Each N_HELD steps what is dead is freed; the tree that was the first of them lasts until then. */
static void live(uint64_t seed) {
        Pair pair = {}, held = {};
        Random random = {seed};
        CDS_LIST_HEAD(dead);

        for (int step = 0; step < N_STEPS; step++) {
                if (step % N_HELD == 0)
                        held = (Pair){pair.tree, items_copy(&pair.items)};
                random_step(&random, &pair, &dead);
                for (int i = 0; i < 8; i++)
                        check_at(&pair.tree, &pair.items, random_address(&random));
                if (step % N_HELD == N_HELD - 1) {
                        check_everywhere(&held.tree, &held.items);
                        view_nodes_free(&dead);
                        items_deinit(&held.items);
                        check_everywhere(&pair.tree, &pair.items);
                }
        }
        pair_deinit(&pair);
}

static void test_anything(void **state) {
        for (uint64_t seed = 1; seed <= 2; seed++) {
                print_message("# seed %" PRIu64 "\n", seed);
                live(seed);
        }
}

UNIT_TESTS(cmocka_unit_test(test_nothing), cmocka_unit_test(test_into_empty),
           cmocka_unit_test(test_at_both_ends), cmocka_unit_test(test_everything_by_nothing),
           cmocka_unit_test(test_all_but_the_ends), cmocka_unit_test(test_wide_windows),
           cmocka_unit_test(test_many_windows_in_a_row), cmocka_unit_test(test_equal_addresses),
           cmocka_unit_test(test_shares_the_rest), cmocka_unit_test(test_kill),
           cmocka_unit_test(test_failing_allocations), cmocka_unit_test(test_anything));
