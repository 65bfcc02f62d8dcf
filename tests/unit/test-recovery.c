/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a process makes of its predecessor's journal and facts: the same VM again. */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/vm/journal-record.h"
#include "tests/common/deaf-manager.h"
#include "tests/unit/home-scene.h"

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

#define DIMM                                                                                       \
        PATCH("{\"add-region\": {\"name\": \"dimm0\", \"kind\": \"ram\", "                         \
              "\"size\": \"1MiB\", \"prealloc\": true}}")

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

/* Or else a VM with much memory would never come back, at the start or when it is tried again. */
static void test_prealloc_takes_its_time(void **state) {
        _cleanup_(closep) int manager = deaf_manager_new();
        Home *home = *state;

        home_must_apply(home, DIMM);
        (void)deaf_manager_read(manager, "");
        home_must_restart(home);
        assert_int_equal(deaf_manager_read(manager, "EXTEND_TIMEOUT_USEC=300000000\nWATCHDOG=1"),
                         1);
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

static void test_nothing_to_recover(void **state) {
        Home *home = *state;

        recovery_forget(&(Places){.runtime = home->directory});
        assert_int_equal(home_restart(home, &(Recovered){}, NULL), 0);
        assert_null(home->vm);
}

#define TEST(function)                                                                             \
        cmocka_unit_test_setup_teardown(function, home_scene_setup, home_scene_teardown)

UNIT_TESTS(TEST(test_new_vm), TEST(test_every_verb), TEST(test_prealloc),
           TEST(test_prealloc_takes_its_time), TEST(test_prealloc_is_ended),
           TEST(test_numbers_never_run_backwards), TEST(test_what_fails_is_not_there),
           TEST(test_large_record), TEST(test_facts), TEST(test_dirty_pages),
           TEST(test_nothing_to_recover));
