/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "tests/common/unit.h"
#include "tests/kvm/guest.h"

static const uint8_t read_code[] = {0x26, 0x8a, 0x07, 0xf4};  /* mov al, es:[bx]; hlt */
static const uint8_t write_code[] = {0x26, 0x88, 0x07, 0xf4}; /* mov es:[bx], al; hlt */

static int vcpu_mmap_size(void) {
        _cleanup_(closep) int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

        return ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
}

void guest_init(Guest *guest, const Accelerator *kvm, uint64_t code, uint8_t *host) {
        int size = vcpu_mmap_size();

        assert_true(size > 0);
        *guest = (Guest){.run_size = (size_t)size, .code = code, .host = host};
        guest->vcpu_fd = ioctl(accelerator_vm_fd(kvm), KVM_CREATE_VCPU, 0);
        assert_true(guest->vcpu_fd >= 0);
        guest->run =
                mmap(NULL, guest->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, guest->vcpu_fd, 0);
        assert_ptr_not_equal(guest->run, MAP_FAILED);
}

void guest_deinit(Guest *guest) {
        munmap(guest->run, guest->run_size);
        safe_close(guest->vcpu_fd);
}

static void set_registers(Guest *guest, uint64_t address, uint8_t byte) {
        struct kvm_regs registers = {.rip = guest->code, .rax = byte, .rflags = 2};
        struct kvm_sregs segments;

        assert_int_equal(ioctl(guest->vcpu_fd, KVM_GET_SREGS, &segments), 0);
        segments.cs.base = 0;
        segments.cs.selector = 0;
        segments.es.base = address;
        assert_int_equal(ioctl(guest->vcpu_fd, KVM_SET_SREGS, &segments), 0);
        assert_int_equal(ioctl(guest->vcpu_fd, KVM_SET_REGS, &registers), 0);
}

static void run(Guest *guest) {
        int r;

        do
                r = ioctl(guest->vcpu_fd, KVM_RUN, 0);
        while (r < 0 && errno == EINTR);
        assert_int_equal(r, 0);
}

/* Runs the program; `access` is filled in where it traps. */
static void run_access(Guest *guest, uint64_t address, bool write, Access *access) {
        struct kvm_run *state = guest->run;

        run(guest);
        if (state->exit_reason == KVM_EXIT_MMIO) {
                assert_int_equal(state->mmio.phys_addr, address);
                assert_int_equal(state->mmio.len, 1);
                assert_int_equal(state->mmio.is_write, write);
                access->trapped = true;
                access->byte = state->mmio.data[0];
                state->mmio.data[0] = GUEST_MMIO_ANSWER;
                run(guest);
        }
        assert_int_equal(state->exit_reason, KVM_EXIT_HLT);
}

Access guest_read(Guest *guest, uint64_t address) {
        struct kvm_regs registers;
        Access access = {};

        memcpy(guest->host, read_code, sizeof(read_code));
        set_registers(guest, address, 0);
        run_access(guest, address, false, &access);
        assert_int_equal(ioctl(guest->vcpu_fd, KVM_GET_REGS, &registers), 0);
        access.byte = (uint8_t)registers.rax;
        return access;
}

Access guest_write(Guest *guest, uint64_t address, uint8_t byte) {
        Access access = {};

        memcpy(guest->host, write_code, sizeof(write_code));
        set_registers(guest, address, byte);
        run_access(guest, address, true, &access);
        return access;
}
