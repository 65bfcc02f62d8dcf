/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What both accelerators have in common
 *
 * The kernel counts a slot's pages in 31 bits, one less than 8 TiB. Slots are cut a little shorter,
 * at whole GiB: the pieces of a long region then keep the alignment that huge pages need.
 */

#include <linux/kvm.h>

#include "lib/kvm/accelerator.h"

#define GIB       (UINT64_C(1) << 30)
#define PAGES_MAX ((UINT64_C(1) << 31) - 1)

void accelerator_init(Accelerator *accelerator, const AcceleratorOps *ops) {
        uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);

        *accelerator = (Accelerator){
                .ops = ops,
                .page_size = page_size,
                .slot_size_max = PAGES_MAX * page_size / GIB * GIB,
                .vm_fd = -1,
        };
}

int accelerator_set_slot(Accelerator *accelerator, const SlotOp *op) {
        SlotOp request = *op;

        if (accelerator->logs_all)
                request.flags |= KVM_MEM_LOG_DIRTY_PAGES;
        return accelerator->ops->set_slot(accelerator, &request);
}

Accelerator *accelerator_free(Accelerator *accelerator) {
        return accelerator ? accelerator->ops->free(accelerator) : NULL;
}
