/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Documents as jobs: ApplyFD, a large Apply, Setup with a file. They do what Apply of the same text
 * does in its place, word for word, and whoever goes meanwhile leaves everything in order.
 */

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bus/rig.h"
#include "tests/bus/slow-jobs.h"
#include "tests/common/unit.h"

#define ID         "0123456789abcdef0123456789abcdef"
#define T1         RIG_VM "/transaction/1"
#define PATCH(...) "{\"guestmap\": 1, \"edits\": [" __VA_ARGS__ "]}"
#define ADD(name)                                                                                  \
        "{\"add-region\": {\"name\": \"" name "\", \"kind\": \"ram\", \"size\": 4096, "            \
        "\"parent\": \"system\"}}"
#define LAYOUT(...)                                                                                \
        "{\"guestmap\": 1, \"regions\": [{\"name\": \"system\", \"kind\": \"container\", "         \
        "\"size\": \"2^64\"}, {\"name\": \"io\", \"kind\": \"container\", \"size\": "              \
        "65536}" __VA_ARGS__                                                                       \
        "], \"address-spaces\": [{\"name\": \"memory\", \"root\": \"system\"}, "                   \
        "{\"name\": \"io\", \"root\": \"io\"}]}"

static int memfd_of(const char *text) {
        int fd = memfd_create("document", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        return fd;
}

/* The position is at the end of the file, which must not matter. */
static const char *apply_fd(Rig *rig, const char *path, const char *text) {
        int fd = memfd_of(text);

        rig_call(rig, path, "Map.ApplyFD", "ha{sv}", fd, 0);
        close(fd);
        return rig->text;
}

static const char *apply(Rig *rig, const char *path, const char *text) {
        return rig_call(rig, path, "Map.Apply", "sa{sv}", text, 0);
}

/* Blanks behind it make a document too large to be done in its place. */
static char *enlarged(const char *text) {
        char *large;

        assert_true(asprintf(&large, "%s%*s", text, 100000, "") >= 0);
        return large;
}

static const char *apply_large(Rig *rig, const char *path, const char *text) {
        char *large = enlarged(text);

        apply(rig, path, large);
        free(large);
        return rig->text;
}

static void test_same_as_apply(void **state) {
        const char *const texts[] = {
                LAYOUT(", {\"name\": \"a\", \"kind\": \"ram\", \"size\": \"1MiB\", "
                       "\"parent\": \"system\"}"),
                PATCH(ADD("b") ", {\"remove-region\": {\"name\": \"a\"}}"),
                PATCH(),
                LAYOUT(),
        };
        Rig *here = rig_new_vm(), *large = rig_new_vm(), *file = rig_new_vm();

        for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
                apply(here, RIG_VM, texts[i]);
                assert_int_equal(strncmp(here->text, "InvalidDocument", 15) != 0, 1);
                assert_string_equal(apply_large(large, RIG_VM, texts[i]), here->text);
                assert_string_equal(apply_fd(file, RIG_VM, texts[i]), here->text);
                assert_text(rig_log(large), here->log);
                assert_text(rig_log(file), here->log);
                free(rig_log(here));
        }
        assert_string_equal(rig_get(file, RIG_VM, "org.guestmap1.VM", "Generation"), "4");
        rig_free(here);
        rig_free(large);
        rig_free(file);
}

static void test_same_errors(void **state) {
        const char *const texts[] = {
                "",
                "{",
                "[]",
                "{\"guestmap\": 2, \"edits\": []}",
                "{\"guestmap\": 1}",
                "{\"guestmap\": 1, \"edits\": [],\n\n \"colour\": 1}",
                "{\"guestmap\": 1,\n \"edits\": [{\"remove-region\":\n {\"name\": \"x\" 1}}]}",
                PATCH(ADD("a") ", {\"add-region\": {\"name\": \"b\"}}"),
                PATCH(ADD("a") "," ADD("a")),
                PATCH("{\"remove-region\": {\"name\": \"none\"}}"),
                LAYOUT(", {\"name\": \"a\", \"kind\": \"alias\", \"target\": \"none\", \"size\": "
                       "1}"),
                LAYOUT(", {\"name\": \"a\", \"kind\": \"ram\", \"size\": \"2^64\"}"),
        };
        Rig *rig = rig_new_vm();
        char *before = rig_state(rig), *error;

        for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
                error = strdup(apply(rig, RIG_VM, texts[i]));
                assert_non_null(strstr(error, ": "));
                assert_string_equal(apply_fd(rig, RIG_VM, texts[i]), error);
                free(error);
                assert_text(rig_state(rig), before);
                assert_false(rig->service->gate.is_lent);
        }
        free(before);
        rig_free(rig);
}

static void test_options(void **state) {
        Rig *rig = rig_new_vm();
        int fd = memfd_of(LAYOUT());
        char *before;

        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0);
        before = rig_state(rig);
        rig_call(rig, RIG_VM, "Map.ApplyFD", "ha{sv}", fd, 1, "dry-run", "b", true);
        assert_non_null(strstr(rig->text, "2 {\"generation\":3,\"edits\":1"));
        assert_string_equal(
                rig_call(rig, RIG_VM, "Map.ApplyFD", "ha{sv}", fd, 1, "keep-memory", "b", true),
                "InUse: region \"ram\" would lose its contents, of 4KiB of RAM "
                "in all, and keep-memory is set");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.ApplyFD", "ha{sv}", fd, 1,
                                     "expect-generation", "t", UINT64_C(1)),
                            "Conflict: VM \"test\" has generation 2, not 1 as expected");
        assert_string_equal(
                rig_call(rig, RIG_VM, "Map.ApplyFD", "ha{sv}", fd, 1, "colour", "s", "red"),
                "InvalidArgs: unknown option \"colour\"");
        assert_text(rig_state(rig), before);
        rig_call(rig, RIG_VM, "Map.ApplyFD", "ha{sv}", fd, 1, "expect-generation", "t",
                 UINT64_C(2));
        assert_int_equal(strncmp(rig->text, "3 {", 3), 0);
        close(fd);
        free(before);
        rig_free(rig);
}

static void test_not_documents(void **state) {
        static const struct {
                int domain, type;
                const char *what;
        } files[] = {{0, 0, "a pipe"}, {AF_UNIX, SOCK_STREAM, "a socket"}};
        char path[] = "/tmp/guestmap-document.XXXXXX";
        Rig *rig = rig_new_vm();
        int pair[2], fd;
        char *text;

        for (size_t i = 0; i < ELEMENTS_OF(files); i++) {
                assert_int_equal(files[i].domain
                                         ? socketpair(files[i].domain, files[i].type, 0, pair)
                                         : pipe(pair),
                                 0);
                rig_call(rig, RIG_VM, "Map.ApplyFD", "ha{sv}", pair[0], 0);
                assert_true(asprintf(&text,
                                     "InvalidArgs: a document is read from a regular file "
                                     "or a memfd, this is %s",
                                     files[i].what) >= 0);
                assert_string_equal(rig->text, text);
                free(text);
                close(pair[0]);
                close(pair[1]);
        }
        fd = open("/", O_RDONLY | O_CLOEXEC);
        rig_call(rig, RIG_VM, "Map.ApplyFD", "ha{sv}", fd, 0);
        assert_non_null(strstr(rig->text, "this is a directory"));
        close(fd);

        close(mkstemp(path));
        fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_int_equal(write(fd, "{}", 2), 2);
        assert_string_equal(rig_call(rig, RIG_VM, "Map.ApplyFD", "ha{sv}", fd, 0),
                            "InvalidArgs: the document cannot be read: Bad file descriptor");
        close(fd);
        unlink(path);

        /* A hole: nothing of it is read. */
        fd = memfd_create("large", MFD_CLOEXEC);
        assert_int_equal(ftruncate(fd, (1 << 30) + 1), 0);
        assert_string_equal(rig_call(rig, RIG_VM, "Map.ApplyFD", "ha{sv}", fd, 0),
                            "QuotaExceeded: the document has 1073741825 bytes, the limit "
                            "DocumentBytes is 1073741824");
        close(fd);
        rig_free(rig);
}

static const char *n_edits(Rig *rig) {
        return rig_get(rig, T1, "org.guestmap1.Transaction", "Edits");
}

static void test_transaction(void **state) {
        Rig *rig = rig_new_vm();
        int fd = memfd_of(PATCH(ADD("c")));
        char *before;

        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        before = rig_state(rig);
        apply_fd(rig, T1, PATCH(ADD("a")));
        assert_int_equal(strncmp(rig->text, "0 {\"generation\":2,\"edits\":1,", 28), 0);
        apply_large(rig, T1, PATCH(ADD("b")));
        assert_int_equal(strncmp(rig->text, "0 {\"generation\":2,\"edits\":2,", 28), 0);
        assert_string_equal(n_edits(rig), "2");

        assert_string_equal(apply_fd(rig, T1, PATCH(ADD("c") "," ADD("a"))),
                            "RegionExists: edit 2: region \"a\" exists");
        assert_string_equal(n_edits(rig), "2");
        rig_call(rig, T1, "Map.ApplyFD", "ha{sv}", fd, 1, "dry-run", "b", true);
        assert_int_equal(strncmp(rig->text, "0 {\"generation\":2,\"edits\":3,", 28), 0);
        close(fd);
        assert_string_equal(n_edits(rig), "2");
        assert_text(rig_state(rig), before);

        assert_string_equal(rig_call(rig, T1, "Transaction.Commit", "a{sv}", 0), "2");
        assert_string_equal(rig_flat(rig, RIG_MEMORY), "2 [(0 4095 b 0 ram 0)]");
        free(before);
        rig_free(rig);
}

/* A patch that adds n regions in a row. */
static char *adding(unsigned n) {
        char *text = NULL;
        size_t length;
        FILE *out = open_memstream(&text, &length);

        assert_non_null(out);
        fputs("{\"guestmap\": 1, \"edits\": [", out);
        for (unsigned i = 0; i < n; i++)
                fprintf(out,
                        "%s{\"add-region\": {\"name\": \"r%u\", \"kind\": \"mmio\", "
                        "\"size\": 1, \"parent\": \"system\", \"offset\": %u}}",
                        i > 0 ? "," : "", i, 2 * i);
        fputs("]}", out);
        fclose(out);
        return text;
}

static void test_large_transaction(void **state) {
        Rig *rig = rig_new_vm();
        char *text = adding(5000);

        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        apply_fd(rig, T1, text);
        assert_string_equal(n_edits(rig), "5000");
        slow_jobs_begin(&rig->service->jobs);
        rig_send(rig, T1, "Transaction.Preview", "");
        assert_true(rig->service->gate.is_lent);
        rig_send(rig, T1, "Transaction.Commit", "a{sv}", 1, "expect-generation", "t", UINT64_C(7));
        slow_jobs_end();
        rig_wait(rig);
        assert_non_null(strstr(rig->text, "Conflict: VM \"test\" has generation 1, not 7"));
        free(rig_log(rig));

        slow_jobs_begin(&rig->service->jobs);
        rig_send(rig, T1, "Transaction.Commit", "a{sv}", 0);
        assert_true(rig->service->gate.is_lent);
        slow_jobs_end();
        assert_string_equal(rig_wait(rig), "2");
        assert_text(rig_log(rig), "reply\nCommitted 2 1 [] {edits: 5000, slot-operations: 0, "
                                  "transaction: /transaction/1, truncated: true, "
                                  "objects-changed: true}\n");
        assert_string_equal(n_edits(rig), "TransactionClosed: transaction 1 of VM \"test\" is not "
                                          "open");

        /* What was staged no longer holds, and stays. */
        apply(rig, RIG_VM, LAYOUT());
        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        apply_fd(rig, RIG_VM "/transaction/2", text);
        rig_add(rig, RIG_VM, "r4999", "mmio", 1, "", 0);
        assert_string_equal(
                rig_call(rig, RIG_VM "/transaction/2", "Transaction.Commit", "a{sv}", 0),
                "Conflict: edit 5000: region \"r4999\" was changed by the commit of "
                "generation 4, the transaction began at 3");
        assert_string_equal(
                rig_get(rig, RIG_VM "/transaction/2", "org.guestmap1.Transaction", "Edits"),
                "5000");
        free(text);
        rig_free(rig);
}

/* A layout may be small and remove a lot: that is a job as well. */
static void test_large_map(void **state) {
        Rig *rig = rig_new_vm();
        char *text = adding(5000);

        apply(rig, RIG_VM, text);
        free(text);
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "Regions"), "5002");
        slow_jobs_begin(&rig->service->jobs);
        rig_send(rig, RIG_VM, "Map.Apply", "sa{sv}", PATCH(ADD("x")), 0);
        assert_true(rig->answered);
        rig_send(rig, RIG_VM, "Map.Apply", "sa{sv}", LAYOUT(), 0);
        assert_true(rig->service->gate.is_lent);
        slow_jobs_end();
        rig_wait(rig);
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "Regions"), "2");
        rig_free(rig);
}

/* All that may be asked while the job is at work: for the thread sanitizer, mostly. */
static void test_looked_at_meanwhile(void **state) {
        Rig *rig = rig_new_vm();
        char *text = adding(20000);
        int fd = memfd_of(text);

        rig_announce(rig, ":1.1", 1000);
        rig_announce(rig, ":1.2", 1000);
        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 1 << 30);
        for (int i = 0; i < 2; i++) {
                rig->sender = ":1.1";
                rig_send(rig, RIG_VM, "Map.ApplyFD", "ha{sv}", fd, 0);
                rig->sender = ":1.2";
                while (rig->service->gate.is_lent) {
                        rig_flat(rig, RIG_MEMORY);
                        rig_call(rig, RIG_MEMORY, "AddressSpace.Find", "t", UINT64_C(1) << 30);
                        rig_call(rig, RIG_MEMORY, "AddressSpace.GetChanges", "t", UINT64_C(1));
                        rig_call(rig, RIG_MEMORY, "AddressSpace.GetMemoryTable", "");
                        rig_call(rig, RIG_MEMORY, "AddressSpace.Read", "tt", UINT64_C(1) << 30,
                                 UINT64_C(8));
                        rig_call(rig, RIG_MEMORY, "Properties.GetAll", "s", "");
                        rig_call(rig, RIG_VM, "Properties.GetAll", "s", "org.guestmap1.VM");
                        rig_call(rig, RIG_VM, "VM.Dump", "sa{sv}", "flat", 0);
                        rig_call(rig, RIG_VM, "VM.GetSlots", "");
                }
        }
        /* The answer to ApplyFD may have been taken for that to another call: all come in first. */
        while (rig->service->n_dumps > 0)
                assert_true(sd_event_run(rig->event, UINT64_C(20000000)) > 0);
        rig_settle(rig);
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "Generation"), "3");
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "Regions"), "20003");
        close(fd);
        free(text);
        rig_free(rig);
}

/* What has come in is carried out, and nobody hears of it. */
static void test_caller_leaves(void **state) {
        Rig *rig = rig_new_vm();
        int fd = memfd_of(PATCH(ADD("a")));

        rig_announce(rig, ":1.1", 1000);
        rig->sender = ":1.1";
        slow_jobs_begin(&rig->service->jobs);
        rig_send(rig, RIG_VM, "Map.ApplyFD", "ha{sv}", fd, 0);
        close(fd);
        rig->sender = NULL;
        rig_send(rig, RIG_PRIVATE, "Private.CallerGone", "s", ":1.1");
        slow_jobs_end();
        rig_wait(rig);
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "Generation"), "2");
        rig_free(rig);
}

static void test_connection_ends(void **state) {
        Rig *rig = rig_new_vm();
        int fd = memfd_of(PATCH(ADD("a")));

        slow_jobs_begin(&rig->service->jobs);
        rig_send(rig, RIG_VM, "Map.ApplyFD", "ha{sv}", fd, 0);
        close(fd);
        rig_reconnect(rig);
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "Generation"), "1");
        slow_jobs_end();
        /* It waits in line. */
        assert_string_equal(apply(rig, RIG_VM, PATCH(ADD("a"))),
                            "RegionExists: edit 1: region \"a\" exists");
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "Generation"), "2");
        rig_free(rig);
}

/* The service ends with a job that had no turn yet, and a call behind it. */
static void test_service_ends(void **state) {
        Rig *rig = rig_new_vm();
        int fd = memfd_of(PATCH(ADD("a")));

        slow_jobs_begin(&rig->service->jobs);
        rig_send(rig, RIG_VM, "Map.ApplyFD", "ha{sv}", fd, 0);
        close(fd);
        rig_send(rig, RIG_VM, "VM.GetRegion", "s", "a");
        assert_int_equal(rig->service->gate.n_line, 1);
        rig_free(rig);
}

/* To send a descriptor sd-bus waits for the other end, which is in the same loop. */
static void connect_first(Rig *rig) {
        rig_call(rig, RIG_PRIVATE, "Private.Describe", "");
}

static void send_setup(Rig *rig, int fd) {
        rig_send(rig, RIG_PRIVATE, "Private.Setup", "ssua{sv}", "test", ID, UINT32_C(1000), 2,
                 "accelerator", "s", "none", "layout-fd", "h", fd);
}

static void test_setup(void **state) {
        Rig *rig = rig_new();
        int fd = memfd_of(LAYOUT(", {\"name\": \"a\", \"kind\": \"ram\", \"size\": 4096, "
                                 "\"parent\": \"system\"}"));

        connect_first(rig);
        slow_jobs_begin(&rig->service->jobs);
        send_setup(rig, fd);
        assert_string_equal(rig_call(rig, RIG_PRIVATE, "Private.Describe", ""), "  0  starting 0 ");
        send_setup(rig, fd);
        assert_string_equal(rig->text, "InvalidArgs: this process was set up before");
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "Generation"),
                            "Unknown object '" RIG_VM "'.");
        slow_jobs_end();
        while (!rig->service->vm)
                assert_true(sd_event_run(rig->event, UINT64_MAX) >= 0);
        assert_string_equal(rig_flat(rig, RIG_MEMORY), "1 [(0 4095 a 0 ram 0)]");
        send_setup(rig, fd);
        assert_string_equal(rig->text, "InvalidArgs: this process was set up before");
        close(fd);
        rig_free(rig);
}

static void test_setup_ends(void **state) {
        Rig *rig = rig_new();
        int fd = memfd_of(LAYOUT());

        connect_first(rig);
        slow_jobs_begin(&rig->service->jobs);
        send_setup(rig, fd);
        close(fd);
        rig_free(rig);
}

UNIT_TESTS(cmocka_unit_test(test_same_as_apply), cmocka_unit_test(test_same_errors),
           cmocka_unit_test(test_options), cmocka_unit_test(test_not_documents),
           cmocka_unit_test(test_transaction), cmocka_unit_test(test_large_map),
           cmocka_unit_test(test_large_transaction), cmocka_unit_test(test_looked_at_meanwhile),
           cmocka_unit_test(test_caller_leaves), cmocka_unit_test(test_connection_ends),
           cmocka_unit_test(test_service_ends), cmocka_unit_test(test_setup),
           cmocka_unit_test(test_setup_ends));
