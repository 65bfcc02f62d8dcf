/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "tests/unit/transaction-scene.h"

int transaction_scene_setup(void **state) {
        Map *map = scene_new();

        must_edit(map, add_region(REGION_CONTAINER, "bus", 0x10000, "system", 0x10000, 0));
        must_edit(map, add_region(REGION_RAM, "ram", 0x1000, "system", 0, 0));
        must_edit(map, add_region(REGION_MMIO, "device", 0x100, "bus", 0x100, 0));
        must_commit(map);
        *state = map;
        return 0;
}

int transaction_scene_teardown(void **state) {
        map_free(*state);
        return 0;
}

Transaction *begin_transaction(Map *map) {
        Transaction *transaction = NULL;

        assert_int_equal(transaction_new(&transaction, map), 0);
        return transaction;
}

static char *copy_string(const char *string) {
        return string ? strdup(string) : NULL;
}

/* Stages an edit made of literals. What was not taken over is given up. */
int stage(Transaction *transaction, Edit edit, Detail *detail) {
        int r;

        edit.name = copy_string(edit.name);
        edit.parent = copy_string(edit.parent);
        edit.target = copy_string(edit.target);
        ioeventfd_ref(edit.ioeventfd);
        r = transaction_stage(transaction, &edit, detail);
        assert_int_equal(r == 0, !edit.name);
        edit_deinit(&edit);
        return r;
}

void must_stage(Transaction *transaction, Edit edit) {
        Detail detail = {};

        if (stage(transaction, edit, &detail) != 0)
                fail_msg("stage \"%s\": %s", edit.name, detail.text);
}

int commit_transaction(Transaction *transaction, Detail *detail) {
        _cleanup_(commit_freep) Commit *commit = NULL;
        int r;

        r = transaction_prepare(transaction, &commit, detail);
        if (r == 0)
                r = commit_apply(commit, detail);
        map_check_in(transaction->map);
        return r;
}

void must_commit_transaction(Transaction *transaction) {
        Detail detail = {};

        if (commit_transaction(transaction, &detail) != 0)
                fail_msg("commit: %s", detail.text);
        assert_int_equal(transaction->n_edits, 0);
}
