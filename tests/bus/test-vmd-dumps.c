/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Dumps, made on threads: what they show, who waits, how many there may be, what ends them
 */

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/vm/dump-dbus.h"
#include "tests/bus/rig.h"
#include "tests/bus/slow-jobs.h"
#include "tests/common/unit.h"

/* The text that a reply's descriptor holds. The caller frees. */
static char *reply_dump(sd_bus_message *reply) {
        off_t size;
        char *text;
        int fd;

        assert_true(sd_bus_message_read(reply, "h", &fd) > 0);
        size = lseek(fd, 0, SEEK_END);
        text = calloc(1, (size_t)size + 1);
        assert_non_null(text);
        assert_int_equal(pread(fd, text, (size_t)size, 0), size);
        return text;
}

static int on_dumped(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        sd_bus_message **ret = userdata;

        *ret = sd_bus_message_ref(m);
        return 0;
}

/* A dump in the name of rig->sender, beside the rig's own calls. */
static void start_dump_of(Rig *rig, const char *what, sd_bus_message **ret) {
        sd_bus_message *m = NULL;

        *ret = NULL;
        assert_true(sd_bus_message_new_method_call(rig->bus, &m, NULL, RIG_VM, "org.guestmap1.VM",
                                                   "Dump") >= 0);
        assert_true(sd_bus_message_append(m, "sa{sv}", what, 0) >= 0);
        if (rig->sender)
                assert_true(sd_bus_message_set_sender(m, rig->sender) >= 0);
        assert_true(sd_bus_call_async(rig->bus, NULL, m, on_dumped, ret, UINT64_MAX) >= 0);
        sd_bus_message_unref(m);
        rig_settle(rig);
}

static void start_dump(Rig *rig, sd_bus_message **ret) {
        start_dump_of(rig, "flat", ret);
}

static void wait_for_dumps(Rig *rig) {
        while (rig->service->n_dumps > 0)
                assert_true(sd_event_run(rig->event, UINT64_C(20000000)) > 0);
        rig_settle(rig);
}

/* It shows what was there when it was asked for, however much has happened since. */
static void test_snapshot(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus_message *answer;

        rig_add(rig, RIG_VM, "a", "ram", 0x1000, "system", 0);
        slow_jobs_begin(&rig->service->jobs);
        start_dump(rig, &answer);
        rig_remove(rig, RIG_VM, "a");
        rig_add(rig, RIG_VM, "b", "mmio", 0x1000, "system", 0);
        rig_call(rig, RIG_VM, "Map.RemoveAddressSpace", "sa{sv}", "io", 0);
        rig_call(rig, RIG_VM, "Map.RemoveAddressSpace", "sa{sv}", "memory", 0);
        assert_string_equal(rig->text, "6");
        assert_null(answer);
        slow_jobs_end();
        wait_for_dumps(rig);
        assert_non_null(answer);
        assert_text(reply_dump(answer),
                    "{\"generation\":2,\"address-spaces\":{\n  \"io\":[],\n  \"memory\":[\n"
                    "    {\"first\":\"0x0\",\"last\":\"0xfff\",\"region\":\"a\",\"offset\":\"0x0\","
                    "\"kind\":\"ram\",\"flags\":[]}]}}\n");
        sd_bus_message_unref(answer);
        rig_free(rig);
}

/* So many regions that the tree is lent for writing them. */
enum { MANY = 5000 };

/* Commits go on while the thread reads; sanitizers look on. */
static void test_beside_commits(void **state) {
        static const char first[] = "{\"generation\":2,\"address-spaces\":{\n  \"io\":[],";
        Rig *rig = rig_new_vm();
        char name[] = "a00000", *text;
        sd_bus_message *answer;
        unsigned n_commits = 0;

        rig_add_many(rig, "a", MANY, 0);
        start_dump(rig, &answer);
        do {
                snprintf(name, sizeof(name), "a%05u", n_commits);
                rig_remove(rig, RIG_VM, name);
        } while (!answer && ++n_commits < MANY);
        wait_for_dumps(rig);
        text = reply_dump(answer);
        assert_int_equal(strncmp(text, first, strlen(first)), 0);
        assert_non_null(strstr(text, "\"region\":\"a00000\""));
        assert_non_null(strstr(text, "\"region\":\"a04999\""));
        free(text);
        sd_bus_message_unref(answer);
        rig_free(rig);
}

/* Who edits waits, who looks at views does not. */
static void test_tree_is_lent(void **state) {
        static const char first[] = "{\"generation\":2,\"regions\":[\n  {\"name\":\"a00000\",";
        Rig *rig = rig_new_vm();
        sd_bus_message *answer;
        char *text;

        rig_add_many(rig, "a", MANY, 0);
        rig_announce(rig, ":1.1", 1000);
        rig->sender = ":1.1";
        slow_jobs_begin(&rig->service->jobs);
        start_dump_of(rig, "regions", &answer);
        assert_true(rig->service->gate.is_lent);
        rig->sender = NULL;
        assert_string_equal(rig_call(rig, RIG_MEMORY, "AddressSpace.Find", "t", UINT64_C(0)),
                            "2 (0 4095 a00000 0 mmio 0)");
        rig_send(rig, RIG_VM, "Map.RemoveRegion", "sa{sv}", "a00000", 0);
        assert_false(rig->answered);
        slow_jobs_end();
        assert_string_equal(rig_wait(rig), "3");
        assert_non_null(answer);
        text = reply_dump(answer);
        assert_int_equal(strncmp(text, first, strlen(first)), 0);
        free(text);
        sd_bus_message_unref(answer);
        assert_false(rig->service->gate.is_lent);
        rig_free(rig);
}

/* A large one is written beside the loop, too, and comes in the message. */
static void test_layout(void **state) {
        static const char nothing[] = "2 {\"generation\":2,\"edits\":0,";
        Rig *rig = rig_new_vm();
        char *layout;

        rig_add_many(rig, "a", MANY, 0);
        rig_send(rig, RIG_VM, "VM.GetLayout", "a{sv}", 0);
        layout = strdup(rig_wait(rig));
        rig_call(rig, RIG_VM, "Map.Apply", "sa{sv}", layout, 0);
        assert_int_equal(strncmp(rig->text, nothing, strlen(nothing)), 0);
        free(layout);
        rig_free(rig);
}

static void test_quota(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus_message *answers[DUMPS_USER_MAX], *refusal, *owner;

        slow_jobs_begin(&rig->service->jobs);
        rig_announce(rig, ":1.1", 2000);
        rig->sender = ":1.1";
        for (unsigned i = 0; i < DUMPS_USER_MAX; i++)
                start_dump(rig, &answers[i]);
        start_dump(rig, &refusal);
        assert_non_null(refusal);
        assert_string_equal(sd_bus_message_get_error(refusal)->message,
                            "QuotaExceeded: VM \"test\": 2 calls of uid 2000 wait for dumps, the "
                            "limit is 2");
        sd_bus_message_unref(refusal);
        rig->sender = NULL;
        start_dump(rig, &owner);
        assert_int_equal(rig->service->n_dumps, DUMPS_USER_MAX + 1);
        slow_jobs_end();
        wait_for_dumps(rig);
        for (unsigned i = 0; i < DUMPS_USER_MAX; i++) {
                assert_false(sd_bus_message_is_method_error(answers[i], NULL));
                sd_bus_message_unref(answers[i]);
        }
        assert_false(sd_bus_message_is_method_error(owner, NULL));
        sd_bus_message_unref(owner);
        rig_free(rig);
}

/* Nobody is answered who has gone. */
static void test_caller_goes(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus_message *answer;

        slow_jobs_begin(&rig->service->jobs);
        rig_announce(rig, ":1.1", 2000);
        rig->sender = ":1.1";
        start_dump(rig, &answer);
        rig->sender = NULL;
        rig_call(rig, RIG_PRIVATE, "Private.CallerGone", "s", ":1.1");
        slow_jobs_end();
        wait_for_dumps(rig);
        assert_null(answer);
        rig_free(rig);
}

static void test_service_goes(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus_message *answer;

        rig_add(rig, RIG_VM, "a", "ram", 0x1000, "system", 0);
        slow_jobs_begin(&rig->service->jobs);
        start_dump(rig, &answer);
        slow_jobs_end();
        rig_free(rig);
        assert_null(answer);
}

UNIT_TESTS(cmocka_unit_test(test_snapshot), cmocka_unit_test(test_beside_commits),
           cmocka_unit_test(test_tree_is_lent), cmocka_unit_test(test_layout),
           cmocka_unit_test(test_quota), cmocka_unit_test(test_caller_goes),
           cmocka_unit_test(test_service_goes));
