/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Every allocation, write, ioctl, mapping, descriptor, thread and passing of a descriptor of a VM's
 * process fails once: test-fault-commit VMD PRELOAD
 *
 * While it is set up it says why it could not be, ends in order and leaves no journal. Once it
 * serves, a call fails with words and everything is as before, or it succeeds and everything is as
 * it should be; the process lives, and keeps no descriptor that it did not keep before. A process
 * that takes over from a killed one has all of the map, or ends in order, and the next one has it.
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/private.h"
#include "lib/util/cleanup.h"
#include "tests/fault/fault-scene.h"

enum { FAULTS_MAX = 5000 };

typedef struct Step Step;

/* A call that changes the map, and the one that takes it back. */
struct Step {
        const char *name;
        const char *document; /* patches */
        const char *inverse;
        const char *needs; /* a file, where the machine can do it; NULL: any can */
};

static const Step steps[] = {
        {"ram over another",
         "{\"add-region\":{\"name\":\"new\",\"kind\":\"ram\",\"size\":8192,\"parent\":\"system\","
         "\"offset\":4096,\"priority\":1}}",
         "{\"remove-region\":{\"name\":\"new\"}}"},
        {"mmio with devices",
         "{\"add-region\":{\"name\":\"new\",\"kind\":\"mmio\",\"size\":4096,\"parent\":\"system\","
         "\"offset\":\"4GiB\"}},"
         "{\"add-ioeventfd\":{\"region\":\"new\",\"offset\":0,\"length\":4}},"
         "{\"add-coalesced\":{\"region\":\"new\",\"offset\":64,\"size\":64}},"
         "{\"set-handler\":{\"region\":\"new\",\"handler\":\"log\"}}",
         "{\"clear-coalesced\":{\"region\":\"new\"}},"
         "{\"remove-ioeventfd\":{\"region\":\"new\",\"offset\":0,\"length\":4}},"
         "{\"remove-region\":{\"name\":\"new\"}}"},
        {"alias",
         "{\"add-alias\":{\"name\":\"new\",\"target\":\"ram\",\"target-offset\":4096,\"size\":8192,"
         "\"parent\":\"system\",\"offset\":\"8GiB\"}}",
         "{\"remove-region\":{\"name\":\"new\"}}"},
        {"window toggled", "{\"enable-region\":{\"name\":\"window\",\"enabled\":true}}",
         "{\"enable-region\":{\"name\":\"window\",\"enabled\":false}}"},
        {"ram moved",
         "{\"move-region\":{\"name\":\"dimm\",\"parent\":\"system\",\"offset\":\"3GiB\"}}",
         "{\"move-region\":{\"name\":\"dimm\",\"parent\":\"system\",\"offset\":\"2GiB\"}}"},
        {"properties", "{\"set-region\":{\"name\":\"ram\",\"readonly\":true,\"dirty-log\":true}}",
         "{\"set-region\":{\"name\":\"ram\",\"readonly\":false,\"dirty-log\":false}}"},
        {"address space", "{\"add-address-space\":{\"name\":\"dma\",\"root\":\"ram\"}}",
         "{\"remove-address-space\":{\"name\":\"dma\"}}"},
        {"memory that is prepared",
         "{\"add-region\":{\"name\":\"new\",\"kind\":\"ram\",\"size\":\"64MiB\",\"parent\":"
         "\"system\",\"offset\":\"16GiB\",\"prealloc\":true}}",
         "{\"remove-region\":{\"name\":\"new\"}}"},
        {"memory of a node",
         "{\"add-region\":{\"name\":\"new\",\"kind\":\"ram\",\"size\":8192,\"parent\":\"system\","
         "\"offset\":\"16GiB\",\"numa-node\":0,\"prealloc\":true}}",
         "{\"remove-region\":{\"name\":\"new\"}}", .needs = "/sys/devices/system/node/node0"},
};

static void check_end(int status, int kind, long n) {
        if (WIFSIGNALED(status))
                fail_msg("kind %d, call %ld: the process died of signal %d", kind, n,
                         WTERMSIG(status));
}

/* From its start to its answer: *ret_failed whether there was an n-th call at all. */
static void try_setup(FaultScene *scene, int kind, long n, bool *ret_failed) {
        int status, r;

        fault_arm(scene->page, kind, n);
        start_vmd(scene);
        scene->bus = connect_vmd(scene, &status);
        if (!scene->bus) {
                check_end(status, kind, n);
                *ret_failed = fault_disarm(scene->page);
                return;
        }
        r = set_up_vm(scene);
        *ret_failed = fault_disarm(scene->page);
        if (r < 0 && !*ret_failed)
                fail_msg("kind %d, %ld calls: setting up fails by itself", kind, n);
        scene->bus = sd_bus_close_unref(scene->bus);
        /* Whoever could not be set up ends by itself. */
        if (!vmd_ended(scene, &status))
                kill(scene->vmd, SIGTERM);
        if (scene->vmd > 0) {
                assert_int_equal(waitpid(scene->vmd, &status, 0), scene->vmd);
                scene->vmd = 0;
        }
        check_end(status, kind, n);
        if (r < 0 && (has_file(scene, "journal") || has_file(scene, "journal.new")))
                fail_msg("kind %d, call %ld: no VM, but a journal", kind, n);
        empty_home(scene);
}

static void test_setup(void **state) {
        FaultScene *scene = *state;

        for (int kind = 0; kind < FAULT_KINDS; kind++) {
                bool failed = true;
                long n;

                for (n = 1; failed && n < FAULTS_MAX; n++)
                        try_setup(scene, kind, n, &failed);
                assert_false(failed);
                print_message("# setup, kind %d: %ld faults\n", kind, n - 2);
        }
}

static bool can_do(const Step *step) {
        if (!step->needs || access(step->needs, F_OK) == 0)
                return true;
        print_message("# %s: there is no %s\n", step->name, step->needs);
        return false;
}

/* One step with a fault in it. Returns whether there was an n-th call. */
static bool try_step(FaultScene *scene, const Step *step, int kind, long n) {
        _cleanup_(freep) char *before = map_text(scene);
        _cleanup_(freep) char *after = NULL;
        _cleanup_(freep) char *words = NULL;
        uint64_t was = generation(scene), is;
        bool failed;
        int r;

        fault_arm(scene->page, kind, n);
        r = apply(scene, step->document, &words);
        failed = fault_disarm(scene->page);
        if (r < 0 && !failed)
                fail_msg("%s: fails by itself: %s", step->name, words);
        if (sd_bus_is_open(scene->bus) <= 0)
                reconnect(scene);
        else if (r < 0 && words[0] == '\0')
                fail_msg("%s: kind %d, call %ld: fails without a word", step->name, kind, n);
        is = generation(scene);
        after = map_text(scene);
        if (is == was) {
                if (strcmp(before, after) != 0)
                        fail_msg("%s: kind %d, call %ld (%s): not as before\n%s\n%s", step->name,
                                 kind, n, words, before, after);
                if (n_descriptors(scene, scene->descriptors) != scene->descriptors)
                        fail_msg("%s: kind %d, call %ld (%s): %u descriptors, before %u",
                                 step->name, kind, n, words, count_descriptors(scene),
                                 scene->descriptors);
                if (memory_is_left(scene))
                        fail_msg("%s: kind %d, call %ld (%s): its memory is left", step->name, kind,
                                 n, words);
        } else {
                assert_int_equal(is, was + 1);
                must_apply(scene, step->inverse);
        }
        return failed;
}

static void open_world(FaultScene *scene) {
        int status;

        start_vmd(scene);
        scene->bus = connect_vmd(scene, &status);
        assert_non_null(scene->bus);
        assert_true(set_up_vm(scene) >= 0);
        scene->descriptors = settled_descriptors(scene);
}

static void test_commit(void **state) {
        FaultScene *scene = *state;

        open_world(scene);
        for (size_t i = 0; i < ELEMENTS_OF(steps); i++) {
                long faults = 0;

                if (!can_do(&steps[i]))
                        continue;
                for (int kind = 0; kind < FAULT_KINDS; kind++)
                        for (long n = 1; try_step(scene, &steps[i], kind, n); n++)
                                faults++;
                print_message("# %s: %ld faults\n", steps[i].name, faults);
                assert_true(faults > 10);
        }
        end_vmd(scene);
        empty_home(scene);
}

/* Frees the text. Says where they differ, which is a line among many. */
static void check_same(char *text, const char *before, int kind, long n) {
        size_t at = 0;

        while (text[at] && text[at] == before[at])
                at++;
        if (text[at] != before[at])
                fail_msg("kind %d, call %ld: now …%.200s, before …%.200s", kind, n, text + at,
                         before + at);
        free(text);
}

/* Whether the process has not made the VM again, and stays to say so. */
static bool is_salvaged(FaultScene *scene) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *state;

        if (!scene->bus ||
            sd_bus_call_method(scene->bus, NULL, GUESTMAP_PATH_PRIVATE, GUESTMAP_INTERFACE_PRIVATE,
                               "Describe", NULL, &reply, NULL) < 0)
                return false;
        assert_true(sd_bus_message_read(reply, "ssus", NULL, NULL, NULL, NULL) > 0);
        assert_true(sd_bus_message_read(reply, "s", &state) > 0);
        return strcmp(state, "crashed") == 0;
}

/* It would try again after a second. */
static void end_salvaged(FaultScene *scene) {
        int status;

        scene->bus = sd_bus_close_unref(scene->bus);
        kill(scene->vmd, SIGTERM);
        assert_int_equal(waitpid(scene->vmd, &status, 0), scene->vmd);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 75);
}

/* A killed process, and one after it with a fault. Returns whether there was an n-th call. */
static bool try_recovery(FaultScene *scene, int kind, long n, const char *before) {
        bool failed, salvaged;
        int status = 0;

        scene->bus = sd_bus_close_unref(scene->bus);
        kill(scene->vmd, SIGKILL);
        assert_int_equal(waitpid(scene->vmd, &status, 0), scene->vmd);
        fault_arm(scene->page, kind, n);
        start_vmd(scene);
        scene->bus = connect_vmd(scene, &status);
        failed = fault_disarm(scene->page);
        salvaged = is_salvaged(scene);
        if (salvaged)
                end_salvaged(scene);
        if (!scene->bus) {
                if (!salvaged)
                        check_end(status, kind, n);
                if (!failed)
                        fail_msg("kind %d: recovery fails by itself, status 0x%x", kind, status);
                start_vmd(scene);
                scene->bus = connect_vmd(scene, &status);
        }
        if (!scene->bus)
                fail_msg("kind %d, call %ld: does not come back, status 0x%x", kind, n, status);
        check_same(map_text(scene), before, kind, n);
        return failed;
}

static void test_recovery(void **state) {
        FaultScene *scene = *state;
        _cleanup_(freep) char *before = NULL;

        open_world(scene);
        for (size_t i = 0; i < ELEMENTS_OF(steps); i++) {
                if (!can_do(&steps[i]))
                        continue;
                must_apply(scene, steps[i].document);
                must_apply(scene, steps[i].inverse);
        }
        must_apply(scene, steps[1].document);
        before = map_text(scene);
        for (int kind = 0; kind < FAULT_KINDS; kind++) {
                long n = 1;

                while (try_recovery(scene, kind, n, before))
                        n++;
                print_message("# recovery, kind %d: %ld faults\n", kind, n - 1);
        }
        end_vmd(scene);
        empty_home(scene);
}

int main(int argc, char **argv) {
        static FaultScene scene;
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_prestate(test_setup, &scene),
                cmocka_unit_test_prestate(test_commit, &scene),
                cmocka_unit_test_prestate(test_recovery, &scene),
        };
        int r;

        if (argc != 3 || !fault_scene_init(&scene, argv[1], argv[2]))
                return EXIT_FAILURE;
        r = cmocka_run_group_tests(tests, NULL, NULL);
        fault_scene_deinit(&scene);
        return r;
}
