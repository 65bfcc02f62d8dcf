/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Slots: which commits hold the vCPUs, from when to when
 */

#include "lib/memory/map-error.h"
#include "tests/common/unit.h"
#include "tests/unit/mock-kvm.h"
#include "tests/unit/slots-scene.h"

static RunGate gate;

static int setup(void **state) {
        SlotsScene *scene;
        int r;

        r = slots_scene_setup(state);
        if (r != 0)
                return r;
        scene = *state;
        assert_int_equal(run_gate_init(&gate), 0);
        slots_set_gate(scene->slots, &gate);
        return 0;
}

static int teardown(void **state) {
        int r = slots_scene_teardown(state);

        assert_int_equal(gate.n_holds, 0);
        run_gate_deinit(&gate);
        return r;
}

/* Commits, and says whether vCPUs are held when it has been applied. */
static bool holds(SlotsScene *scene, const Section *sections, size_t n) {
        _cleanup_(slots_change_deinit) SlotsChange change;
        bool held;

        slots_change_init(&change, scene, "memory", sections, n);
        assert_int_equal(slots_change_carry_out(&change, scene), 0);
        held = gate.n_holds > 0;
        slots_listener(scene->slots)->ops->published(slots_listener(scene->slots), &change.commit);
        assert_int_equal(gate.n_holds, 0);
        slots_change_settle(&change, scene);
        flat_view_unref(scene->view);
        scene->view = TAKE_PTR(change.view);
        return held;
}

#define HOLDS(scene, ...)                                                                          \
        holds(scene, (const Section[]){__VA_ARGS__},                                               \
              sizeof((const Section[]){__VA_ARGS__}) / sizeof(Section))

static void test_who_holds(void **state) {
        SlotsScene *scene = *state;
        Section a = ram(scene, 'a', 0, 0xfffff, 0, 0),
                b = ram(scene, 'b', 0x200000, 0x2fffff, 0, 0);

        assert_false(HOLDS(scene, a));
        assert_false(HOLDS(scene, a, b));
        a.flags = REGION_DIRTY_LOG;
        assert_false(HOLDS(scene, a, b));
        a.flags |= REGION_NONVOLATILE;
        assert_false(HOLDS(scene, a, b));
        /* Another flag, another place, another size, none at all. */
        a.flags |= REGION_READONLY;
        assert_true(HOLDS(scene, a, b));
        b.range = (Range){0x400000, 0x4fffff};
        assert_true(HOLDS(scene, a, b));
        b.range.last = 0x47ffff;
        assert_true(HOLDS(scene, a, b));
        assert_true(HOLDS(scene, a));
}

/* In force at once or not at all; either way vCPUs go on. */
static void test_failed(void **state) {
        SlotsScene *scene = *state;
        _cleanup_(slots_change_deinit) SlotsChange change;
        Section a = ram(scene, 'a', 0, 0xfffff, 0, 0), b = ram(scene, 'b', 0, 0xfffff, 0, 0);

        assert_int_equal(COMMIT(scene, a), 0);
        slots_change_init(&change, scene, "memory", &b, 1);
        mock_kvm.fail_at = mock_kvm.n_calls + 2;
        mock_kvm.fail_errno = -ENOMEM;
        assert_int_equal(slots_change_carry_out(&change, scene), MAP_E_KVM);
        assert_int_equal(gate.n_holds, 0);
        slots_change_settle(&change, scene);
        mock_kvm.fail_at = 0;

        assert_int_equal(slots_change_carry_out(&change, scene), 0);
        assert_int_equal(gate.n_holds, 1);
        slots_listener(scene->slots)->ops->undo(slots_listener(scene->slots), &change.commit);
        assert_int_equal(gate.n_holds, 0);
        slots_change_settle(&change, scene);

        /* Nobody was told of it, and it was not taken back. */
        assert_int_equal(slots_change_carry_out(&change, scene), 0);
        assert_int_equal(gate.n_holds, 1);
        slots_change_settle(&change, scene);
        assert_int_equal(gate.n_holds, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

UNIT_TESTS(TEST(test_who_holds), TEST(test_failed));
