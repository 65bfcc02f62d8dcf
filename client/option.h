/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Options of the command line
 *
 * All verbs share one set of options, kept as the strings that were given; a verb says in its table
 * entry which ones it takes, and the others are refused. Options before OPTION_GLOBAL_END go with
 * every verb.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct OptionInfo OptionInfo;

typedef enum Option {
        OPTION_HELP,
        OPTION_VERSION,
        OPTION_SYSTEM,
        OPTION_USER,
        OPTION_HOST,
        OPTION_MACHINE,
        OPTION_ADDRESS,
        OPTION_JSON,
        OPTION_JSON_AUTO,
        OPTION_NO_PAGER,
        OPTION_NO_LEGEND,
        OPTION_PLAIN,
        OPTION_GLOBAL_END,

        OPTION_ACCELERATOR = OPTION_GLOBAL_END,
        OPTION_LAYOUT,
        OPTION_MEMORY_SPACE,
        OPTION_DURABLE,
        OPTION_PRIORITY,
        OPTION_DISABLED,
        OPTION_MTREE,
        OPTION_READONLY,
        OPTION_NONVOLATILE,
        OPTION_UNMERGEABLE,
        OPTION_DIRTY_LOG,
        OPTION_FILE,
        OPTION_FILE_OFFSET,
        OPTION_HUGEPAGE_SIZE,
        OPTION_PREALLOC,
        OPTION_NUMA_NODE,
        OPTION_NUMA_POLICY,
        OPTION_DUMP,
        OPTION_SIZE,
        OPTION_ALIGN,
        OPTION_WINDOW,
        OPTION_NAME,
        OPTION_SPACE,
        OPTION_PARENT,
        OPTION_TRANSACTION,
        OPTION_EXPECT_GENERATION,
        OPTION_DRY_RUN,
        OPTION_KEEP_MEMORY,
        OPTION_TIMEOUT,
        OPTION_OUT,
        OPTION_IN,
        OPTION_CLEAR,
        OPTION_WATCH,
        OPTION_FORMAT,
        OPTION_SVG,
        OPTION_HTML,
        OPTION_FROM,
        OPTION_DELAY,
        OPTION_ITERATIONS,
        OPTION_SORT,
        OPTION_BATCH,
        OPTION_UNTIL_GENERATION,
        OPTION_N,
} Option;

#define OPTION_BIT(option) (UINT64_C(1) << (option))

struct OptionInfo {
        const char *name;     /* NULL: has a letter only */
        char letter;          /* 0: none */
        const char *argument; /* NULL: takes none */
        const char *help;
};

/* Indexed by Option. */
extern const OptionInfo option_info[OPTION_N];

/* The option that is written so, "-T" or "--transaction"; OPTION_N if there is none. */
Option option_find(const char *word, size_t length);

/*
 * Sorts argv into options (given[]: the argument, "" for those without one, NULL for those not
 * given; borrowed from argv) and words; *ret_words is the NULL-terminated rest of argv. Prints what
 * is wrong and returns -EINVAL.
 */
int option_parse(int argc, char **argv, const char *given[static OPTION_N], char ***ret_words);
