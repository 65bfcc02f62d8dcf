/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/eventfd.h>

#include "lib/kvm/bus-table.h"
#include "tests/common/bus-rules.h"
#include "tests/common/unit.h"

typedef struct Rules Rules;

struct Rules {
        Accelerator *accelerator;
        bool ports;
        int fd;
};

enum { AT = 0x1000 };

static int set(const Rules *rules, bool remove, uint64_t address, uint32_t length) {
        BusOp op = {
                .remove = remove,
                .ports = rules->ports,
                .length = length,
                .fd = rules->fd,
                .address = address,
        };

        return accelerator_set_device(rules->accelerator, &op);
}

static int set_match(const Rules *rules, bool remove, uint32_t length, uint64_t data) {
        BusOp op = {
                .remove = remove,
                .ports = rules->ports,
                .match = true,
                .length = length,
                .fd = rules->fd,
                .address = AT,
                .data = data,
        };

        return accelerator_set_device(rules->accelerator, &op);
}

static int set_zone(const Rules *rules, bool remove, uint64_t address, uint32_t length) {
        BusOp op = {
                .remove = remove,
                .ports = rules->ports,
                .is_zone = true,
                .length = length,
                .address = address,
        };

        return accelerator_set_device(rules->accelerator, &op);
}

static void assert_invalid(const Rules *rules) {
        assert_int_equal(set(rules, false, AT, 3), -EINVAL);
        assert_int_equal(set(rules, false, AT, 16), -EINVAL);
        assert_int_equal(set_match(rules, false, 0, 7), -EINVAL);
        assert_int_equal(set(rules, false, UINT64_MAX, 1), -EINVAL);
        assert_int_equal(set(rules, false, UINT64_MAX - 7, 8), -EINVAL);
        assert_int_equal(set(rules, true, AT, 4), -ENOENT);
}

static void assert_lengths(const Rules *rules) {
        assert_int_equal(set(rules, false, AT, 4), 0);
        assert_int_equal(set(rules, false, AT, 4), -EEXIST);
        assert_int_equal(set(rules, false, AT, 0), -EEXIST);
        assert_int_equal(set(rules, false, AT, 2), 0);
        assert_int_equal(set(rules, false, AT + 1, 4), 0); /* merely overlaps */
        assert_int_equal(set(rules, true, AT, 1), -ENOENT);
        assert_int_equal(set(rules, true, AT, 2), 0);
        assert_int_equal(set(rules, true, AT, 2), -ENOENT);
        assert_int_equal(set(rules, true, AT, 4), 0);
        assert_int_equal(set(rules, true, AT + 1, 4), 0);

        assert_int_equal(set(rules, false, AT, 0), 0);
        assert_int_equal(set(rules, false, AT, 8), -EEXIST);
        assert_int_equal(set(rules, true, AT, 0), 0);
}

static void assert_matches(const Rules *rules) {
        const uint64_t wide = UINT64_C(0x123456789abcdef0);

        assert_int_equal(set_match(rules, false, 8, wide), 0);
        assert_int_equal(set_match(rules, false, 8, wide), -EEXIST);
        assert_int_equal(set_match(rules, false, 8, (uint32_t)wide), 0);
        assert_int_equal(set_match(rules, false, 4, wide), 0);
        assert_int_equal(set(rules, false, AT, 8), -EEXIST);
        assert_int_equal(set_match(rules, true, 8, wide + 1), -ENOENT);
        assert_int_equal(set(rules, true, AT, 8), -ENOENT);
        assert_int_equal(set_match(rules, true, 8, wide), 0);
        assert_int_equal(set_match(rules, true, 8, (uint32_t)wide), 0);
        assert_int_equal(set_match(rules, true, 4, wide), 0);
}

/* Two may be equal or overlap; what goes takes along all that cover it. */
static void assert_zones(const Rules *rules) {
        assert_int_equal(set_zone(rules, false, AT, 0x20), 0);
        assert_int_equal(set_zone(rules, false, AT, 0x20), 0);
        assert_int_equal(set_zone(rules, false, AT + 8, 0x20), 0);
        assert_int_equal(set_zone(rules, true, AT + 8, 0x10), 0);
        assert_int_equal(set_zone(rules, true, AT, 0x20), 0);
        assert_int_equal(set_zone(rules, true, AT, 0x20), 0);
}

static void assert_limit(const Rules *rules) {
        for (unsigned i = 0; i < BUS_ZONES_MAX; i++)
                assert_int_equal(set_zone(rules, false, AT + 16 * i, 16), 0);
        assert_int_equal(set(rules, false, AT, 4), 0);
        assert_int_equal(set_zone(rules, false, AT + 16 * BUS_ZONES_MAX, 16), 0);
        assert_int_equal(set(rules, false, AT, 2), -ENOSPC);
        assert_int_equal(set(rules, false, AT, 4), -EEXIST);
        assert_int_equal(set_zone(rules, false, AT + 16 * (BUS_ZONES_MAX + 1), 16), -ENOSPC);
        assert_int_equal(set(rules, true, AT, 4), 0);
        for (unsigned i = 0; i <= BUS_ZONES_MAX; i++) {
                assert_int_equal(set_zone(rules, true, AT + 16 * i, 16), 0);
                if (i == 0)
                        assert_int_equal(set(rules, false, AT, 2), 0);
        }
        assert_int_equal(set(rules, true, AT, 2), 0);
}

void assert_bus_rules(Accelerator *accelerator, bool ports) {
        _cleanup_(closep) int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        Rules rules = {accelerator, ports, fd};

        assert_true(fd >= 0);
        assert_invalid(&rules);
        assert_lengths(&rules);
        assert_matches(&rules);
        assert_zones(&rules);
        assert_limit(&rules);
}
