/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Compaction: a journal that says no more than it must
 *
 * Beside the journal another one is written: the VM's setup, and its map as it is. When that is
 * complete it takes the journal's name. A process that ends before leaves the journal as it was,
 * and so does a full disk. A VM's first journal is made in the same way.
 */

#include "daemon/vm/vm.h"

/* The first one, in a directory that is the VM's alone. VM_E_NO_SPACE, -errno. */
int compaction_begin_journal(VM *vm, const char *directory, bool durable, Detail *detail);

/*
 * Whether the VM has a journal with more behind its snapshot than is good, or one that is broken;
 * that is tried once for each commit that is refused.
 */
bool compaction_is_due(const VM *vm);
/* Checks in whatever is checked out. VM_E_NO_SPACE, -errno: all is as before, for a while. */
int compaction_run(VM *vm, Detail *detail);
