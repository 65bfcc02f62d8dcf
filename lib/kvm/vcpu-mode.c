/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>

#include "lib/kvm/vcpu-mode.h"
#include "lib/memory/access.h"
#include "lib/memory/map-error.h"
#include "lib/util/string-table.h"

#define GIB        (UINT64_C(1) << 30)
#define MAPPED_MAX (512 * GIB) /* by one page of level 3 */

enum {
        PAGE = 4096,
        ENTRIES = PAGE / sizeof(uint64_t), /* of a table */
        LARGE_PAGE = 2 << 20,

        ENTRY_PRESENT = 1 << 0,
        ENTRY_WRITABLE = 1 << 1,
        ENTRY_LARGE = 1 << 7,

        CR0_PE = 1 << 0,
        CR0_ET = 1 << 4, /* always set */
        CR4_PAE = 1 << 5,
        EFER_LME = 1 << 8,
        EFER_LMA = 1 << 10,

        SEGMENT_DATA = 3,  /* read, write, accessed */
        SEGMENT_CODE = 11, /* execute, read, accessed */
};

#define CR0_PG (UINT64_C(1) << 31)

static const char *const modes[] = {
        [VCPU_MODE_REAL] = "real",
        [VCPU_MODE_FLAT] = "flat",
        [VCPU_MODE_LONG] = "long",
};

STRING_TABLE(vcpu_mode, VCPUMode, modes);

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type) {
        return (struct kvm_segment){
                .limit = 0xffffffff,
                .selector = selector,
                .type = type,
                .present = 1,
                .db = 1,
                .s = 1,
                .g = 1,
        };
}

/* Selectors as most descriptor tables have them: code in the first entry, data in the second. */
static void set_flat(VCPURegisters *registers) {
        struct kvm_sregs *special = &registers->special;
        struct kvm_segment data = flat_segment(0x10, SEGMENT_DATA);

        special->cs = flat_segment(0x08, SEGMENT_CODE);
        special->ds = special->es = special->fs = special->gs = special->ss = data;
        special->cr0 = CR0_PE | CR0_ET; /* not CD and NW: after a reset caches are off */
        registers->general = (struct kvm_regs){.rflags = 2};
}

static void set_long(VCPURegisters *registers, uint64_t page_tables) {
        struct kvm_sregs *special = &registers->special;

        set_flat(registers);
        special->cs.db = 0;
        special->cs.l = 1;
        special->cr0 |= CR0_PG;
        special->cr3 = page_tables;
        special->cr4 |= CR4_PAE;
        special->efer |= EFER_LME | EFER_LMA;
}

void vcpu_mode_set_registers(const VCPUSetup *setup, VCPURegisters *registers) {
        if (setup->mode == VCPU_MODE_FLAT)
                set_flat(registers);
        else if (setup->mode == VCPU_MODE_LONG)
                set_long(registers, setup->page_tables);
}

static uint64_t n_tables(const VCPUSetup *setup) {
        return 2 + setup->mapped_size / GIB;
}

static void fill_tables(const VCPUSetup *setup, uint64_t *tables) {
        const uint64_t flags = ENTRY_PRESENT | ENTRY_WRITABLE, n_gib = setup->mapped_size / GIB;
        uint64_t *level_3 = tables + ENTRIES, *level_2 = level_3 + ENTRIES;
        uint64_t at = setup->page_tables + PAGE;

        tables[0] = at | flags;
        for (uint64_t i = 0; i < n_gib; i++)
                level_3[i] = (at + (i + 1) * PAGE) | flags;
        for (uint64_t i = 0; i < n_gib * ENTRIES; i++)
                level_2[i] = i * LARGE_PAGE | flags | ENTRY_LARGE;
}

static int check_setup(const VCPUSetup *setup, Range *ret_range, Detail *detail) {
        if (setup->mapped_size == 0 || setup->mapped_size % GIB || setup->mapped_size > MAPPED_MAX)
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "mapped-size 0x%" PRIx64 ": it is not a number of GiB from 1 to "
                                  "%" PRIu64,
                                  setup->mapped_size, MAPPED_MAX / GIB);
        if (setup->page_tables % PAGE ||
            !range_place(setup->page_tables, n_tables(setup) * PAGE, ret_range))
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "page-tables 0x%" PRIx64 ": they begin with a page of %d bytes",
                                  setup->page_tables, PAGE);
        return 0;
}

static int refuse_write(void *userdata, const Piece *piece, const void *data) {
        return detail_set(userdata, MAP_E_INVALID_RANGE,
                          "page-tables: there is no RAM at 0x%" PRIx64, piece->range.first);
}

int vcpu_mode_write_tables(const VCPUSetup *setup, const FlatView *view, Detail *detail) {
        static const AccessOps ops = {.write = refuse_write};
        _cleanup_(freep) uint64_t *tables = NULL;
        Range range;
        int r;

        if (setup->mode != VCPU_MODE_LONG)
                return 0;
        r = check_setup(setup, &range, detail);
        if (r != 0)
                return r;
        tables = calloc(n_tables(setup), PAGE);
        if (!tables)
                return -ENOMEM;
        fill_tables(setup, tables);
        return access_write_whole(view, range, tables, &ops, detail, detail);
}
