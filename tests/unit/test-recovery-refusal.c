/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Commits that are refused, now or when they are made again: what the next process has of them. */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "daemon/vm/change.h"
#include "daemon/vm/compaction.h"
#include "daemon/vm/journal-record.h"
#include "tests/unit/fail-disk.h"
#include "tests/unit/home-scene.h"

/* What the next commit comes to, of all that are carried out; 0: what it comes to. */
static int outcome;

int __real_commit_apply(Commit *commit, Detail *detail);
int __wrap_commit_apply(Commit *commit, Detail *detail);

int __wrap_commit_apply(Commit *commit, Detail *detail) {
        int r = outcome;

        outcome = 0;
        return r > 0 ? detail_set(detail, r, "as told") : __real_commit_apply(commit, detail);
}

static int forgive(void **state) {
        outcome = 0;
        fail_disk = (FailDisk){};
        return home_scene_teardown(state);
}

/* Its last commit was written, and the process ended before it was in force. */
static void lose_mark(Home *home) {
        _cleanup_(closep) int fd = open(home_file(home, JOURNAL_NAME), O_RDWR);
        off_t at = (off_t)home->vm->record->journal->start + JOURNAL_CONFIRMED;

        assert_int_equal(pwrite(fd, " ", 1, at), 1);
}

static void test_refused_is_left_out(void **state) {
        static const int refusals[] = {MAP_E_KVM, MAP_E_NO_SLOTS};
        _cleanup_(freep) char *before = NULL;
        Home *home = *state;
        Recovered recovered;

        home_must_apply(home, PATCH(MMIO("m", "0")));
        before = home_text(home);
        for (size_t i = 0; i < ELEMENTS_OF(refusals); i++) {
                home_must_apply(home, PATCH(MMIO("n", "0x1000")));
                lose_mark(home);
                outcome = refusals[i];
                assert_int_equal(home_restart(home, &recovered, &(Detail){}), 0);
                assert_string_equal(recovered.dropped.text, "as told");
                assert_text(home_text(home), before);
                must_be_the_same_again(home);
        }
}

/* What is not the commit's fault takes nothing away: the next process has all of it. */
static void test_not_refused_is_tried_again(void **state) {
        static const int outcomes[] = {MAP_E_NO_MEMORY, MAP_E_QUOTA_EXCEEDED, VM_E_NO_SPACE};
        _cleanup_(freep) char *before = NULL;
        Home *home = *state;
        Recovered recovered;

        home_must_apply(home, PATCH(MMIO("m", "0")));
        home_must_apply(home, PATCH(MMIO("n", "0x1000")));
        before = home_text(home);
        lose_mark(home);
        for (size_t i = 0; i < ELEMENTS_OF(outcomes); i++) {
                outcome = outcomes[i];
                assert_int_equal(home_restart(home, &recovered, &(Detail){}), outcomes[i]);
                assert_int_equal(home_restart(home, &recovered, NULL), 0);
                assert_string_equal(recovered.dropped.text, "");
                assert_text(home_text(home), before);
        }
}

/* A commit that was in force stays, whoever refuses it now. */
static void test_confirmed_is_not_left_out(void **state) {
        _cleanup_(freep) char *before = NULL;
        Home *home = *state;
        Recovered recovered;

        home_must_apply(home, PATCH(MMIO("m", "0")));
        home_must_apply(home, PATCH(MMIO("n", "0x1000")));
        before = home_text(home);
        outcome = MAP_E_KVM;
        assert_int_equal(home_restart(home, &recovered, &(Detail){}), MAP_E_KVM);
        assert_string_equal(recovered.name, "test");
        home_must_restart(home);
        assert_text(home_text(home), before);
}

/* A commit that is refused when its record is written, on a disk that fails then. */
static void refuse(Home *home, FailDisk how) {
        _cleanup_(change_deinit) Change change = {};
        Edit edit = {.verb = EDIT_SET_REGION,
                     .mask = PROPERTY_FLAGS,
                     .flags_mask = REGION_ENABLED,
                     .name = (char[]){"m"}};
        Detail detail;

        change_begin(&change, home->vm);
        assert_int_equal(change_edit(&change, &edit, &detail), 0);
        assert_int_equal(change_prepare(&change, &detail), 0);
        assert_int_equal(change_record(&change, &detail), 0);
        fail_disk = how;
        outcome = MAP_E_KVM;
        assert_int_equal(change_apply(&change, &detail), MAP_E_KVM);
        fail_disk = (FailDisk){};
}

static void test_refused_never_comes_back(void **state) {
        Home *home = *state;

        home_must_apply(home, PATCH(MMIO("m", "0")));
        refuse(home, (FailDisk){.truncations = true});
        must_be_the_same_again(home);
        home_must_apply(home, PATCH(MMIO("n", "0x1000")));
        must_be_the_same_again(home);
}

static void test_refused_before_power_fails(void **state) {
        _cleanup_(freep) char *before = NULL;
        Home *home = *state;

        home->vm->record->journal->durable = true;
        home_must_apply(home, PATCH(MMIO("m", "0")));
        before = home_text(home);
        refuse(home, (FailDisk){});
        fail_disk_lose_power(home_file(home, JOURNAL_NAME));
        home_must_restart(home);
        assert_text(home_text(home), before);
}

/* What cannot be taken back is refused company: no commit until the journal is another. */
static void test_broken(void **state) {
        Home *home = *state;
        Detail detail;

        home_must_apply(home, PATCH(MMIO("m", "0")));
        refuse(home, (FailDisk){.writes = true, .truncations = true});
        assert_true(compaction_is_due(home->vm));
        assert_int_equal(home_apply(home, PATCH(MMIO("n", "0x1000")), &detail), VM_E_NO_SPACE);
        assert_string_equal(detail.text,
                            "edit 1: VM \"test\": no change can be written to its journal until "
                            "that has been written anew, because one that failed could not be "
                            "taken out of it: Input/output error");
        fail_disk.writes = true;
        assert_int_not_equal(compaction_run(home->vm, &detail), 0);
        fail_disk.writes = false;
        assert_false(compaction_is_due(home->vm));
        assert_int_equal(home_apply(home, PATCH(MMIO("n", "0x1000")), &detail), VM_E_NO_SPACE);
        assert_true(compaction_is_due(home->vm));
        assert_int_equal(compaction_run(home->vm, NULL), 0);
        assert_false(compaction_is_due(home->vm));
        must_be_the_same_again(home);
        home_must_apply(home, PATCH(MMIO("n", "0x1000")));
        must_be_the_same_again(home);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, home_scene_setup, forgive)

UNIT_TESTS(TEST(test_refused_is_left_out), TEST(test_not_refused_is_tried_again),
           TEST(test_confirmed_is_not_left_out), TEST(test_refused_never_comes_back),
           TEST(test_refused_before_power_fails), TEST(test_broken));
