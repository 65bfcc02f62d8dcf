/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * accelerator=kvm: a VM of the kernel
 *
 * Every limit is the kernel's own answer. How far guests reach is what a vCPU can be given at most:
 * the width in KVM_GET_SUPPORTED_CPUID. A vCPU that is given less sees less.
 *
 * There is no KVM_SET_TSS_ADDR here: only Intel's processors that cannot run real mode in a guest
 * (none since 2010) need those three pages, and they would be taken from addresses that belong to
 * the map. Elsewhere the call does nothing.
 */

#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/kvm/accelerator.h"
#include "lib/kvm/host.h"
#include "lib/memory/map-error.h"

int kvm_open(int *ret_fd) {
        _cleanup_(closep) int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
        int version;

        if (fd < 0)
                return -errno;
        version = ioctl(fd, KVM_GET_API_VERSION, 0);
        if (version < 0)
                return -errno;
        if (version != KVM_API_VERSION)
                return -EPROTONOSUPPORT;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int kvm_probe(void) {
        _cleanup_(closep) int fd = -1;

        return kvm_open(&fd);
}

/* What the VM says to an extension; 0 for what it does not know. */
static unsigned kvm_extension(int vm_fd, int extension) {
        int answer = ioctl(vm_fd, KVM_CHECK_EXTENSION, extension);

        return answer < 0 ? 0 : (unsigned)answer;
}

/* A signal during the making of a VM ends it with EINTR; it is made again. */
static int kvm_create_vm(int kvm_fd, int *ret_fd) {
        int fd;

        do
                fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
        while (fd < 0 && errno == EINTR);
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}

static int kvm_set_slot(Accelerator *accelerator, const SlotOp *op) {
        struct kvm_userspace_memory_region region = {
                .slot = op->slot,
                .flags = op->flags,
                .guest_phys_addr = op->address,
                .memory_size = op->size,
                .userspace_addr = op->host,
        };

        return ioctl(accelerator->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

static int kvm_get_dirty(Accelerator *accelerator, uint32_t slot, uint64_t n, uint64_t *bits) {
        struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = bits};

        return ioctl(accelerator->vm_fd, KVM_GET_DIRTY_LOG, &log) < 0 ? -errno : 0;
}

static int kvm_clear_dirty(Accelerator *accelerator, uint32_t slot, uint64_t first, uint32_t n,
                           const uint64_t *bits) {
        struct kvm_clear_dirty_log log = {
                .slot = slot,
                .num_pages = n,
                .first_page = first,
                .dirty_bitmap = (void *)bits,
        };

        return ioctl(accelerator->vm_fd, KVM_CLEAR_DIRTY_LOG, &log) < 0 ? -errno : 0;
}

static int kvm_set_ioeventfd(Accelerator *accelerator, const BusOp *op) {
        struct kvm_ioeventfd ioeventfd = {
                .addr = op->address,
                .len = op->length,
                .fd = op->fd,
                .datamatch = op->data,
                .flags = (op->match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0u) |
                         (op->ports ? KVM_IOEVENTFD_FLAG_PIO : 0u) |
                         (op->remove ? KVM_IOEVENTFD_FLAG_DEASSIGN : 0u),
        };

        return ioctl(accelerator->vm_fd, KVM_IOEVENTFD, &ioeventfd) < 0 ? -errno : 0;
}

static int kvm_set_zone(Accelerator *accelerator, const BusOp *op) {
        struct kvm_coalesced_mmio_zone zone = {
                .addr = op->address,
                .size = op->length,
                .pio = op->ports,
        };
        unsigned long request =
                op->remove ? KVM_UNREGISTER_COALESCED_MMIO : KVM_REGISTER_COALESCED_MMIO;

        return ioctl(accelerator->vm_fd, request, &zone) < 0 ? -errno : 0;
}

static int kvm_set_device(Accelerator *accelerator, const BusOp *op) {
        return op->is_zone ? kvm_set_zone(accelerator, op) : kvm_set_ioeventfd(accelerator, op);
}

static Accelerator *kvm_free(Accelerator *accelerator) {
        safe_close(accelerator->vm_fd);
        free(accelerator);
        return NULL;
}

static const AcceleratorOps kvm_ops = {
        .name = "kvm",
        .set_slot = kvm_set_slot,
        .get_dirty = kvm_get_dirty,
        .clear_dirty = kvm_clear_dirty,
        .set_device = kvm_set_device,
        .free = kvm_free,
};

/* All pages are clean at first: KVM_DIRTY_LOG_INITIALLY_SET would say that all were written. */
static bool kvm_enable_clear(int vm_fd) {
        struct kvm_enable_cap manual = {
                .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
                .args = {KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE},
        };

        return kvm_extension(vm_fd, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) &&
               ioctl(vm_fd, KVM_ENABLE_CAP, &manual) == 0;
}

static int kvm_ask_limits(Accelerator *kvm, int kvm_fd, Detail *detail) {
        if (!kvm_extension(kvm->vm_fd, KVM_CAP_USER_MEMORY))
                return detail_set(detail, MAP_E_KVM, "/dev/kvm has no KVM_CAP_USER_MEMORY");
        kvm->n_slots = kvm_extension(kvm->vm_fd, KVM_CAP_NR_MEMSLOTS);
        if (kvm->n_slots == 0)
                return detail_set(detail, MAP_E_KVM, "/dev/kvm does not say how many slots it has");
        kvm->has_readonly = kvm_extension(kvm->vm_fd, KVM_CAP_READONLY_MEM);
        kvm->clears_by_hand = kvm_enable_clear(kvm->vm_fd);
        kvm->ring_page = kvm_extension(kvm->vm_fd, KVM_CAP_COALESCED_MMIO);
        kvm->has_port_zones = kvm_extension(kvm->vm_fd, KVM_CAP_COALESCED_PIO);
        kvm->address_last = (UINT64_C(1) << host_address_bits(kvm_fd)) - 1;
        return 0;
}

int accelerator_new_kvm(Accelerator **ret, Detail *detail) {
        _cleanup_(accelerator_freep) Accelerator *kvm = NULL;
        _cleanup_(closep) int kvm_fd = -1;
        int r;

        r = kvm_open(&kvm_fd);
        if (r < 0)
                return detail_set(detail, MAP_E_KVM, "/dev/kvm: %s", strerror(-r));
        kvm = malloc(sizeof(*kvm));
        if (!kvm)
                return -ENOMEM;
        accelerator_init(kvm, &kvm_ops);
        r = kvm_create_vm(kvm_fd, &kvm->vm_fd);
        if (r < 0)
                return detail_set(detail, MAP_E_KVM, "KVM_CREATE_VM: %s", strerror(-r));
        r = kvm_ask_limits(kvm, kvm_fd, detail);
        if (r != 0)
                return r;
        *ret = TAKE_PTR(kvm);
        return 0;
}
