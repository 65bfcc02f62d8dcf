/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Facts: what outlives a process and is no commit
 *
 * Few, and small: the file "facts", one record as a journal has them, which is replaced as a whole
 * whenever one of them changes, and before that happens. It is where the VM lives (Places.runtime)
 * and, unlike the journal of a durable VM, gone with the next boot, as are guests, those who want
 * to know their dirty pages, and callers with transactions.
 *
 *   {"paused", "dirty-log", "transactions"}
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/util/detail.h"

#define FACTS_NAME "facts"

typedef struct Facts Facts;
typedef struct VM VM;

struct Facts {
        bool paused;
        uint64_t dirty_log;    /* Map.log_global: reasons */
        uint64_t transactions; /* no id above that one has been given out */
};

/*
 * From now on these are the VM's facts, for the next process, too, where there is a directory.
 * VM_E_NO_SPACE, -errno: those of before are.
 */
int facts_set(VM *vm, const Facts *facts, Detail *detail);
/* Those in a directory; none: all zero. VM_E_DAMAGED, -errno. */
int facts_read(Facts *ret, const char *directory, Detail *detail);
