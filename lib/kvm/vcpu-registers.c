/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/kvm/vcpu-registers.h"
#include "lib/memory/map-error.h"

typedef struct Row {
        const char *name;
        size_t offset; /* in VCPURegisters */
        size_t size;   /* bytes; x86 has the low ones first */
} Row;

#define ROW(name, field)                                                                           \
        { name, offsetof(VCPURegisters, field), sizeof(((VCPURegisters *)0)->field) }
#define GENERAL(register) ROW(#register, general.register)
#define SPECIAL(register) ROW(#register, special.register)
#define SEGMENT(register)                                                                          \
        ROW(#register ".base", special.register.base),                                             \
                ROW(#register ".limit", special.register.limit),                                   \
                ROW(#register ".selector", special.register.selector)
#define TABLE(register)                                                                            \
        ROW(#register ".base", special.register.base),                                             \
                ROW(#register ".limit", special.register.limit)

static const Row rows[] = {
        GENERAL(rax), GENERAL(rbx), GENERAL(rcx), GENERAL(rdx), GENERAL(rsi), GENERAL(rdi),
        GENERAL(rsp), GENERAL(rbp), GENERAL(r8),  GENERAL(r9),  GENERAL(r10), GENERAL(r11),
        GENERAL(r12), GENERAL(r13), GENERAL(r14), GENERAL(r15), GENERAL(rip), GENERAL(rflags),
        SPECIAL(cr0), SPECIAL(cr2), SPECIAL(cr3), SPECIAL(cr4), SPECIAL(cr8), SPECIAL(efer),
        SEGMENT(cs),  SEGMENT(ds),  SEGMENT(es),  SEGMENT(fs),  SEGMENT(gs),  SEGMENT(ss),
        SEGMENT(tr),  SEGMENT(ldt), TABLE(gdt),   TABLE(idt),
};

int vcpu_registers_read(VCPURegisters *ret, int vcpu_fd) {
        VCPURegisters registers;

        if (ioctl(vcpu_fd, KVM_GET_REGS, &registers.general) < 0 ||
            ioctl(vcpu_fd, KVM_GET_SREGS, &registers.special) < 0)
                return -errno;
        *ret = registers;
        return 0;
}

static int refused(const char *call, Detail *detail) {
        return detail_set(detail, MAP_E_KVM, "%s: %s", call, strerror(errno));
}

/* The special ones are what the kernel may object to: they come first. */
int vcpu_registers_write(const VCPURegisters *registers, int vcpu_fd, Detail *detail) {
        if (ioctl(vcpu_fd, KVM_SET_SREGS, &registers->special) < 0)
                return refused("KVM_SET_SREGS", detail);
        if (ioctl(vcpu_fd, KVM_SET_REGS, &registers->general) < 0)
                return refused("KVM_SET_REGS", detail);
        return 0;
}

const char *vcpu_register_name(size_t n) {
        return n < ELEMENTS_OF(rows) ? rows[n].name : NULL;
}

uint64_t vcpu_register_get(const VCPURegisters *registers, size_t n) {
        uint64_t value = 0;

        memcpy(&value, (const char *)registers + rows[n].offset, rows[n].size);
        return value;
}

static const Row *find(const char *name) {
        for (size_t i = 0; i < ELEMENTS_OF(rows); i++)
                if (strcmp(rows[i].name, name) == 0)
                        return &rows[i];
        return NULL;
}

int vcpu_register_set(VCPURegisters *registers, const char *name, uint64_t value, Detail *detail) {
        const Row *row = find(name);

        if (!row)
                return detail_set(detail, MAP_E_INVALID_ARGUMENT, "unknown register \"%.64s\"",
                                  name);
        if (row->size < sizeof(value) && value >> (8 * row->size) != 0)
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "register %s: 0x%" PRIx64 " has more than %zu bits", name, value,
                                  8 * row->size);
        memcpy((char *)registers + row->offset, &value, row->size);
        return 0;
}
