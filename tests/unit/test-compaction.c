/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The journal written anew: shorter, with the same VM in it, whatever fails meanwhile. */

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "daemon/vm/compaction.h"
#include "daemon/vm/journal-record.h"
#include "tests/unit/fail-disk.h"
#include "tests/unit/home-scene.h"

static void test_compaction(void **state) {
        _cleanup_(freep) char *before = NULL;
        Home *home = *state;
        uint64_t length;

        home_must_apply(home, PATCH(RAM("a", "1MiB", "0") AND RAM("b", "1MiB", "0")
                                            AND MMIO("m", "0x1000")));
        home_must_apply(home,
                        PATCH("{\"add-alias\": {\"name\": \"0\", \"target\": \"a\", \"size\": "
                              "4096, \"parent\": \"b\", \"offset\": 0}}" AND
                              "{\"add-alias\": {\"name\": \"00\", \"target\": \"0\", \"size\": "
                              "4096}}"));
        assert_false(compaction_is_due(home->vm));
        for (unsigned i = 0; !compaction_is_due(home->vm); i++)
                home_must_apply(home, i % 2 ? PATCH("{\"enable-region\": {\"name\": \"m\", "
                                                    "\"enabled\": true}}")
                                            : PATCH("{\"enable-region\": {\"name\": \"m\", "
                                                    "\"enabled\": false}}"));
        before = home_text(home);
        length = home->vm->record->journal->end;
        assert_int_equal(compaction_run(home->vm, NULL), 0);
        assert_text(home_text(home), before);
        assert_true(home->vm->record->journal->end < length / 100);
        assert_false(compaction_is_due(home->vm));
        must_be_the_same_again(home);
        home_must_apply(home, PATCH(MMIO("n", "0x2000")));
        must_be_the_same_again(home);
}

/* Where it can end early: wherever a byte is written, and before the new one has its name. */
static void test_compaction_interrupted(void **state) {
        _cleanup_(freep) char *before = NULL;
        Home *home = *state;
        Detail detail;
        int r;

        signal(SIGXFSZ, SIG_IGN);
        home_must_apply(home, PATCH(RAM("a", "1MiB", "0") AND MMIO("m", "0x1000")));
        before = home_text(home);
        for (uint64_t room = 0;; room++) {
                limit_files(room);
                r = compaction_run(home->vm, &detail);
                limit_files(UINT64_MAX);
                if (r == 0)
                        break;
                assert_int_equal(r, VM_E_NO_SPACE);
                assert_int_equal(access(home_file(home, "journal.new"), F_OK), -1);
                if (room % 16 == 0)
                        must_be_the_same_again(home);
        }
        must_be_the_same_again(home);
        assert_int_equal(truncate(home_file(home, JOURNAL_NAME), 0), 0);
        assert_int_equal(home_restart(home, &(Recovered){}, &detail), VM_E_DAMAGED);
}

/* The first journal has its name on the disk, or there is none; a successor gets it in time. */
static void test_name_is_durable(void **state) {
        Home *home = *state;
        Record *record = home->vm->record;
        Detail detail;

        home->vm->record = NULL;
        fail_disk.directory_syncs = true;
        assert_int_equal(compaction_begin_journal(home->vm, home->directory, true, &detail), -EIO);
        home->vm->record = record_free(home->vm->record);
        home->vm->record = record;
        record->journal->durable = true;
        assert_int_equal(compaction_run(home->vm, &detail), 0);
        assert_int_equal(home_apply(home, PATCH(MMIO("m", "0")), &detail), -EIO);
        fail_disk.directory_syncs = false;
        home_must_apply(home, PATCH(MMIO("m", "0")));
        must_be_the_same_again(home);
}

#define TEST(function)                                                                             \
        cmocka_unit_test_setup_teardown(function, home_scene_setup, home_scene_teardown)

UNIT_TESTS(TEST(test_compaction), TEST(test_compaction_interrupted), TEST(test_name_is_durable));
