/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * dax devices: what sysfs says of one, and memory of one; /dev/zero is dressed up as such here
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

#include "lib/memory/backing.h"
#include "lib/memory/dax-device.h"
#include "lib/memory/map-error.h"
#include "tests/common/made-host.h"

#define ZERO "/sys/dev/char/1:5/"
#define MIB  (UINT64_C(1) << 20)

static int read_zero(DAXDevice *ret) {
        return dax_device_read(ret, made_host, makedev(1, 5));
}

/* 4 MiB of 2 MiB pages. */
static void put_device(void) {
        put_link(ZERO "subsystem", "../../../bus/dax");
        put_file(ZERO "size", "4194304\n");
        put_file(ZERO "align", "2097152\n");
}

static void test_sysfs(void **state) {
        DAXDevice device;

        put_device();
        assert_int_equal(read_zero(&device), 0);
        assert_int_equal(device.size, 4 * MIB);
        assert_int_equal(device.align, 2 * MIB);
        assert_int_equal(dax_device_read(&device, made_host, makedev(1, 3)), -ENODEV);
}

static void test_other_devices(void **state) {
        DAXDevice device;

        put_link(ZERO "subsystem", "../../../class/mem");
        put_file(ZERO "size", "4194304\n");
        put_file(ZERO "align", "2097152\n");
        assert_int_equal(read_zero(&device), -ENODEV);
}

static void test_no_sense(void **state) {
        static const char *const aligns[] = {"", "none\n", "0\n", "3145728\n"};
        DAXDevice device;

        put_link(ZERO "subsystem", "../../../bus/dax");
        assert_int_equal(read_zero(&device), -EINVAL);
        put_file(ZERO "size", "4194304\n");
        for (size_t i = 0; i < ELEMENTS_OF(aligns); i++) {
                put_file(ZERO "align", aligns[i]);
                assert_int_equal(read_zero(&device), -EINVAL);
        }
}

static int pass(Backing **ret, uint64_t offset, uint64_t size, const BackingSpec *spec,
                Detail *detail) {
        _cleanup_(closep) int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
        PassedFD passed = {.fd = fd, .offset = offset, .root = made_host};

        return backing_new_passed(ret, 1, "pmem", size, spec, &passed, detail);
}

static void test_memory(void **state) {
        _cleanup_(backing_unrefp) Backing *backing = NULL;
        char bytes[4] = {};

        put_device();
        assert_int_equal(pass(&backing, 0, 3 * MIB, NULL, NULL), 0);
        assert_int_equal(backing->page, 2 * MIB);
        assert_int_equal(backing->mapped, 4 * MIB);
        assert_false(backing->sealed);
        assert_int_equal(backing_write(backing, "pmem", MIB, "abc", 4, NULL), 0);
        assert_string_equal((char *)backing->host + MIB, "abc");
        assert_int_equal(backing_read(backing, "pmem", MIB, bytes, 4, NULL), 0);
        assert_string_equal(bytes, "abc");
}

static void assert_refused(uint64_t offset, uint64_t size, const BackingSpec *spec, int outcome,
                           const char *words) {
        Backing *backing = NULL;
        Detail detail = {};

        assert_int_equal(pass(&backing, offset, size, spec, &detail), outcome);
        assert_string_equal(detail.text, words);
}

static void test_refused(void **state) {
        const BackingSpec node = {.numa = {NUMA_PREFERRED, 1}};

        put_link(ZERO "subsystem", "../../../bus/dax");
        assert_refused(
                0, MIB, NULL, MAP_E_INVALID_ARGUMENT,
                "memory of \"pmem\": the descriptor is of a dax device without size or align "
                "in /sys");
        put_file(ZERO "size", "4194304\n");
        put_file(ZERO "align", "2097152\n");
        assert_refused(MIB, MIB, NULL, MAP_E_INVALID_RANGE,
                       "memory of \"pmem\": offset 0x100000 in the file is no multiple of its page "
                       "size, 2MiB");
        assert_refused(2 * MIB, 4 * MIB, NULL, MAP_E_INVALID_RANGE,
                       "memory of \"pmem\": 4MiB at offset 0x200000 reach beyond the end "
                       "of the file (size 4MiB)");
        assert_refused(0, MIB, &node, MAP_E_INVALID_ARGUMENT,
                       "memory of \"pmem\": the descriptor's file is on a disk or a device, whose "
                       "pages come from no NUMA nodes of choice");
}

#define TEST(function)                                                                             \
        cmocka_unit_test_setup_teardown(function, made_host_setup, made_host_teardown)

UNIT_TESTS(TEST(test_sysfs), TEST(test_other_devices), TEST(test_no_sense), TEST(test_memory),
           TEST(test_refused));
