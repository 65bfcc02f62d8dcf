/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Epochs: what an old view has, and those behind it have not, lives until that view and all before
 * it have gone. Whether a hidden thing still lives is read off its count: the test holds one
 * reference of its own. Whether a node does, free() tells, which is wrapped.
 */

#include <string.h>

#include "lib/memory/flat-view.h"
#include "tests/common/unit.h"
#include "tests/unit/item-array.h"
#include "tests/unit/tree-shape.h"

static Region *make_region(void) {
        Region *region = NULL;

        assert_int_equal(region_new(&region, "x", REGION_RAM, NULL, NULL), 0);
        return region;
}

static Epoch *make_epoch(void) {
        Epoch *epoch = NULL;

        assert_int_equal(epoch_new(&epoch), 0);
        return epoch;
}

static long count_of(const struct urcu_ref *ref) {
        return __atomic_load_n(&ref->refcount, __ATOMIC_RELAXED);
}

static long count(const Region *region) {
        return count_of(&region->ref);
}

static Hidden *hidden_of(Hidden one) {
        Hidden *hidden = malloc(sizeof(*hidden));

        assert_non_null(hidden);
        *hidden = one;
        return hidden;
}

static void close_with(Epoch *epoch, Epoch *next, Region *region) {
        epoch_close(epoch, next, hidden_of((Hidden){.region = region_ref(region)}), 1);
}

static void test_open_epoch(void **state) {
        Epoch *epoch = make_epoch();

        assert_int_equal(epoch->n_hidden, 0);
        assert_true(cds_list_empty(&epoch->nodes));
        assert_ptr_equal(epoch_ref(epoch), epoch);
        assert_null(epoch_unref(epoch));
        assert_null(epoch_unref(epoch));
        assert_null(epoch_unref(NULL));
}

static void test_drops_its_regions(void **state) {
        Epoch *first = make_epoch(), *second = make_epoch();
        Region *region = make_region();

        close_with(first, second, region);
        assert_int_equal(count(region), 2);
        epoch_unref(first);
        assert_int_equal(count(region), 1);
        epoch_unref(second);
        region_unref(region);
}

/* What the second view lost, a holder of the first may still be looking at. */
static void test_an_older_one_keeps_the_newer(void **state) {
        Epoch *epochs[3] = {make_epoch(), make_epoch(), make_epoch()};
        Region *early = make_region(), *late = make_region();

        close_with(epochs[0], epochs[1], early);
        close_with(epochs[1], epochs[2], late);
        epoch_unref(epochs[1]);
        assert_int_equal(count(early), 2);
        assert_int_equal(count(late), 2);
        epoch_unref(epochs[0]);
        assert_int_equal(count(early), 1);
        assert_int_equal(count(late), 1);
        epoch_unref(epochs[2]);
        region_unref(early);
        region_unref(late);
}

static void test_a_newer_one_does_not_keep_the_older(void **state) {
        Epoch *epochs[3] = {make_epoch(), make_epoch(), make_epoch()};
        Region *early = make_region(), *late = make_region();

        close_with(epochs[0], epochs[1], early);
        close_with(epochs[1], epochs[2], late);
        epoch_unref(epochs[0]);
        assert_int_equal(count(early), 1);
        assert_int_equal(count(late), 2);
        epoch_unref(epochs[1]);
        assert_int_equal(count(late), 1);
        epoch_unref(epochs[2]);
        region_unref(early);
        region_unref(late);
}

static void test_each_kind_of_hidden_thing(void **state) {
        Epoch *first = make_epoch(), *second = make_epoch();
        IOEventFD *ioeventfd = NULL;
        Coalesced *zone = NULL;
        Region *region = make_region();

        assert_int_equal(ioeventfd_new(&ioeventfd, 0, 4, false, 0, -1), 0);
        assert_int_equal(coalesced_new(&zone, (Range){0, 7}), 0);
        epoch_close(first, second,
                    hidden_of((Hidden){region_ref(region), ioeventfd_ref(ioeventfd),
                                       coalesced_ref(zone)}),
                    1);
        assert_int_equal(count(region), 2);
        assert_int_equal(count_of(&ioeventfd->ref), 2);
        assert_int_equal(count_of(&zone->ref), 2);
        epoch_unref(first);
        assert_int_equal(count(region), 1);
        assert_int_equal(count_of(&ioeventfd->ref), 1);
        assert_int_equal(count_of(&zone->ref), 1);
        epoch_unref(second);
        ioeventfd_unref(ioeventfd);
        coalesced_unref(zone);
        region_unref(region);
}

/* A reader may sleep through very many commits; letting go must not recurse as deep. */
static void test_long_chain(void **state) {
        enum { N = 1000000 };
        Epoch *oldest = make_epoch(), *last = epoch_ref(oldest);

        for (int i = 0; i < N; i++) {
                Epoch *next = make_epoch();

                epoch_close(last, next, NULL, 0);
                epoch_unref(last);
                last = next;
        }
        epoch_unref(last);
        epoch_unref(oldest);
}

/* Nodes of several views */

enum { N_VIEWS = 5, N_ITEMS = 2000 };

/* Views that follow one another, each a tree that has another item than the one before. */
typedef struct Line {
        FlatView *views[N_VIEWS];
        TreeShape shapes[N_VIEWS];
        Items items[N_VIEWS];
        Region *hidden[N_VIEWS]; /* left to the view of that number, but for the last one's */
        ViewTree tree;           /* the last one's */
} Line;

/* The nodes that the views but the last leave behind, by the view that is the last to have them. */
static struct {
        const Line *line; /* whose nodes are counted; NULL: nobody's */
        size_t n_freed[N_VIEWS];
        int newest; /* the latest view that a freed node was of */
        bool in_order;
} watch;

void __real_free(void *memory);
void __wrap_free(void *memory);

static bool left_by(const Line *line, int view, const void *node) {
        return tree_shape_has(&line->shapes[view], node) &&
               (view == N_VIEWS - 1 || !tree_shape_has(&line->shapes[view + 1], node));
}

void __wrap_free(void *memory) {
        for (int i = 0; watch.line && memory && i < N_VIEWS; i++)
                if (left_by(watch.line, i, memory)) {
                        watch.n_freed[i]++;
                        watch.in_order &= watch.newest <= i;
                        watch.newest = i;
                }
        __real_free(memory);
}

static void add_view(Line *line, int i, ViewSplice *splice) {
        _cleanup_(epoch_unrefp) Epoch *epoch = make_epoch();
        FlatView *before = i > 0 ? line->views[i - 1] : NULL;
        CDS_LIST_HEAD(none);

        assert_int_equal(flat_view_new(&line->views[i], epoch, &line->tree, &(ViewTree){}), 0);
        tree_shape_init(&line->shapes[i], &line->tree, sizeof(Item));
        line->hidden[i] = make_region();
        view_splice_settle(splice, before ? &before->epoch->nodes : &none);
        if (before)
                close_with(before->epoch, epoch, line->hidden[i - 1]);
}

static void line_init(Line *line) {
        Items items = items_every(0, 10, N_ITEMS);

        *line = (Line){};
        for (int i = 0; i < N_VIEWS; i++) {
                Item item = {{(uint64_t)i * 2000, (uint64_t)i * 2000}, items_new_tag()};
                Range window = i > 0 ? item.range : RANGE_WHOLE;
                ViewSplice splice;

                view_splice_init(&splice);
                assert_int_equal(view_tree_splice(&line->tree, &splice, sizeof(Item), window,
                                                  i > 0 ? &item : items.items, i > 0 ? 1 : items.n),
                                 0);
                if (i > 0)
                        items_splice(&items, window, &item, 1);
                line->items[i] = items_copy(&items);
                add_view(line, i, &splice);
        }
        items_deinit(&items);
        memset(&watch, 0, sizeof(watch));
        watch.in_order = true;
        watch.line = line;
}

static void line_deinit(Line *line) {
        watch.line = NULL;
        for (int i = 0; i < N_VIEWS; i++) {
                tree_shape_deinit(&line->shapes[i]);
                items_deinit(&line->items[i]);
                region_unref(line->hidden[i]);
        }
}

static void check_items(const Line *line, int view) {
        ViewCursor cursor;
        const Item *item =
                view_cursor_seek(&cursor, &line->views[view]->sections, sizeof(*item), 0);

        for (size_t i = 0; i < N_ITEMS; i++, item = view_cursor_next(&cursor)) {
                assert_non_null(item);
                assert_int_equal(item->tag, line->items[view].items[i].tag);
        }
        assert_null(item);
}

/* Of the views before `n` all has gone, nodes and hidden things; of the others nothing has. */
static void check_gone(const Line *line, int n) {
        for (int i = 0; i < N_VIEWS - 1; i++) {
                size_t n_left = tree_shape_missing(&line->shapes[i], &line->shapes[i + 1]);

                assert_true(n_left > 0);
                assert_int_equal(watch.n_freed[i], i < n ? n_left : 0);
                assert_int_equal(count(line->hidden[i]), i < n ? 1 : 2);
        }
        assert_int_equal(watch.n_freed[N_VIEWS - 1], 0);
        assert_true(watch.in_order);
}

static void test_the_oldest_reader_keeps_nodes(void **state) {
        Line line;

        line_init(&line);
        flat_view_unref(line.views[1]);
        flat_view_unref(line.views[3]);
        flat_view_unref(line.views[2]);
        check_gone(&line, 0);
        check_items(&line, 0);
        flat_view_unref(line.views[0]);
        check_gone(&line, N_VIEWS - 1);
        check_items(&line, N_VIEWS - 1);
        flat_view_unref(line.views[N_VIEWS - 1]);
        view_tree_free(line.tree);
        assert_int_equal(watch.n_freed[N_VIEWS - 1], line.shapes[N_VIEWS - 1].n_nodes);
        line_deinit(&line);
}

static void test_a_reader_in_the_middle_keeps_what_follows(void **state) {
        Line line;

        line_init(&line);
        flat_view_unref(line.views[0]);
        check_gone(&line, 1);
        flat_view_unref(line.views[1]);
        check_gone(&line, 2);
        flat_view_unref(line.views[3]);
        check_gone(&line, 2);
        check_items(&line, 2);
        flat_view_unref(line.views[2]);
        check_gone(&line, N_VIEWS - 1);
        check_items(&line, N_VIEWS - 1);
        flat_view_unref(line.views[N_VIEWS - 1]);
        view_tree_free(line.tree);
        line_deinit(&line);
}

UNIT_TESTS(cmocka_unit_test(test_open_epoch), cmocka_unit_test(test_drops_its_regions),
           cmocka_unit_test(test_an_older_one_keeps_the_newer),
           cmocka_unit_test(test_a_newer_one_does_not_keep_the_older),
           cmocka_unit_test(test_each_kind_of_hidden_thing), cmocka_unit_test(test_long_chain),
           cmocka_unit_test(test_the_oldest_reader_keeps_nodes),
           cmocka_unit_test(test_a_reader_in_the_middle_keeps_what_follows));
