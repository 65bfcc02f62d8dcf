/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Following a map: GetChanges, WaitChanges, and signals of commits that are too large or too many
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/vm/watch-dbus.h"
#include "tests/bus/rig.h"
#include "tests/common/unit.h"

static const char *changes(Rig *rig, uint64_t since) {
        return rig_call(rig, RIG_MEMORY, "AddressSpace.GetChanges", "t", since);
}

static void test_net_change(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "a", "mmio", 0x1000, "system", 0);
        rig_add(rig, RIG_VM, "b", "mmio", 0x1000, "system", 0x1000);
        rig_enable(rig, RIG_VM, "a", false);
        rig_enable(rig, RIG_VM, "b", false);
        rig_enable(rig, RIG_VM, "b", true);
        assert_string_equal(changes(rig, 1), "6 true [] [(4096 8191 b 0 mmio 0)]");
        assert_string_equal(changes(rig, 2), "6 true [(0 4095 a 0 mmio 0)] "
                                             "[(4096 8191 b 0 mmio 0)]");
        assert_string_equal(changes(rig, 3), "6 true [(0 4095 a 0 mmio 0)] []");
        assert_string_equal(changes(rig, 4), "6 true [] []");
        assert_string_equal(changes(rig, 6), "6 true [] []");
        rig_free(rig);
}

/* A name that came again on other memory is not what it was, although it looks the same. */
static void test_same_name_other_memory(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0);
        rig_remove(rig, RIG_VM, "ram");
        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0);
        assert_string_equal(changes(rig, 2),
                            "4 true [(0 4095 ram 0 ram 0)] [(0 4095 ram 0 ram 0)]");
        rig_free(rig);
}

static const char *io_changes(Rig *rig, uint64_t since) {
        return rig_call(rig, RIG_VM "/space/io", "AddressSpace.GetChanges", "t", since);
}

static void test_beyond_history(void **state) {
        static const char whole[] = "19 false [] [(0 4095 a 0 mmio 0), ";
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "a", "mmio", 0x1000, "system", 0);
        /* Before the beginning, and after the end: the whole view instead. */
        assert_string_equal(changes(rig, 0), "2 false [] [(0 4095 a 0 mmio 0)]");
        assert_string_equal(changes(rig, 3), "2 false [] [(0 4095 a 0 mmio 0)]");
        /* All goes and comes, half a megabyte each time, until the first are forgotten. */
        rig_add_many(rig, "b", 9999, 1 << 20);
        for (unsigned i = 0; i < 16; i++)
                rig_enable(rig, RIG_VM, "system", i % 2);
        assert_int_equal(strncmp(changes(rig, 2), whole, strlen(whole)), 0);
        assert_int_equal(strncmp(changes(rig, 3), whole, strlen(whole)), 0);
        assert_int_equal(strncmp(changes(rig, 4), "19 true [] [(0 4095 a ", 22), 0);
        assert_string_equal(changes(rig, 5), "19 true [] []");
        rig_free(rig);
}

/* What one space forgets the others still know. */
static void test_quiet_space(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "p", "mmio", 1, "io", 0);
        rig_add_many(rig, "b", 10000, 1 << 20);
        for (unsigned i = 0; i < 16; i++)
                rig_enable(rig, RIG_VM, "system", i % 2);
        assert_string_equal(io_changes(rig, 2), "19 true [] []");
        rig_enable(rig, RIG_VM, "p", false);
        assert_string_equal(io_changes(rig, 2), "20 true [(0 0 p 0 mmio 0)] []");
        assert_string_equal(io_changes(rig, 1), "20 false [] []");
        rig_free(rig);
}

/* The number that each has is the last since which GetChanges has something to say. */
static void test_which_spaces_changed(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "a", "mmio", 0x1000, "system", 0);
        rig_add(rig, RIG_VM, "empty", "container", 0x1000, "", 0);
        rig_call(rig, RIG_VM, "Map.AddAddressSpace", "ssa{sv}", "dma", "empty", 0);
        rig_call(rig, RIG_VM, "Map.AddAddressSpace", "ssa{sv}", "smm", "system", 0);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListAddressSpaces", ""),
                            "5 [(dma empty 4), (io io 1), (memory system 2), (smm system 5)]");
        rig_enable(rig, RIG_VM, "a", false);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListAddressSpaces", ""),
                            "6 [(dma empty 4), (io io 1), (memory system 6), (smm system 6)]");
        rig_call(rig, RIG_VM, "Map.RemoveAddressSpace", "sa{sv}", "memory", 0);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListAddressSpaces", ""),
                            "7 [(dma empty 4), (io io 1), (smm system 6)]");
        rig_free(rig);
}

static void test_truncated(void **state) {
        Rig *rig = rig_new_vm();
        char *log;

        rig_add_many(rig, "a", 64, 0);
        log = rig_log(rig);
        assert_null(strstr(log, "truncated"));
        assert_non_null(strstr(log, "InterfacesAdded /region/a00063\n"));
        free(log);
        rig_add_many(rig, "b", 65, 1 << 20);
        assert_text(rig_log(rig), "reply\nCommitted 3 2 [] {edits: 65, slot-operations: 0, "
                                  "truncated: true, objects-changed: true}\n");
        rig_free(rig);
}

static void test_caps(void **state) {
        Rig *rig = rig_new_vm();
        uint64_t generation;
        const char *text;
        int more;

        rig_add_many(rig, "a", 10001, 0);
        assert_string_equal(changes(rig, 0), "2 false [] []");
        assert_string_equal(changes(rig, 1), "2 false [] []");
        assert_int_equal(strncmp(rig_flat(rig, RIG_MEMORY),
                                 "TooLarge: address space \"memory\" has "
                                 "10001 sections",
                                 50),
                         0);
        text = rig_call(rig, RIG_MEMORY, "AddressSpace.GetFlatViewFrom", "tu", UINT64_C(4096),
                        UINT32_C(2));
        assert_string_equal(text, "2 [(8192 12287 a00001 0 mmio 0), (16384 20479 a00002 0 mmio 0)] "
                                  "true");
        text = rig_call(rig, RIG_MEMORY, "AddressSpace.GetFlatViewFrom", "tu", UINT64_C(81920000),
                        UINT32_C(0));
        assert_string_equal(text, "2 [(81920000 81924095 a10000 0 mmio 0)] false");
        rig_call(rig, RIG_MEMORY, "AddressSpace.GetFlatViewFrom", "tu", UINT64_C(0), UINT32_MAX);
        assert_true(sd_bus_message_read(rig->reply, "t", &generation) > 0);
        assert_true(sd_bus_message_skip(rig->reply, "a(ttstsu)") > 0);
        assert_true(sd_bus_message_read(rig->reply, "b", &more) > 0);
        assert_true(more);
        /* Of a table only its rows count, and none of these sections is memory. */
        assert_string_equal(rig_call(rig, RIG_MEMORY, "AddressSpace.GetMemoryTable", ""), "2 []");
        rig_free(rig);
}

/* The memory of a space in more pieces than a reply holds: one region, cut by many. */
static void test_memory_table(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 8192 * 10001, "system", 0);
        rig_add_many(rig, "a", 10000, 4096);
        rig_call(rig, RIG_MEMORY, "AddressSpace.GetMemoryTable", "");
        assert_string_equal(rig->text, "TooLarge: address space \"memory\" has more than 10000 "
                                       "sections of memory, the limit of one reply: use Dump of "
                                       "memory-table");
        rig_remove(rig, RIG_VM, "a00000");
        rig_call(rig, RIG_MEMORY, "AddressSpace.GetMemoryTable", "");
        assert_int_equal(strncmp(rig->text, "4 [(0 12287 1 0 0), (16384 ", 27), 0);
        rig_free(rig);
}

static void wait_changes(Rig *rig, uint64_t since, uint64_t timeout_usec) {
        rig_send(rig, RIG_MEMORY, "AddressSpace.WaitChanges", "tt", since, timeout_usec);
}

/* A wait in the name of another client, so that the rig's own calls can go on beside it. */
static int on_waited(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        sd_bus_message **ret = userdata;

        *ret = sd_bus_message_ref(m);
        return 0;
}

static sd_bus_message *start_wait(Rig *rig, sd_bus_message **ret, const char *space, uint64_t since,
                                  uint64_t timeout_usec) {
        sd_bus_message *m = NULL;

        *ret = NULL;
        assert_true(sd_bus_message_new_method_call(rig->bus, &m, NULL, space,
                                                   "org.guestmap1.AddressSpace",
                                                   "WaitChanges") >= 0);
        assert_true(sd_bus_message_append(m, "tt", since, timeout_usec) >= 0);
        if (rig->sender)
                assert_true(sd_bus_message_set_sender(m, rig->sender) >= 0);
        assert_true(sd_bus_call_async(rig->bus, NULL, m, on_waited, ret, UINT64_MAX) >= 0);
        sd_bus_message_unref(m);
        rig_settle(rig);
        return *ret;
}

static void test_wait(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus_message *answer;
        uint64_t generation;
        int complete;

        rig_add(rig, RIG_VM, "a", "mmio", 0x1000, "system", 0);
        /* Something newer is there: at once. */
        wait_changes(rig, 1, UINT64_MAX);
        assert_string_equal(rig_wait(rig), "2 true [] [(0 4095 a 0 mmio 0)]");
        wait_changes(rig, 9, UINT64_MAX);
        assert_string_equal(rig_wait(rig), "2 false [] [(0 4095 a 0 mmio 0)]");
        /* Nothing is there: not before this space has changed. */
        assert_null(start_wait(rig, &answer, RIG_MEMORY, 2, UINT64_MAX));
        rig_add(rig, RIG_VM, "p", "mmio", 1, "io", 0);
        assert_null(answer);
        rig_enable(rig, RIG_VM, "a", false);
        assert_non_null(answer);
        assert_true(sd_bus_message_read(answer, "tb", &generation, &complete) > 0);
        assert_int_equal(generation, 4);
        assert_true(complete);
        sd_bus_message_unref(answer);
        assert_int_equal(rig->service->n_watches, 0);
        rig_free(rig);
}

static void test_wait_time_limit(void **state) {
        Rig *rig = rig_new_vm();

        wait_changes(rig, 1, 20000);
        assert_false(rig->answered);
        assert_string_equal(rig_wait(rig), "1 true [] []");
        wait_changes(rig, 1, 0);
        assert_string_equal(rig_wait(rig), "1 true [] []");
        assert_int_equal(rig->service->n_watches, 0);
        rig_free(rig);
}

static void test_wait_ends_otherwise(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus_message *answer;

        rig_announce(rig, ":1.1", 1000);
        rig->sender = ":1.1";
        assert_null(start_wait(rig, &answer, RIG_MEMORY, 1, UINT64_MAX));
        rig->sender = NULL;
        assert_int_equal(rig->service->n_watches, 1);
        rig_call(rig, RIG_PRIVATE, "Private.CallerGone", "s", ":1.1");
        assert_int_equal(rig->service->n_watches, 0);
        assert_null(answer);

        assert_null(start_wait(rig, &answer, RIG_VM "/space/io", 1, UINT64_MAX));
        rig_call(rig, RIG_VM, "Map.RemoveAddressSpace", "sa{sv}", "io", 0);
        assert_non_null(answer);
        assert_string_equal(sd_bus_message_get_error(answer)->message,
                            "NoSuchAddressSpace: address space \"io\" was removed from VM "
                            "\"test\"");
        sd_bus_message_unref(answer);
        rig_free(rig);
}

/* Long answers to many, of whom nobody reads: they wait in their place, not in the connection. */
static void test_wait_for_much(void **state) {
        enum { N = 40 };
        Rig *rig = rig_new_vm();
        Service *service = rig->service;
        Edit show = {.verb = EDIT_SET_REGION,
                     .mask = PROPERTY_FLAGS,
                     .flags_mask = REGION_ENABLED,
                     .flags = REGION_ENABLED,
                     .name = strdup("system")};
        sd_bus_message *answers[N];
        uint64_t queued, generation;
        int small = 65536;
        Detail detail = {};

        rig_add_many(rig, "a", 5000, 0);
        rig_enable(rig, RIG_VM, "system", false);
        for (unsigned i = 0; i < N; i++)
                assert_null(start_wait(rig, &answers[i], RIG_MEMORY, 3, UINT64_MAX));
        assert_true(sd_bus_detach_event(rig->bus) >= 0);
        assert_int_equal(setsockopt(sd_bus_get_fd(service->bus), SOL_SOCKET, SO_SNDBUF, &small,
                                    sizeof(small)),
                         0);
        assert_int_equal(map_target_edit(&service->map_target, &show, &generation, &detail), 0);
        edit_deinit(&show);
        rig_settle(rig);
        assert_true(sd_bus_get_n_queued_write(service->bus, &queued) >= 0);
        assert_true(queued <= WATCHES_QUEUED_MAX);
        assert_true(service->n_watches > N / 2);
        assert_true(sd_bus_attach_event(rig->bus, rig->event, 0) >= 0);
        rig_settle(rig);
        assert_int_equal(service->n_watches, 0);
        for (unsigned i = 0; i < N; i++) {
                assert_non_null(answers[i]);
                assert_false(sd_bus_message_is_method_error(answers[i], NULL));
                sd_bus_message_unref(answers[i]);
        }
        rig_free(rig);
}

/* A commit of so many edits that what they are about is not remembered one by one. */
static void test_wait_for_one_of_many(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus_message *memory, *io, *io_again;

        assert_null(start_wait(rig, &io, RIG_VM "/space/io", 1, UINT64_MAX));
        assert_null(start_wait(rig, &memory, RIG_MEMORY, 1, UINT64_MAX));
        assert_null(start_wait(rig, &io_again, RIG_VM "/space/io", 1, UINT64_MAX));
        rig_add_many(rig, "a", 100, 0);
        assert_non_null(memory);
        assert_null(io);
        assert_null(io_again);
        assert_int_equal(rig->service->n_watches, 2);
        rig_call(rig, RIG_VM, "Map.RemoveAddressSpace", "sa{sv}", "io", 0);
        assert_true(sd_bus_message_is_method_error(io, NULL));
        assert_true(sd_bus_message_is_method_error(io_again, NULL));
        assert_int_equal(rig->service->n_watches, 0);
        sd_bus_message_unref(memory);
        sd_bus_message_unref(io);
        sd_bus_message_unref(io_again);
        rig_free(rig);
}

static void test_wait_quota(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus_message *answers[2];

        rig->service->n_watches = WATCHES_MAX - 1;
        assert_null(start_wait(rig, &answers[0], RIG_MEMORY, 1, UINT64_MAX));
        assert_non_null(start_wait(rig, &answers[1], RIG_MEMORY, 1, UINT64_MAX));
        assert_string_equal(sd_bus_message_get_error(answers[1])->message,
                            "QuotaExceeded: VM \"test\": 1024 calls wait for changes, the limit is "
                            "1024");
        sd_bus_message_unref(answers[1]);
        rig_free(rig);
}

/* Users who may only look cannot take everything: not each of them, and not all together. */
static void test_wait_quota_of_others(void **state) {
        static const char *const others[] = {":1.1", ":1.2", ":1.3"};
        Rig *rig = rig_new_vm();
        sd_bus_message *answer;

        for (size_t i = 0; i < ELEMENTS_OF(others); i++)
                rig_announce(rig, others[i], 2000 + (uint32_t)i);
        rig_announce(rig, ":1.9", 1000);
        for (size_t i = 0; i < ELEMENTS_OF(others); i++) {
                rig->sender = others[i];
                for (unsigned n = 0; n < WATCHES_USER_MAX; n++)
                        assert_null(start_wait(rig, &answer, RIG_MEMORY, 1, UINT64_MAX));
        }
        assert_non_null(start_wait(rig, &answer, RIG_MEMORY, 1, UINT64_MAX));
        assert_string_equal(sd_bus_message_get_error(answer)->message,
                            "QuotaExceeded: VM \"test\": 256 calls of uid 2002 wait for changes, "
                            "the limit is 256");
        sd_bus_message_unref(answer);
        rig_announce(rig, ":1.4", 2003);
        rig->sender = ":1.4";
        assert_non_null(start_wait(rig, &answer, RIG_MEMORY, 1, UINT64_MAX));
        assert_string_equal(sd_bus_message_get_error(answer)->message,
                            "QuotaExceeded: VM \"test\": 768 calls wait for changes, the limit is "
                            "768 for all but its owner and root");
        sd_bus_message_unref(answer);
        rig->sender = ":1.9";
        assert_null(start_wait(rig, &answer, RIG_MEMORY, 1, UINT64_MAX));
        rig_free(rig);
}

/* Where a new region is seen very often, its InterfacesAdded would be as long. */
static void test_seen_too_often(void **state) {
        Rig *rig = rig_new_vm();
        char *document = NULL;
        size_t length;
        FILE *out = open_memstream(&document, &length);

        assert_non_null(out);
        fputs("{\"guestmap\": 1, \"edits\": [{\"add-region\": {\"name\": \"box\", "
              "\"kind\": \"container\", \"size\": 4096}}",
              out);
        for (unsigned i = 0; i < 4097; i++)
                fprintf(out,
                        ",{\"add-alias\": {\"name\": \"%u\", \"target\": \"box\", "
                        "\"size\": 4096, \"parent\": \"system\", \"offset\": %u}}",
                        i, 4096 * i);
        fputs("]}", out);
        fclose(out);
        rig_call(rig, RIG_VM, "Map.Apply", "sa{sv}", document, 0);
        free(document);
        free(rig_log(rig));
        rig_add(rig, RIG_VM, "r", "mmio", 1, "box", 0);
        assert_text(rig_log(rig), "reply\nCommitted 3 2 [] {edits: 1, slot-operations: 0, "
                                  "truncated: true, objects-changed: true}\n");
        /* What was there before is told of, however many sections there are. */
        rig_enable(rig, RIG_VM, "r", false);
        assert_text(rig_log(rig), "reply\nPropertiesChanged @/region/r org.guestmap1.Region "
                                  "{Enabled: false} []\nCommitted 4 3 [] {edits: 1, "
                                  "slot-operations: 0, truncated: true}\n");
        rig_free(rig);
}

/* What waits to be told is not told with what came of it later. */
static void test_overtaken(void **state) {
        Rig *rig = rig_new_vm();
        Edit hide = {.verb = EDIT_SET_REGION,
                     .mask = PROPERTY_FLAGS,
                     .flags_mask = REGION_ENABLED,
                     .name = strdup("a")};
        Edit remove = {.verb = EDIT_REMOVE_REGION, .name = strdup("a")};
        MapTarget *target = &rig->service->map_target;
        Detail detail = {};
        uint64_t generation;

        rig_add(rig, RIG_VM, "a", "mmio", 0x1000, "system", 0);
        free(rig_log(rig));
        assert_int_equal(map_target_edit(target, &hide, &generation, &detail), 0);
        assert_int_equal(map_target_edit(target, &remove, &generation, &detail), 0);
        rig_settle(rig);
        assert_text(rig_log(rig), "Committed 4 2 [] {edits: 2, slot-operations: 0, "
                                  "truncated: true, objects-changed: true}\n");
        edit_deinit(&hide);
        edit_deinit(&remove);
        rig_free(rig);
}

/* A client that does not read: memory stays bounded, and one signal tells of all in the end. */
static void test_folded(void **state) {
        Rig *rig = rig_new_vm();
        Service *service = rig->service;
        uint64_t queued, most = 0, previous = 1, generation, told;
        char *log, *next;
        int small = 65536;

        rig_add(rig, RIG_VM, "a", "mmio", 0x1000, "system", 0);
        free(rig_log(rig));
        assert_true(sd_bus_detach_event(rig->bus) >= 0);
        /* sd-bus asks for 8 MiB; with less in the kernel the queue shows sooner. */
        assert_int_equal(setsockopt(sd_bus_get_fd(service->bus), SOL_SOCKET, SO_SNDBUF, &small,
                                    sizeof(small)),
                         0);
        for (unsigned i = 0; i < 5000; i++) {
                Edit edit = {.verb = EDIT_SET_REGION,
                             .mask = PROPERTY_FLAGS,
                             .flags_mask = REGION_ENABLED,
                             .flags = i % 2 ? REGION_ENABLED : 0};
                Detail detail = {};

                edit.name = strdup("a");
                assert_int_equal(map_target_edit(&service->map_target, &edit, &generation, &detail),
                                 0);
                edit_deinit(&edit);
                rig_settle(rig);
                assert_true(sd_bus_get_n_queued_write(service->bus, &queued) >= 0);
                most = MAX_OF(most, queued);
                rig_settle(rig);
        }
        assert_true(service->announcer.next.folded);
        assert_true(most < 1000);
        assert_true(sd_bus_attach_event(rig->bus, rig->event, 0) >= 0);
        rig_settle(rig);
        assert_false(service->announcer.waiting);

        /* Without a gap: each begins where the one before ended. */
        log = rig_log(rig);
        previous = 2;
        for (char *at = log; (at = strstr(at, "Committed ")); at = next) {
                next = at + 1;
                assert_int_equal(sscanf(at, "Committed %" SCNu64 " %" SCNu64, &generation, &told),
                                 2);
                assert_int_equal(told, previous);
                previous = generation;
        }
        assert_int_equal(previous, 5002);
        assert_non_null(strstr(log, "truncated: true, objects-changed: true"));
        free(log);
        rig_free(rig);
}

UNIT_TESTS(cmocka_unit_test(test_net_change), cmocka_unit_test(test_beyond_history),
           cmocka_unit_test(test_quiet_space),
           cmocka_unit_test(test_which_spaces_changed),
           cmocka_unit_test(test_same_name_other_memory),
           cmocka_unit_test(test_truncated), cmocka_unit_test(test_caps),
           cmocka_unit_test(test_memory_table), cmocka_unit_test(test_wait),
           cmocka_unit_test(test_wait_time_limit), cmocka_unit_test(test_wait_ends_otherwise),
           cmocka_unit_test(test_wait_for_much), cmocka_unit_test(test_wait_for_one_of_many),
           cmocka_unit_test(test_wait_quota), cmocka_unit_test(test_wait_quota_of_others),
           cmocka_unit_test(test_seen_too_often), cmocka_unit_test(test_overtaken),
           cmocka_unit_test(test_folded));
