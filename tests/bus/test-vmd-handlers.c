/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Map.SetHandler: what it answers, what is told of it, what is refused
 */

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "api/names.h"
#include "tests/bus/rig.h"
#include "tests/common/unit.h"

#define DEV    RIG_VM "/region/dev"
#define REGION "org.guestmap1.Region"

static const char *set_none(Rig *rig, const char *path, const char *region) {
        return rig_call(rig, path, "Map.SetHandler", "ssa{sv}", region, "none", 0);
}

static const char *set_value(Rig *rig, const char *path, const char *region, const char *handler,
                             uint64_t value) {
        return rig_call(rig, path, "Map.SetHandler", "ssa{sv}", region, handler, 1, "value", "t",
                        value);
}

static void test_verb(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0);
        assert_string_equal(rig_get(rig, DEV, REGION, "Handler"), "none");
        free(rig_log(rig));
        assert_string_equal(set_value(rig, RIG_VM, "dev", "constant", 7), "3");
        assert_text(rig_log(rig), "reply\n"
                                  "PropertiesChanged @/region/dev org.guestmap1.Region "
                                  "{Handler: constant} []\n"
                                  "Committed 3 2 [] {edits: 1, slot-operations: 0}\n");
        /* The same again, and nobody in place of nobody, are no change. */
        assert_string_equal(set_value(rig, RIG_VM, "dev", "constant", 7), "3");
        assert_text(rig_log(rig), "reply\n");
        assert_string_equal(set_value(rig, RIG_VM, "dev", "constant", 8), "4");
        assert_text(rig_log(rig), "reply\nCommitted 4 3 [] {edits: 1, slot-operations: 0}\n");
        assert_string_equal(set_none(rig, RIG_VM, "dev"), "5");
        assert_string_equal(set_none(rig, RIG_VM, "dev"), "5");
        assert_string_equal(rig_get(rig, DEV, REGION, "Handler"), "none");
        assert_string_equal(rig_get(rig, DEV, REGION, "HandlerReads"), "0");
        assert_string_equal(rig_get(rig, DEV, REGION, "HandlerWrites"), "0");
        assert_string_equal(rig_get(rig, RIG_VM "/region/system", REGION, "Handler"), "");
        rig_free(rig);
}

static void test_transaction(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0);
        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        assert_string_equal(set_value(rig, RIG_VM "/transaction/1", "dev", "latch", 1), "0");
        assert_string_equal(rig_get(rig, DEV, REGION, "Handler"), "none");
        rig_call(rig, RIG_VM "/transaction/1", "Transaction.Commit", "a{sv}", 0);
        assert_string_equal(rig->text, "3");
        assert_string_equal(rig_get(rig, DEV, REGION, "Handler"), "latch");

        /* Another commit has set what the transaction sets. */
        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        set_value(rig, RIG_VM "/transaction/2", "dev", "latch", 2);
        assert_string_equal(set_none(rig, RIG_VM, "dev"), "4");
        rig_call(rig, RIG_VM "/transaction/2", "Transaction.Commit", "a{sv}", 0);
        assert_string_equal(rig->text,
                            "Conflict: edit 1: region \"dev\" was changed by the commit of "
                            "generation 4, the transaction began at 3");
        rig_free(rig);
}

static void test_refused(void **state) {
        Rig *rig = rig_new_vm();
        char *before;

        rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0);
        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0x1000);
        before = rig_state(rig);
        assert_string_equal(set_none(rig, RIG_VM, "nobody"),
                            "NoSuchRegion: there is no region \"nobody\"");
        assert_string_equal(set_none(rig, RIG_VM, "ram"),
                            "InvalidKind: region \"ram\": this is for mmio and romd, not for ram");
        assert_string_equal(set_value(rig, RIG_VM, "dev", "magic", 1),
                            "InvalidArgs: region \"dev\": handler \"magic\" is none of none, "
                            "constant, latch, log, socket");
        assert_string_equal(set_value(rig, RIG_VM, "dev", "none", 1),
                            "InvalidArgs: region \"dev\": handler \"none\" takes no value");
        assert_string_equal(
                rig_call(rig, RIG_VM, "Map.SetHandler", "ssa{sv}", "dev", "constant", 0),
                "InvalidArgs: region \"dev\": handler \"constant\" needs a value");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.SetHandler", "ssa{sv}", "dev", "latch", 1,
                                     "max-width", "u", UINT32_C(3)),
                            "InvalidArgs: region \"dev\": widths from 1 to 3: each is 1, 2, 4 or "
                            "8, and the first no more than the second");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.SetHandler", "ssa{sv}", "dev", "latch", 1,
                                     "min-width", "u", UINT32_C(264)),
                            "InvalidArgs: region \"dev\": widths from 264 to 8: each is 1, 2, 4 or "
                            "8, and the first no more than the second");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.SetHandler", "ssa{sv}", "dev", "log", 1,
                                     "timeout-usec", "t", UINT64_C(1000000)),
                            "InvalidArgs: region \"dev\": handler \"log\" takes no timeout-usec");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.SetHandler", "ssa{sv}", "dev", "constant", 2,
                                     "value", "t", UINT64_C(1), "user-data", "t", UINT64_C(0)),
                            "InvalidArgs: region \"dev\": handler \"constant\" takes no user-data");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.SetHandler", "ssa{sv}", "dev", "none", 1,
                                     "posted-writes", "b", false),
                            "InvalidArgs: region \"dev\": handler \"none\" takes no posted-writes");
        assert_text(rig_state(rig), before);
        free(before);
        rig_free(rig);
}

/* The generation after the document, or why not. */
static const char *apply(Rig *rig, const char *document) {
        rig_call(rig, RIG_VM, "Map.Apply", "sa{sv}", document, 0);
        if (!sd_bus_message_is_method_error(rig->reply, NULL))
                rig->text[strcspn(rig->text, " ")] = '\0';
        return rig->text;
}

#define LAYOUT(dev)                                                                                \
        "{\"guestmap\": 1, \"regions\": ["                                                         \
        "{\"name\": \"system\", \"kind\": \"container\", \"size\": \"2^64\"}, "                    \
        "{\"name\": \"dev\", \"kind\": \"mmio\", \"size\": 4096, \"parent\": \"system\"" dev       \
        "}], "                                                                                     \
        "\"address-spaces\": [{\"name\": \"memory\", \"root\": \"system\"}]}"

static void test_layouts(void **state) {
        Rig *rig = rig_new_vm();

        assert_string_equal(apply(rig, LAYOUT(", \"handler\": {\"kind\": \"latch\"}")), "2");
        assert_string_equal(rig_get(rig, DEV, REGION, "Handler"), "latch");
        assert_string_equal(apply(rig, LAYOUT(", \"handler\": {\"kind\": \"latch\"}")), "2");
        assert_string_equal(apply(rig, LAYOUT(", \"handler\": {\"kind\": \"constant\", "
                                              "\"value\": \"4KiB\", \"max-width\": 4, "
                                              "\"unaligned\": true}")),
                            "3");
        rig_call(rig, RIG_VM, "VM.GetLayout", "a{sv}", 0);
        assert_non_null(strstr(rig->text, "\"handler\":{\"kind\":\"constant\",\"value\":\"0x1000\","
                                          "\"max-width\":4,\"unaligned\":true}}"));
        /* What was printed recreates what is there; and a layout without it takes it away. */
        assert_string_equal(apply(rig, strdupa(rig->text)), "3");
        assert_string_equal(apply(rig, LAYOUT("")), "4");
        assert_string_equal(rig_get(rig, DEV, REGION, "Handler"), "none");
        assert_string_equal(apply(rig, LAYOUT(", \"handler\": {\"kind\": \"none\"}")), "4");
        /* Nor is nobody for memory, which has no handlers. */
        assert_non_null(strstr(apply(rig, "{\"guestmap\": 1, \"regions\": [{\"name\": \"ram\", "
                                          "\"kind\": \"ram\", \"size\": 4096, "
                                          "\"handler\": {\"kind\": \"none\"}}]}"),
                               "this is for mmio and romd, not for ram"));
        rig_free(rig);
}

#define PATCH(edit) "{\"guestmap\": 1, \"edits\": [{\"set-handler\": {" edit "}}]}"

static void test_patches(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0);
        assert_string_equal(apply(rig, PATCH("\"region\": \"dev\", \"handler\": \"constant\", "
                                             "\"value\": 1, \"min-width\": 4")),
                            "3");
        assert_string_equal(rig_get(rig, DEV, REGION, "Handler"), "constant");
        assert_string_equal(apply(rig, PATCH("\"region\": \"dev\", \"handler\": \"magic\"")),
                            "InvalidDocument: edits[0].set-handler: handler \"magic\" is none of "
                            "none, constant, latch, log, socket");
        assert_string_equal(apply(rig, PATCH("\"region\": \"dev\", \"handler\": \"constant\"")),
                            "InvalidDocument: edits[0].set-handler: handler \"constant\" needs a "
                            "value");
        assert_string_equal(apply(rig, PATCH("\"region\": \"dev\"")),
                            "InvalidDocument: edits[0].set-handler: \"handler\" is missing");
        assert_string_equal(apply(rig, PATCH("\"region\": \"system\", \"handler\": \"none\"")),
                            "InvalidKind: edit 1: region \"system\": this is for mmio and romd, "
                            "not for container");
        rig_free(rig);
}

static const char *set_socket(Rig *rig, int fd, uint64_t timeout_usec) {
        return rig_call(rig, RIG_VM, "Map.SetHandler", "ssa{sv}", "dev", "socket", 2, "fd", "h", fd,
                        "timeout-usec", "t", timeout_usec);
}

static size_t count_told(const Rig *rig) {
        size_t n = 0;

        for (const char *at = rig->log; at && (at = strstr(at, "Accessed")); at++)
                n++;
        return n;
}

/* So many in a second; later the rest that found room, and how many did not. */
static void test_log_is_bounded(void **state) {
        Rig *rig = rig_new_vm();
        Handler *handler;
        time_t start;

        rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0);
        assert_string_equal(apply(rig, PATCH("\"region\": \"dev\", \"handler\": \"log\"")), "3");
        free(rig_log(rig));
        handler = map_find_region(rig->service->vm->map, "dev")->serving;
        for (uint64_t i = 0; i < 1000; i++)
                assert_int_equal(handler_write(handler, 0, 8, i, NULL, NULL), 0);
        start = time(NULL);
        rig_settle(rig);
        if (time(NULL) - start < 1)
                assert_int_equal(count_told(rig), GUESTMAP_ACCESSES_MAX);
        assert_int_equal(handler_write(handler, 0, 8, 1000, NULL, NULL), 0);
        while (!strstr(rig->log, "0 8 true 1000 {missed: 744}"))
                assert_true(sd_event_run(rig->event, UINT64_C(20000000)) > 0);
        assert_int_equal(count_told(rig), ACCESS_LOG_MAX + 1);
        /* Who is not connected is told nothing, and holds up nobody. */
        service_detach(rig->service);
        assert_int_equal(handler_write(handler, 0, 8, 1001, NULL, NULL), 0);
        rig_free(rig);
}

static void test_sockets_refused(void **state) {
        Rig *rig = rig_new_vm();
        int pair[2];

        rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0);
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        assert_string_equal(set_socket(rig, pair[0], 1),
                            "InvalidArgs: region \"dev\": the descriptor is not of a unix socket, "
                            "of bytes or packets");
        assert_string_equal(
                set_socket(rig, pair[0], 0),
                "InvalidArgs: region \"dev\": timeout-usec 0 is not from 1 to 60000000");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.SetHandler", "ssa{sv}", "dev", "socket", 0),
                            "InvalidArgs: region \"dev\": handler \"socket\" needs a descriptor, "
                            "which SetHandler takes");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.SetHandler", "ssa{sv}", "dev", "none", 1,
                                     "fd", "h", pair[0]),
                            "InvalidArgs: region \"dev\": handler \"none\" takes no descriptor");
        close(pair[0]);
        close(pair[1]);
        rig_free(rig);
}

/* A document cannot bring a socket, but keeps the one that is there. */
static void test_sockets_in_layouts(void **state) {
        const char *layout = LAYOUT(", \"handler\": {\"kind\": \"socket\"}");
        Rig *rig = rig_new_vm();
        int pair[2];

        rig_call(rig, RIG_VM, "Map.RemoveAddressSpace", "sa{sv}", "io", 0);
        rig_remove(rig, RIG_VM, "io");
        rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0);
        assert_string_equal(apply(rig, layout),
                            "InvalidArgs: region \"dev\": it has no handler on a socket, which "
                            "SetHandler passes in");
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        assert_string_equal(set_socket(rig, pair[0], 1), "5");
        assert_string_equal(apply(rig, layout), "5");
        rig_call(rig, RIG_VM, "VM.GetLayout", "a{sv}", 0);
        assert_non_null(strstr(rig->text, "\"handler\":{\"kind\":\"socket\"}"));
        assert_string_equal(apply(rig, strdupa(rig->text)), "5");
        assert_string_equal(apply(rig, LAYOUT("")), "6");
        /* With the handler goes the descriptor. */
        close(pair[0]);
        rcu_barrier_all();
        assert_int_equal(read(pair[1], &(char){0}, 1), 0);
        close(pair[1]);
        rig_free(rig);
}

UNIT_TESTS(cmocka_unit_test(test_verb), cmocka_unit_test(test_transaction),
           cmocka_unit_test(test_refused), cmocka_unit_test(test_layouts),
           cmocka_unit_test(test_patches), cmocka_unit_test(test_log_is_bounded),
           cmocka_unit_test(test_sockets_refused), cmocka_unit_test(test_sockets_in_layouts));
