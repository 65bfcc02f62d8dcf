/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Slots when things fail: every ioctl, every allocation, a later listener, and the taking back
 *
 * After a failed commit the kernel's slots, the committer's and the trapped bytes are what they
 * were, and the same commit goes through when nothing fails any more.
 */

#include <string.h>

#include "lib/memory/map-error.h"
#include "tests/common/unit.h"
#include "tests/unit/fail-allocation.h"
#include "tests/unit/mock-kvm.h"
#include "tests/unit/slots-scene.h"

enum { SECTIONS_MAX = 16, N_OPS = 9 };

/*
 * The maps that failures are tried on: from the one to the other takes two deletes, two moves that
 * wait for each other, two changes of flags and three creates.
 */
static size_t rich_map(const SlotsScene *scene, Section *sections, bool after) {
        const Section before_map[] = {
                ram(scene, 'a', 0x000000, 0x0fffff, 0, 0),
                ram(scene, 'b', 0x100000, 0x1fffff, 0, 0),
                ram(scene, 'c', 0x200800, 0x2fffff, 0x800, 0),
                ram(scene, 'd', 0x400000, 0x4fffff, 0, 0),
                ram(scene, 'd', 0x500000, 0x5fffff, 0x200000, REGION_DIRTY_LOG),
                ram(scene, 'e', 0x600000, 0x6fffff, 0, 0),
        };
        const Section after_map[] = {
                ram(scene, 'a', 0x000000, 0x0fffff, 0, REGION_READONLY),
                ram(scene, 'f', 0x100000, 0x1fffff, 0, 0),
                ram(scene, 'b', 0x200000, 0x2fffff, 0, 0),
                ram(scene, 'c', 0x300800, 0x3fffff, 0x800, 0),
                ram(scene, 'd', 0x400000, 0x4fffff, 0, REGION_DIRTY_LOG),
                ram(scene, 'd', 0x500000, 0x5fffff, 0x200000, 0),
                ram(scene, 'f', 0x700400, 0x7fffff, 0x100400, 0),
        };

        memcpy(sections, after ? after_map : before_map,
               after ? sizeof(after_map) : sizeof(before_map));
        return after ? ELEMENTS_OF(after_map) : ELEMENTS_OF(before_map);
}

/* The committer knows what the kernel has. */
static void assert_in_step(const SlotsScene *scene) {
        char *slots = slots_text(scene);

        assert_text(mock_kvm_slots(), slots);
        free(slots);
}

static void test_rich(void **state) {
        SlotsScene *scene = *state;
        Section sections[SECTIONS_MAX];

        assert_int_equal(commit(scene, sections, rich_map(scene, sections, false)), 0);
        free(mock_kvm_take());
        assert_int_equal(commit(scene, sections, rich_map(scene, sections, true)), 0);
        assert_text(mock_kvm_take(), "0 delete\n"
                                     "5 delete\n"
                                     "2 301000-3fffff c0001000\n"
                                     "1 200000-2fffff b0000000\n"
                                     "3 400000-4fffff d0000000 log\n"
                                     "4 500000-5fffff d0200000\n"
                                     "0 0-fffff a0000000 ro\n"
                                     "5 100000-1fffff f0000000\n"
                                     "6 701000-7fffff f0101000\n");
}

/* Each ioctl fails in turn: those before it are taken back, latest first, and all is as it was. */
static void test_every_ioctl_fails(void **state) {
        SlotsScene *scene = *state;
        Section before[SECTIONS_MAX], after[SECTIONS_MAX];
        size_t n_before = rich_map(scene, before, false), n_after = rich_map(scene, after, true);

        assert_int_equal(commit(scene, before, n_before), 0);
        for (unsigned n = 1; n <= N_OPS; n++) {
                char *kernel = mock_kvm_slots(), *slots = slots_text(scene);
                uint64_t trapped = slots_trapped(scene->slots);

                free(mock_kvm_take());
                mock_kvm.fail_at = n;
                mock_kvm.fail_errno = n % 2 ? -ENOMEM : -EINVAL;
                scene->detail.text[0] = '\0';
                assert_int_equal(commit(scene, after, n_after), MAP_E_KVM);
                assert_non_null(strstr(scene->detail.text,
                                       n % 2 ? ": Cannot allocate memory" : ": Invalid argument"));
                assert_int_equal(mock_kvm.n_calls, 2 * n - 1);
                mock_kvm.fail_at = 0;

                assert_text(mock_kvm_slots(), kernel);
                assert_text(slots_text(scene), slots);
                assert_int_equal(slots_trapped(scene->slots), trapped);
                assert_int_equal(slots_used(scene->slots), 6);
                free(kernel);
                free(slots);
        }
        /* And then it goes through, with the numbers that it would have had at first. */
        free(mock_kvm_take());
        assert_int_equal(commit(scene, after, n_after), 0);
        assert_int_equal(mock_kvm.n_calls, N_OPS);
        assert_text(mock_kvm_slots(), "0 0-fffff a0000000 ro\n"
                                      "5 100000-1fffff f0000000\n"
                                      "1 200000-2fffff b0000000\n"
                                      "2 301000-3fffff c0001000\n"
                                      "3 400000-4fffff d0000000 log\n"
                                      "4 500000-5fffff d0200000\n"
                                      "6 701000-7fffff f0101000\n");
}

static void test_refusal_is_named(void **state) {
        SlotsScene *scene = *state;

        mock_kvm.fail_at = 2;
        mock_kvm.fail_errno = -EEXIST;
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0, 0xfff, 0, 0),
                                ram(scene, 'b', 0x2000, 0x4fff, 0, 0)),
                         MAP_E_KVM);
        assert_string_equal(scene->detail.text,
                            "region \"b\": slot 1: create 0x2000-0x4fff of backing 2: File exists");
        assert_text(mock_kvm_take(), "0 0-fff a0000000\n"
                                     "1 2000-4fff b0000000: File exists\n"
                                     "0 delete\n");

        mock_kvm.fail_at = 0;
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0, 0xfff, 0, 0)), 0);
        mock_kvm.fail_at = 2;
        mock_kvm.fail_errno = -EIO;
        assert_int_equal(commit(scene, NULL, 0), MAP_E_KVM);
        assert_string_equal(scene->detail.text, "region \"a\": slot 0: delete 0x0-0xfff of backing "
                                                "1: Input/output error");
}

/* A later listener refuses: undo() takes back what apply() did. */
static void test_undo(void **state) {
        SlotsScene *scene = *state;
        Listener *listener = slots_listener(scene->slots);
        Section before[SECTIONS_MAX], after[SECTIONS_MAX];
        size_t n_before = rich_map(scene, before, false), n_after = rich_map(scene, after, true);
        _cleanup_(slots_change_deinit) SlotsChange change;
        char *kernel, *slots;
        uint64_t trapped;

        assert_int_equal(commit(scene, before, n_before), 0);
        kernel = mock_kvm_slots();
        slots = slots_text(scene);
        trapped = slots_trapped(scene->slots);
        slots_change_init(&change, scene, "memory", after, n_after);
        assert_int_equal(slots_change_carry_out(&change, scene), 0);
        assert_int_not_equal(slots_trapped(scene->slots), trapped);
        listener->ops->undo(listener, &change.commit);
        slots_change_settle(&change, scene);
        assert_text(mock_kvm_slots(), kernel);
        assert_text(slots_text(scene), slots);
        assert_int_equal(slots_trapped(scene->slots), trapped);
        free(kernel);
        free(slots);
}

/* There is a slot for each of the sections, and none beside. */
static void assert_covers(const SlotsScene *scene, const Section *sections, size_t n) {
        assert_int_equal(slots_used(scene->slots), n);
        for (size_t i = 0; i < n; i++) {
                const Slot *slot = slots_first(scene->slots, sections[i].range.first);
                Extent extent;

                assert_true(extent_from_section(&sections[i], scene->kvm, &extent));
                assert_non_null(slot);
                assert_true(range_equal(slot->extent.range, extent.range));
                assert_int_equal(slot->extent.host, extent.host);
                assert_int_equal(slot->extent.flags, extent.flags);
        }
}

/*
 * The kernel refuses, and then refuses to take back: the committer knows what is there, and the
 * next commit sets it right.
 */
static void test_undo_refused(void **state) {
        SlotsScene *scene = *state;
        Section before[SECTIONS_MAX], after[SECTIONS_MAX];
        size_t n_before = rich_map(scene, before, false), n_after = rich_map(scene, after, true);

        for (unsigned n = 2; n <= N_OPS; n++) {
                assert_int_equal(commit(scene, before, n_before), 0);
                assert_covers(scene, before, n_before);
                free(mock_kvm_take());
                mock_kvm.fail_at = n;
                mock_kvm.fail_more = N_OPS;
                mock_kvm.fail_errno = -ENOMEM;
                assert_int_equal(commit(scene, after, n_after), MAP_E_KVM);
                mock_kvm.fail_at = 0;
                mock_kvm.fail_more = 0;
                assert_in_step(scene);

                assert_int_equal(commit(scene, after, n_after), 0);
                assert_in_step(scene);
                assert_covers(scene, after, n_after);
        }
        assert_int_equal(commit(scene, NULL, 0), 0);
        assert_text(mock_kvm_slots(), "");
}

/*
 * A slot that changes places gives its number to another view of the same memory. If that one then
 * cannot be deleted again, bringing the first one back would be a move to the kernel.
 */
static void test_undo_refused_number_taken(void **state) {
        SlotsScene *scene = *state;
        const Section before[] = {
                ram(scene, 'd', 0x000000, 0x0fffff, 0, 0),
                ram(scene, 'a', 0x100000, 0x1fffff, 0, 0),
                ram(scene, 'b', 0x200000, 0x2fffff, 0, 0),
        };
        const Section after[] = {
                ram(scene, 'b', 0x100000, 0x1fffff, 0, 0),
                ram(scene, 'a', 0x200000, 0x2fffff, 0, 0),
                ram(scene, 'a', 0x300000, 0x3fffff, 0, 0),
                ram(scene, 'f', 0x400000, 0x4fffff, 0, 0),
        };

        assert_int_equal(commit(scene, before, ELEMENTS_OF(before)), 0);
        free(mock_kvm_take());
        mock_kvm.fail_at = 6;
        mock_kvm.fail_more = 1;
        mock_kvm.fail_errno = -ENOMEM;
        assert_int_equal(commit(scene, after, ELEMENTS_OF(after)), MAP_E_KVM);
        mock_kvm.fail_at = 0;
        assert_text(mock_kvm_take(), "0 delete\n"
                                     "1 delete\n"
                                     "2 100000-1fffff b0000000\n"
                                     "0 200000-2fffff a0000000\n"
                                     "1 300000-3fffff a0000000\n"
                                     "3 400000-4fffff f0000000: Cannot allocate memory\n"
                                     "1 delete: Cannot allocate memory\n"
                                     "0 delete\n"
                                     "2 200000-2fffff b0000000\n"
                                     "0 0-fffff d0000000\n");
        assert_in_step(scene);
        assert_int_equal(commit(scene, before, ELEMENTS_OF(before)), 0);
        assert_in_step(scene);
        assert_covers(scene, before, ELEMENTS_OF(before));
}

/* Who but the scene holds on to the memory of region `name`. */
static long held(const SlotsScene *scene, char name) {
        return scene->backings[name - 'a'].ref.refcount - 2; /* the scene, its region */
}

/* The kernel keeps a slot whose region is gone: its memory must not be unmapped under a guest. */
static void test_memory_is_held(void **state) {
        SlotsScene *scene = *state;

        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0, 0xfffff, 0, 0)), 0);
        assert_int_equal(held(scene, 'a'), 1);
        free(mock_kvm_take());
        mock_kvm.fail_at = 3;
        mock_kvm.fail_more = 1;
        mock_kvm.fail_errno = -ENOMEM;
        assert_int_equal(COMMIT(scene, ram(scene, 'b', 0, 0xfffff, 0, 0),
                                ram(scene, 'c', 0x200000, 0x2fffff, 0, 0)),
                         MAP_E_KVM);
        mock_kvm.fail_at = 0;
        assert_text(mock_kvm_take(), "0 delete\n"
                                     "0 0-fffff b0000000\n"
                                     "1 200000-2fffff c0000000: Cannot allocate memory\n"
                                     "0 delete: Cannot allocate memory\n");
        assert_text(mock_kvm_slots(), "0 0-fffff b0000000\n");
        assert_int_equal(held(scene, 'a'), 0);
        assert_int_equal(held(scene, 'b'), 1);
        assert_int_equal(held(scene, 'c'), 0);

        assert_int_equal(COMMIT(scene, ram(scene, 'c', 0, 0xfffff, 0, 0)), 0);
        assert_int_equal(held(scene, 'b'), 0);
        assert_int_equal(held(scene, 'c'), 1);
}

/* What set things right is itself taken back: it is still to be done. */
static void test_repair_undone(void **state) {
        SlotsScene *scene = *state;
        Listener *listener = slots_listener(scene->slots);
        Section before[SECTIONS_MAX], after[SECTIONS_MAX];
        size_t n_before = rich_map(scene, before, false), n_after = rich_map(scene, after, true);
        _cleanup_(slots_change_deinit) SlotsChange change;

        assert_int_equal(commit(scene, before, n_before), 0);
        free(mock_kvm_take());
        mock_kvm.fail_at = 4;
        mock_kvm.fail_more = 1;
        mock_kvm.fail_errno = -ENOMEM;
        assert_int_equal(commit(scene, after, n_after), MAP_E_KVM);
        mock_kvm.fail_at = 0;

        slots_change_init(&change, scene, "memory", after, n_after);
        assert_int_equal(slots_change_carry_out(&change, scene), 0);
        assert_covers(scene, after, n_after);
        listener->ops->undo(listener, &change.commit);
        slots_change_settle(&change, scene);
        assert_in_step(scene);

        assert_int_equal(commit(scene, after, n_after), 0);
        assert_in_step(scene);
        assert_covers(scene, after, n_after);
}

/* Each allocation of a commit fails in turn. */
static void test_every_allocation_fails(void **state) {
        SlotsScene *scene = *state;
        Section before[SECTIONS_MAX], after[SECTIONS_MAX];
        size_t n_before = rich_map(scene, before, false), n_after = rich_map(scene, after, true);
        _cleanup_(slots_change_deinit) SlotsChange change;
        unsigned n;

        assert_int_equal(commit(scene, before, n_before), 0);
        slots_change_init(&change, scene, "memory", after, n_after);
        for (n = 1;; n++) {
                char *slots = slots_text(scene);
                bool failed;
                int r;

                free(mock_kvm_take());
                fail_allocation_at(n);
                r = slots_change_carry_out(&change, scene);
                failed = fail_allocation_done();
                slots_change_settle(&change, scene);
                if (failed) {
                        assert_true(r == -ENOMEM || r == MAP_E_KVM);
                        assert_text(slots_text(scene), slots);
                }
                free(slots);
                if (!failed) {
                        assert_int_equal(r, 0);
                        break;
                }
        }
        assert_true(n > 10);
}

/* Four slots at most: a cut for which pieces have to be joined. */
static int commit_cut(SlotsScene *scene) {
        return COMMIT(scene, ram(scene, 'a', 0x0000, 0x7fff, 0, 0),
                      ram(scene, 'a', 0x9000, 0xffff, 0x9000, 0),
                      ram(scene, 'b', 0x20000, 0x20fff, 0, 0));
}

static void make_pieces(SlotsScene *scene) {
        scene->kvm->n_slots = 4;
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0x0000, 0x3fff, 0, 0),
                                ram(scene, 'a', 0x6000, 0xffff, 0x6000, 0)),
                         0);
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0x0000, 0xffff, 0, 0)), 0);
        free(mock_kvm_take());
}

static void assert_cut(SlotsScene *scene) {
        assert_text(mock_kvm_slots(), "0 0-3fff a0000000\n"
                                      "2 4000-7fff a0004000\n"
                                      "1 9000-ffff a0009000\n"
                                      "3 20000-20fff b0000000\n");
        assert_in_step(scene);
}

static void test_cut_ioctls_fail(void **state) {
        SlotsScene *scene = *state;
        enum { N_CUT_OPS = 5 };

        make_pieces(scene);
        for (unsigned n = 1; n <= N_CUT_OPS; n++) {
                char *before = mock_kvm_slots();

                free(mock_kvm_take());
                mock_kvm.fail_at = n;
                mock_kvm.fail_errno = -ENOMEM;
                assert_int_equal(commit_cut(scene), MAP_E_KVM);
                mock_kvm.fail_at = 0;
                assert_text(mock_kvm_slots(), before);
                assert_in_step(scene);
                free(before);
        }
        free(mock_kvm_take());
        assert_int_equal(commit_cut(scene), 0);
        assert_int_equal(mock_kvm.n_calls, N_CUT_OPS);
        assert_cut(scene);
}

static void test_cut_allocations_fail(void **state) {
        SlotsScene *scene = *state;
        _cleanup_(slots_change_deinit) SlotsChange change;
        const Section sections[] = {ram(scene, 'a', 0x0000, 0x7fff, 0, 0),
                                    ram(scene, 'a', 0x9000, 0xffff, 0x9000, 0),
                                    ram(scene, 'b', 0x20000, 0x20fff, 0, 0)};
        unsigned n = 0;
        int r = 0;

        make_pieces(scene);
        slots_change_init(&change, scene, "memory", sections, ELEMENTS_OF(sections));
        for (bool failed = true; failed;) {
                char *before = slots_text(scene);

                fail_allocation_at(++n);
                r = slots_change_carry_out(&change, scene);
                failed = fail_allocation_done();
                slots_change_settle(&change, scene);
                if (failed) {
                        assert_true(r == -ENOMEM || r == MAP_E_KVM);
                        assert_text(slots_text(scene), before);
                }
                free(before);
        }
        assert_int_equal(r, 0);
        assert_true(n > 15);
        assert_cut(scene);
}

static void test_new_fails(void **state) {
        SlotsScene *scene = *state;
        Slots *slots = NULL;

        for (unsigned n = 1; n <= 2; n++) {
                fail_allocation_at(n);
                assert_int_equal(slots_new(&slots, scene->kvm, "memory"), -ENOMEM);
                assert_true(fail_allocation_done());
                assert_null(slots);
        }
        assert_null(slots_free(NULL));
}

#define TEST(function)                                                                             \
        cmocka_unit_test_setup_teardown(function, slots_scene_setup, slots_scene_teardown)

UNIT_TESTS(TEST(test_rich), TEST(test_every_ioctl_fails), TEST(test_refusal_is_named),
           TEST(test_undo), TEST(test_undo_refused), TEST(test_undo_refused_number_taken),
           TEST(test_memory_is_held), TEST(test_repair_undone), TEST(test_every_allocation_fails),
           TEST(test_cut_ioctls_fail), TEST(test_cut_allocations_fail), TEST(test_new_fails));
