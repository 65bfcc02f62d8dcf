/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the tests of transactions share: a small map, edits made of literals that are staged
 *
 *   system              2^64, address space "memory"
 *     ram               0 … 0xfff
 *     bus               0x10000 … 0x1ffff
 *       device  mmio    0x100 … 0x1ff
 */

#include "lib/memory/map-error.h"
#include "lib/memory/transaction.h"
#include "tests/common/scene.h"
#include "tests/common/unit.h"

/* For cmocka: *state is the Map. */
int transaction_scene_setup(void **state);
int transaction_scene_teardown(void **state);
#define TRANSACTION_TEST(name)                                                                     \
        cmocka_unit_test_setup_teardown(name, transaction_scene_setup, transaction_scene_teardown)

Transaction *begin_transaction(Map *map);
/* Any outcome of transaction_stage(). */
int stage(Transaction *transaction, Edit edit, Detail *detail);
void must_stage(Transaction *transaction, Edit edit);
/* Any outcome up to the commit's. */
int commit_transaction(Transaction *transaction, Detail *detail);
void must_commit_transaction(Transaction *transaction);
