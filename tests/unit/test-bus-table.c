/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The rules of a bus, as the table of accelerator=none keeps them
 *
 * That the kernel has the same ones is tried in tests/kvm.
 */

#include "lib/kvm/accelerator.h"
#include "tests/common/bus-rules.h"
#include "tests/common/unit.h"

static void test_rules(void **state) {
        _cleanup_(accelerator_freep) Accelerator *none = NULL;

        assert_int_equal(accelerator_new_none(&none, 0), 0);
        assert_true(none->ring_page > 0);
        assert_true(none->has_port_zones);
        assert_bus_rules(none, false);
        assert_bus_rules(none, true);
}

UNIT_TESTS(cmocka_unit_test(test_rules));
