/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Accelerators: what is asked of KVM, and the rules for slots that the table keeps
 */

#include <linux/kvm.h>
#include <sys/mman.h>

#include "lib/kvm/accelerator.h"
#include "lib/memory/map-error.h"
#include "tests/common/unit.h"
#include "tests/unit/mock-kvm.h"

#define MIB UINT64_C(0x100000)

enum { HOST = 0x10000000, RO = KVM_MEM_READONLY, LOG = KVM_MEM_LOG_DIRTY_PAGES };

static Accelerator *must_kvm(void) {
        Accelerator *kvm = NULL;
        Detail detail = {};

        if (accelerator_new_kvm(&kvm, &detail) != 0)
                fail_msg("%s", detail.text);
        return kvm;
}

static void test_kvm_limits(void **state) {
        _cleanup_(accelerator_freep) Accelerator *kvm = NULL;

        mock_kvm.nr_memslots = 509;
        mock_kvm.readonly_mem = 0;
        mock_kvm.cpuid_width = 0x3027;
        kvm = must_kvm();
        assert_string_equal(kvm->ops->name, "kvm");
        assert_int_equal(kvm->n_slots, 509);
        assert_false(kvm->has_readonly);
        assert_int_equal(kvm->address_last, (UINT64_C(1) << 39) - 1);
        assert_int_equal(kvm->page_size, sysconf(_SC_PAGESIZE));
        assert_int_equal(kvm->slot_size_max % (UINT64_C(1) << 30), 0);
        assert_true(kvm->slot_size_max / kvm->page_size <= (UINT64_C(1) << 31) - 1);
        assert_true(accelerator_vm_fd(kvm) >= 0);
}

static void assert_width(unsigned bits) {
        _cleanup_(accelerator_freep) Accelerator *kvm = must_kvm();

        assert_int_equal(kvm->address_last, (UINT64_C(1) << bits) - 1);
}

static void test_kvm_width(void **state) {
        assert_width(48);
        mock_kvm.cpuid_width = 0x3934;
        assert_width(52);
        mock_kvm.cpuid_width = 0xff; /* no x86 has more than 52 */
        assert_width(52);
        mock_kvm.cpuid_width = 0x20; /* nor KVM less than 36 */
        assert_width(36);
        mock_kvm.cpuid_width = 0;
        assert_width(36);
        mock_kvm.cpuid = -E2BIG;
        assert_width(36);
}

static void test_kvm_interrupted(void **state) {
        mock_kvm.create_vm_interrupted = 3;
        accelerator_free(must_kvm());
        assert_int_equal(mock_kvm.create_vm_interrupted, 0);
}

static void assert_no_kvm(const char *words) {
        Accelerator *kvm = NULL;
        Detail detail = {};

        assert_int_equal(accelerator_new_kvm(&kvm, &detail), MAP_E_KVM);
        assert_string_equal(detail.text, words);
        assert_null(kvm);
        assert_int_equal(mock_kvm.n_fds, 0);
}

static void test_kvm_refuses(void **state) {
        mock_kvm.open = -EACCES;
        assert_int_equal(kvm_probe(), -EACCES);
        assert_no_kvm("/dev/kvm: Permission denied");
        mock_kvm.open = 0;

        mock_kvm.api_version = 11;
        assert_int_equal(kvm_probe(), -EPROTONOSUPPORT);
        assert_no_kvm("/dev/kvm: Protocol not supported");
        mock_kvm.api_version = -ENOTTY;
        assert_int_equal(kvm_probe(), -ENOTTY);
        mock_kvm.api_version = KVM_API_VERSION;
        assert_int_equal(kvm_probe(), 0);

        mock_kvm.create_vm = -ENOMEM;
        assert_no_kvm("KVM_CREATE_VM: Cannot allocate memory");
        mock_kvm.create_vm = 0;

        mock_kvm.user_memory = 0;
        assert_no_kvm("/dev/kvm has no KVM_CAP_USER_MEMORY");
        mock_kvm.user_memory = 1;

        mock_kvm.nr_memslots = -EINVAL;
        assert_no_kvm("/dev/kvm does not say how many slots it has");
}

static void test_kvm_set_slot(void **state) {
        _cleanup_(accelerator_freep) Accelerator *kvm = must_kvm();

        assert_int_equal(accelerator_set_slot(kvm, &(SlotOp){7, RO, MIB, MIB, HOST}), 0);
        assert_int_equal(accelerator_set_slot(kvm, &(SlotOp){8, LOG, MIB, MIB, HOST}), -EEXIST);
        assert_int_equal(accelerator_set_slot(kvm, &(SlotOp){7, 0, MIB, 0, HOST}), 0);
        assert_text(mock_kvm_take(), "7 100000-1fffff 10000000 ro\n"
                                     "8 100000-1fffff 10000000 log: File exists\n"
                                     "7 delete\n");
}

static void assert_set(Accelerator *none, int result, uint32_t slot, uint32_t flags,
                       uint64_t address, uint64_t size, uint64_t host) {
        SlotOp op = {slot, flags, address, size, host};

        assert_int_equal(accelerator_set_slot(none, &op), result);
}

static Accelerator *must_none(uint32_t n_slots) {
        Accelerator *none = NULL;

        assert_int_equal(accelerator_new_none(&none, n_slots), 0);
        return none;
}

static void test_none_limits(void **state) {
        _cleanup_(accelerator_freep) Accelerator *none = must_none(0), *small = must_none(2);

        assert_string_equal(none->ops->name, "none");
        assert_int_equal(none->n_slots, 32764);
        assert_int_equal(none->address_last, (UINT64_C(1) << 52) - 1);
        assert_true(none->has_readonly);
        assert_int_equal(accelerator_vm_fd(none), -1);
        assert_set(none, 0, 32763, 0, 0, MIB, HOST);
        assert_set(none, -EINVAL, 32764, 0, 2 * MIB, MIB, HOST);

        assert_set(small, 0, 1, 0, 0, MIB, HOST);
        assert_set(small, -EINVAL, 2, 0, 2 * MIB, MIB, HOST);
}

static void test_none_overlap(void **state) {
        _cleanup_(accelerator_freep) Accelerator *none = must_none(0);

        assert_set(none, 0, 0, 0, 2 * MIB, MIB, HOST);
        assert_set(none, 0, 1, 0, 4 * MIB, MIB, HOST);
        assert_set(none, -EEXIST, 2, 0, 2 * MIB, MIB, HOST);
        assert_set(none, -EEXIST, 2, 0, 2 * MIB + 4096, 4096, HOST);
        assert_set(none, -EEXIST, 2, 0, MIB, MIB + 4096, HOST);
        assert_set(none, -EEXIST, 2, 0, 3 * MIB - 4096, MIB, HOST);
        assert_set(none, -EEXIST, 2, 0, MIB, 8 * MIB, HOST);
        assert_set(none, -EEXIST, 2, 0, 3 * MIB, 2 * MIB, HOST);
        /* Between two, touching both, and on the same host memory. */
        assert_set(none, 0, 2, 0, 3 * MIB, MIB, HOST);
        assert_set(none, 0, 3, 0, 0, 2 * MIB, HOST);
        assert_set(none, 0, 4, 0, 5 * MIB, MIB, HOST);
}

static void test_none_invalid(void **state) {
        _cleanup_(accelerator_freep) Accelerator *none = must_none(0);
        uint64_t end = UINT64_C(1) << 52;

        assert_set(none, -EINVAL, 0, 0, 1, MIB, HOST);
        assert_set(none, -EINVAL, 0, 0, 0, MIB + 512, HOST);
        assert_set(none, -EINVAL, 0, 0, 0, MIB, HOST + 1);
        assert_set(none, -EINVAL, 0, 4, 0, MIB, HOST);
        assert_set(none, -EINVAL, 0, 0, -MIB, MIB, HOST);
        assert_set(none, -EINVAL, 0, 0, -MIB, 2 * MIB, HOST);
        assert_set(none, -EINVAL, 0, 0, end, MIB, HOST);
        assert_set(none, -EINVAL, 0, 0, end - MIB, 2 * MIB, HOST);
        assert_set(none, 0, 0, 0, end - MIB, MIB, HOST);
        assert_set(none, -EINVAL, 1, 0, 0, (UINT64_C(1) << 31) * 4096, HOST);
        assert_set(none, 0, 1, 0, 0, ((UINT64_C(1) << 31) - 1) * 4096, HOST);
        assert_set(none, -EINVAL, 2, 0, 0, 0, HOST); /* deleting what is not there */
}

static void test_none_modify(void **state) {
        _cleanup_(accelerator_freep) Accelerator *none = must_none(0);

        assert_set(none, 0, 0, 0, MIB, MIB, HOST);
        assert_set(none, 0, 0, 0, MIB, MIB, HOST);             /* the same again */
        assert_set(none, 0, 0, LOG, MIB, MIB, HOST);           /* logging on */
        assert_set(none, -EINVAL, 0, RO, MIB, MIB, HOST);      /* read-only */
        assert_set(none, -EINVAL, 0, 0, MIB, 2 * MIB, HOST);   /* growing */
        assert_set(none, -EINVAL, 0, 0, MIB, 4096, HOST);      /* shrinking */
        assert_set(none, -EINVAL, 0, 0, MIB, MIB, HOST + MIB); /* other memory */
        assert_set(none, 0, 0, 0, MIB, 0, HOST);
        assert_set(none, -EINVAL, 0, 0, MIB, 0, HOST);
        assert_set(none, 0, 0, RO, MIB, MIB, HOST + MIB);
}

static void test_none_move(void **state) {
        _cleanup_(accelerator_freep) Accelerator *none = must_none(0);

        assert_set(none, 0, 0, 0, MIB, MIB, HOST);
        assert_set(none, 0, 1, 0, 4 * MIB, MIB, HOST + MIB);
        assert_set(none, -EEXIST, 0, 0, 4 * MIB - 4096, MIB, HOST);
        assert_set(none, -EEXIST, 0, 0, 5 * MIB - 4096, MIB, HOST);
        assert_set(none, 0, 0, 0, MIB + 4096, MIB, HOST); /* onto a part of itself */
        assert_set(none, 0, 0, 0, MIB - 4096, MIB, HOST);
        assert_set(none, 0, 0, LOG, 3 * MIB, MIB, HOST); /* and logged from then on */
        assert_set(none, -EEXIST, 2, 0, 3 * MIB, MIB, HOST);
        assert_set(none, 0, 2, 0, MIB, MIB, HOST);
        assert_set(none, 0, 0, LOG, 5 * MIB, MIB, HOST); /* past the other one */
        assert_set(none, -EEXIST, 1, 0, 4 * MIB + 4096, MIB, HOST + MIB);
}

#define KVM_TEST(function)                                                                         \
        cmocka_unit_test_setup_teardown(function, mock_kvm_setup, mock_kvm_teardown)

UNIT_TESTS(KVM_TEST(test_kvm_limits), KVM_TEST(test_kvm_width), KVM_TEST(test_kvm_interrupted),
           KVM_TEST(test_kvm_refuses), KVM_TEST(test_kvm_set_slot),
           cmocka_unit_test(test_none_limits), cmocka_unit_test(test_none_overlap),
           cmocka_unit_test(test_none_invalid), cmocka_unit_test(test_none_modify),
           cmocka_unit_test(test_none_move));
