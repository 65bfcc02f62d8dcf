/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Corpus: maps of real machines and what their address spaces show
 *
 * Each file of corpus/ is one state of a machine:
 *
 *   {"name", "source": {…}, "layout": a layout document,
 *    "expected": {SPACE: [[first, last, region, offset, kind, [flag, …]], …]}}
 *
 * An address space without an entry in "expected" is not checked.
 */

#include <json-c/json.h>
#include <stddef.h>

#include "daemon/vm/vm.h"

typedef struct Case Case;
typedef struct Corpus Corpus;

struct Case {
        char *name;
        json_object *file;
        const char *layout;    /* document text; belongs to file */
        json_object *expected; /* belongs to file */
};

/* By name. */
struct Corpus {
        Case *cases;
        size_t n;
};

/* Those whose names begin with `prefix`. Ends the program if there is something wrong with them. */
Corpus corpus_load(const char *directory, const char *prefix);
void corpus_free(Corpus *corpus);

/* Fails the test unless every address space with an expectation shows exactly that. */
void assert_views(const VM *vm, const Case *expected);
