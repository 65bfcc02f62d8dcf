/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/vm/change.h"
#include "daemon/vm/compaction.h"
#include "daemon/vm/journal-record.h"
#include "tests/common/deaf-manager.h"
#include "tests/common/home.h"
#include "tests/common/unit.h"
#include "tests/unit/fail-disk.h"

#define PATCH(edits) "{\"guestmap\": 1, \"edits\": [" edits "]}"
#define AND          ","
#define RAM(name, size, offset)                                                                    \
        "{\"add-region\": {\"name\": \"" name "\", \"kind\": \"ram\", \"size\": \"" size           \
        "\", \"parent\": \"system\", \"offset\": \"" offset "\"}}"
#define MMIO(name, offset)                                                                         \
        "{\"add-region\": {\"name\": \"" name "\", \"kind\": \"mmio\", \"size\": 4096, "           \
        "\"parent\": \"system\", \"offset\": \"" offset "\"}}"

#define DIMM                                                                                       \
        PATCH("{\"add-region\": {\"name\": \"dimm0\", \"kind\": \"ram\", "                         \
              "\"size\": \"1MiB\", \"prealloc\": true}}")

/* What the next commit comes to, of all that are carried out; 0: what it comes to. */
static int outcome;

int __real_commit_apply(Commit *commit, Detail *detail);
int __wrap_commit_apply(Commit *commit, Detail *detail);

int __wrap_commit_apply(Commit *commit, Detail *detail) {
        int r = outcome;

        outcome = 0;
        return r > 0 ? detail_set(detail, r, "as told") : __real_commit_apply(commit, detail);
}

static int setup(void **state) {
        static Home home;

        home_init(&home);
        *state = &home;
        return 0;
}

static int teardown(void **state) {
        outcome = 0;
        fail_disk = (FailDisk){};
        home_deinit(*state);
        return 0;
}

static void must_be_the_same_again(Home *home) {
        char *before = home_text(home);

        home_must_restart(home);
        assert_text(home_text(home), before);
        free(before);
}

static void test_new_vm(void **state) {
        must_be_the_same_again(*state);
}

static void test_every_verb(void **state) {
        static const char *const patches[] = {
                PATCH(RAM("a", "1MiB", "0") AND RAM("b", "1MiB", "0x80000")
                              AND MMIO("m", "0x200000")),
                PATCH("{\"add-alias\": {\"name\": \"w\", \"target\": \"b\", \"target-offset\": "
                      "4096, \"size\": 8192, \"parent\": \"system\", \"offset\": \"16MiB\", "
                      "\"priority\": -3, \"readonly\": true}}"),
                PATCH("{\"add-region\": {\"name\": \"rom\", \"kind\": \"rom\", \"size\": 4096}}" AND
                      "{\"add-region\": {\"name\": \"flash\", \"kind\": \"romd\", \"size\": 4096, "
                      "\"romd\": false}}"),
                PATCH("{\"move-region\": {\"name\": \"a\", \"parent\": \"system\", \"offset\": 0, "
                      "\"priority\": 2}}" AND
                      "{\"move-region\": {\"name\": \"rom\", \"parent\": \"system\"}}"),
                PATCH("{\"set-region\": {\"name\": \"b\", \"size\": 8192, \"offset\": \"2GiB\", "
                      "\"unmergeable\": true, \"dirty-log\": true}}"),
                PATCH("{\"enable-region\": {\"name\": \"a\", \"enabled\": false}}"),
                PATCH("{\"add-ioeventfd\": {\"region\": \"m\", \"offset\": 8, \"length\": 4, "
                      "\"match\": true, \"data\": 7}}" AND
                      "{\"add-ioeventfd\": {\"region\": \"m\", \"offset\": 16, \"length\": 0}}" AND
                      "{\"add-coalesced\": {\"region\": \"m\", \"offset\": 64, \"size\": 64}}" AND
                      "{\"set-handler\": {\"region\": \"m\", \"handler\": \"latch\", \"value\": "
                      "\"0x55\", \"min-width\": 2}}" AND
                      "{\"set-handler\": {\"region\": \"flash\", \"handler\": \"log\"}}"),
                PATCH("{\"add-address-space\": {\"name\": \"dma\", \"root\": \"b\"}}"),
                PATCH("{\"remove-ioeventfd\": {\"region\": \"m\", \"offset\": 8, \"length\": 4, "
                      "\"match\": true, \"data\": 7}}"),
                PATCH("{\"move-region\": {\"name\": \"rom\", \"parent\": \"\"}}"),
                PATCH("{\"add-region\": {\"name\": \"made\", \"kind\": \"ram\", \"size\": 4096, "
                      "\"prealloc\": true, \"dump\": true}}"),
                PATCH("{\"clear-coalesced\": {\"region\": \"m\"}}"),
                PATCH("{\"remove-address-space\": {\"name\": \"dma\"}}" AND
                      "{\"remove-region\": {\"name\": \"rom\"}}"),
        };
        Home *home = *state;

        for (size_t i = 0; i < ELEMENTS_OF(patches); i++) {
                home_must_apply(home, patches[i]);
                must_be_the_same_again(home);
        }
        assert_int_equal(home->vm->map->generation, 1 + ELEMENTS_OF(patches));
}

/* Memory that is gone is made anew as it was said to be: all of it is there. */
static void test_prealloc(void **state) {
        const Region *region;
        struct stat status;
        Home *home = *state;

        home_must_apply(home, DIMM);
        home_must_restart(home);
        region = map_find_region(home->vm->map, "dimm0");
        assert_true(backing_is_populated(region->backing));
        assert_int_equal(fstat(region->backing->fd, &status), 0);
        assert_int_equal(status.st_blocks * 512, 1 << 20);
}

/* Or else a VM with much memory would never come back. */
static void test_prealloc_takes_its_time(void **state) {
        _cleanup_(closep) int manager = deaf_manager_new();
        Home *home = *state;

        home_must_apply(home, DIMM);
        (void)deaf_manager_read(manager, "");
        home_must_restart(home);
        assert_int_equal(deaf_manager_read(manager, "EXTEND_TIMEOUT_USEC=300000000"), 1);
        assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
}

/* By a signal that is blocked: it stays for the loop, and the VM for the next process. */
static void test_prealloc_is_ended(void **state) {
        Home *home = *state;
        Recovered recovered;
        sigset_t term, before;

        home_must_apply(home, DIMM);
        sigemptyset(&term);
        sigaddset(&term, SIGTERM);
        assert_int_equal(pthread_sigmask(SIG_BLOCK, &term, &before), 0);
        assert_int_equal(raise(SIGTERM), 0);
        assert_int_equal(home_restart(home, &recovered, NULL), -ECANCELED);
        assert_int_equal(sigtimedwait(&term, NULL, &(struct timespec){}), SIGTERM);
        assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
        home_must_restart(home);
        assert_non_null(map_find_region(home->vm->map, "dimm0"));
}

static void test_numbers_never_run_backwards(void **state) {
        Home *home = *state;

        home_must_apply(home, PATCH(RAM("a", "1MiB", "0")));
        home_must_apply(home, PATCH("{\"remove-region\": {\"name\": \"a\"}}"));
        home_must_restart(home);
        assert_int_equal(home->vm->last_backing, 1);
        assert_int_equal(home->vm->lost, 0);
        home_must_apply(home, PATCH(RAM("a", "1MiB", "0")));
        assert_int_equal(map_find_region(home->vm->map, "a")->backing->id, 2);
        home_must_restart(home);
        assert_int_equal(home->vm->lost, VM_LOST_MEMORY);
}

static void test_what_fails_is_not_there(void **state) {
        Home *home = *state;
        Detail detail;

        home_must_apply(home, PATCH(MMIO("m", "0")));
        assert_int_equal(home_apply(home, PATCH(MMIO("n", "0") AND MMIO("m", "0")), &detail),
                         MAP_E_REGION_EXISTS);
        must_be_the_same_again(home);
        home_must_apply(home, PATCH(MMIO("n", "0x1000")));
        must_be_the_same_again(home);
}

/* A journal whose bytes the test changes, and what it led to at each commit. */
typedef struct Story {
        char *bytes;
        size_t length;
        size_t ends[8]; /* of the journal after each commit */
        char *texts[8]; /* of the VM then */
        size_t n;
} Story;

static void story_note(Story *story, Home *home) {
        story->ends[story->n] = home->vm->record->journal->end;
        story->texts[story->n++] = home_text(home);
}

static void story_init(Story *story, Home *home) {
        *story = (Story){};
        story_note(story, home);
        home_must_apply(home, PATCH(MMIO("m", "0") AND RAM("a", "64KiB", "1MiB")));
        story_note(story, home);
        home_must_apply(home, PATCH("{\"enable-region\": {\"name\": \"m\", \"enabled\": false}}"));
        story_note(story, home);
        home_must_apply(home, PATCH("{\"remove-region\": {\"name\": \"a\"}}"));
        story_note(story, home);
        assert_int_equal(journal_read(home->directory, JOURNAL_NAME, &story->bytes, &story->length),
                         0);
        assert_int_equal(story->length, story->ends[story->n - 1]);
}

static void story_deinit(Story *story) {
        for (size_t i = 0; i < story->n; i++)
                free(story->texts[i]);
        free(story->bytes);
}

static void write_journal(const Home *home, const char *bytes, size_t length) {
        FILE *file = fopen(home_file(home, JOURNAL_NAME), "w");

        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, length, file), length);
        assert_int_equal(fclose(file), 0);
}

/* The last state that is whole, up to that many bytes. */
static const char *text_at(const Story *story, size_t length) {
        size_t i = story->n - 1;

        while (story->ends[i] > length)
                i--;
        return story->texts[i];
}

static void test_cut_anywhere(void **state) {
        Home *home = *state;
        Recovered recovered;
        Story story;

        story_init(&story, home);
        for (size_t length = story.ends[0]; length <= story.length; length++) {
                write_journal(home, story.bytes, length);
                assert_int_equal(home_restart(home, &recovered, NULL), 0);
                assert_text(home_text(home), text_at(&story, length));
                if (length % 32 != 0)
                        continue;
                /* And from there on as if nothing had been. */
                home_must_apply(home, PATCH(MMIO("z", "0x5000")));
                must_be_the_same_again(home);
        }
        for (size_t length = 0; length < story.ends[0]; length += 7) {
                write_journal(home, story.bytes, length);
                if (home_restart(home, &recovered, NULL) == 0)
                        assert_int_equal(home->vm->map->generation, 0);
        }
        story_deinit(&story);
}

static void test_flipped_anywhere(void **state) {
        size_t n_whole = 0, n_damaged = 0;
        Home *home = *state;
        Recovered recovered;
        Detail detail;
        Story story;
        int r;

        story_init(&story, home);
        for (size_t at = 0; at < story.length; at += 5) {
                story.bytes[at] ^= (char)(1 << at % 8);
                write_journal(home, story.bytes, story.length);
                story.bytes[at] ^= (char)(1 << at % 8);
                r = home_restart(home, &recovered, &detail);
                if (r == 0) {
                        assert_text(home_text(home), text_at(&story, at));
                        assert_true(recovered.torn > 0);
                        n_whole++;
                } else {
                        assert_int_equal(r, VM_E_DAMAGED);
                        n_damaged++;
                }
        }
        assert_true(n_whole > 0 && n_damaged > 0);
        story_deinit(&story);
}

static void limit_files(uint64_t bytes) {
        struct rlimit limit;

        assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
        limit.rlim_cur = MIN_OF(bytes, limit.rlim_max);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_disk_full(void **state) {
        _cleanup_(freep) char *before = NULL;
        Home *home = *state;
        Detail detail;
        uint64_t end;
        int r;

        signal(SIGXFSZ, SIG_IGN);
        before = home_text(home);
        end = home->vm->record->journal->end;
        for (uint64_t room = 0;; room++) {
                limit_files(end + room);
                r = home_apply(home, PATCH(MMIO("m", "0")), &detail);
                limit_files(UINT64_MAX);
                if (r == 0)
                        break;
                assert_int_equal(r, VM_E_NO_SPACE);
                assert_text(home_text(home), before);
        }
        assert_int_equal(home->vm->map->generation, 2);
        must_be_the_same_again(home);
}

static void test_large_record(void **state) {
        enum { N = 5000 };
        static Edit edits[N];
        Home *home = *state;
        char name[16];

        for (size_t i = 0; i < N; i++) {
                snprintf(name, sizeof(name), "m%zu", i);
                assert_int_equal(edit_init(&edits[i], EDIT_ADD_REGION, name), 0);
                edits[i].kind = REGION_MMIO;
                edits[i].size = 16;
                edits[i].offset = i * 16;
                edits[i].flags = REGION_ENABLED;
                edits[i].parent = strdup("system");
        }
        assert_int_equal(home_commit(home, edits, N, NULL), 0);
        must_be_the_same_again(home);
        assert_int_equal(home->vm->map->n_regions, N + 2);
        for (size_t i = 0; i < N; i++)
                edit_deinit(&edits[i]);
}

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
        write_journal(home, "", 0);
        assert_int_equal(home_restart(home, &(Recovered){}, &detail), VM_E_DAMAGED);
}

static void test_facts(void **state) {
        Home *home = *state;
        Facts facts = {.paused = true, .dirty_log = 2, .transactions = 1000};

        assert_int_equal(facts_set(home->vm, &facts, NULL), 0);
        home_must_restart(home);
        assert_true(home->vm->facts.paused);
        assert_int_equal(home->vm->facts.dirty_log, 2);
        assert_int_equal(home->vm->facts.transactions, 1000);
        assert_string_equal(vm_state(home->vm), "paused");
        assert_int_equal(home->vm->map->log_global, 2);
        facts = (Facts){};
        assert_int_equal(facts_set(home->vm, &facts, NULL), 0);
        home_must_restart(home);
        assert_memory_equal(&home->vm->facts, &facts, sizeof(facts));
        assert_int_equal(home->vm->lost, 0);
}

static uint64_t n_dirty(const Home *home, const char *name, PageLogReader reader) {
        PageLog *log = &map_find_region(home->vm->map, name)->backing->log;
        uint64_t bits[4] = {};

        return page_log_has(log, reader) ? page_log_read(log, reader, log->n_pages, true, bits) : 0;
}

/* Nobody knows any more which pages were written: all of them count, where somebody logs. */
static void test_dirty_pages(void **state) {
        Home *home = *state;

        home_must_apply(home, PATCH(RAM("a", "0x20000", "0") AND RAM("b", "0x20000", "1MiB")));
        home_must_apply(home, PATCH("{\"set-region\": {\"name\": \"a\", \"dirty-log\": true}}"));
        assert_int_equal(n_dirty(home, "a", PAGE_LOG_REGION), 0);
        home_must_restart(home);
        assert_int_equal(n_dirty(home, "a", PAGE_LOG_REGION), 32);
        assert_int_equal(n_dirty(home, "a", PAGE_LOG_REGION), 0);
        assert_int_equal(n_dirty(home, "b", PAGE_LOG_REGION), 0);
        assert_int_equal(facts_set(home->vm, &(Facts){.dirty_log = 1}, NULL), 0);
        home_must_restart(home);
        assert_int_equal(n_dirty(home, "a", PAGE_LOG_VM), 32);
        assert_int_equal(n_dirty(home, "b", PAGE_LOG_VM), 32);
}

static void test_facts_disk_full(void **state) {
        Facts facts = {.transactions = 1000};
        Home *home = *state;
        Detail detail;
        int r;

        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(facts_set(home->vm, &facts, NULL), 0);
        for (uint64_t room = 0;; room++) {
                limit_files(room);
                r = facts_set(home->vm, &(Facts){.transactions = 2000}, &detail);
                limit_files(UINT64_MAX);
                if (r == 0)
                        break;
                assert_int_equal(r, VM_E_NO_SPACE);
                assert_int_equal(home->vm->facts.transactions, 1000);
                assert_int_equal(facts_read(&facts, home->directory, NULL), 0);
                assert_int_equal(facts.transactions, 1000);
        }
        assert_int_equal(facts_read(&facts, home->directory, NULL), 0);
        assert_int_equal(facts.transactions, 2000);
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

static void test_nothing_to_recover(void **state) {
        Home *home = *state;

        recovery_forget(&(Places){.runtime = home->directory});
        assert_int_equal(home_restart(home, &(Recovered){}, NULL), 0);
        assert_null(home->vm);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

UNIT_TESTS(TEST(test_new_vm), TEST(test_every_verb), TEST(test_prealloc),
           TEST(test_prealloc_takes_its_time), TEST(test_prealloc_is_ended),
           TEST(test_numbers_never_run_backwards), TEST(test_what_fails_is_not_there),
           TEST(test_cut_anywhere), TEST(test_flipped_anywhere), TEST(test_disk_full),
           TEST(test_large_record), TEST(test_compaction), TEST(test_compaction_interrupted),
           TEST(test_facts), TEST(test_facts_disk_full), TEST(test_dirty_pages),
           TEST(test_refused_is_left_out), TEST(test_not_refused_is_tried_again),
           TEST(test_confirmed_is_not_left_out), TEST(test_refused_never_comes_back),
           TEST(test_refused_before_power_fails), TEST(test_broken), TEST(test_name_is_durable),
           TEST(test_nothing_to_recover));
