/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Documents applied to a VM, as Apply does it, without D-Bus
 *
 * must_…() end the test, saying why, when it does not work.
 */

#include <stddef.h>
#include <stdint.h>

#include "daemon/vm/document.h"
#include "daemon/vm/report.h"
#include "daemon/vm/vm.h"

typedef struct Applied Applied;

/* What one Apply came to. */
struct Applied {
        size_t n_edits;
        size_t n_slot_ops;
        uint64_t discarded;
};

/* A VM without regions; its slots follow "memory". */
VM *must_vm(const char *accelerator);

/* Any outcome of parsing, converging, editing, committing; then the map is as it was. */
int try_apply(VM *vm, const char *text, Applied *ret, Detail *detail);
Applied must_apply(VM *vm, const char *text);

/* The text of a report that cannot fail: report_text(report_slots, vm). The caller frees. */
#define report_text(report, what)                                                                  \
        ({                                                                                         \
                JSONWriter writer_;                                                                \
                                                                                                   \
                json_writer_init(&writer_, SIZE_MAX);                                              \
                report(&writer_, what);                                                            \
                must_take(&writer_);                                                               \
        })
char *must_take(JSONWriter *writer);

/* The layout document of the map. The caller frees. */
char *must_layout(const VM *vm);
/* The whole of a file, terminated. The caller frees. */
char *must_read_file(const char *path);
