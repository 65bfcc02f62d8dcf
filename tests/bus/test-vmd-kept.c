/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Descriptors that are kept beyond the process: nothing is in force before they are, and what is
 * kept is what is in the map
 */

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "daemon/vm/fd-store.h"
#include "lib/util/rcu.h"
#include "tests/bus/rig.h"
#include "tests/common/keeper.h"
#include "tests/common/unit.h"

#define TRANSACTION RIG_VM "/transaction/1"

typedef struct Scene Scene;

struct Scene {
        Keeper *keeper;
        FDStore *store;
        Rig *rig;
};

enum { KEPT_MAX = 4 };

static int setup(void **state) {
        Scene *scene = calloc(1, sizeof(*scene));

        assert_non_null(scene);
        scene->keeper = keeper_new(KEPT_MAX);
        assert_int_equal(fd_store_new(&scene->store), 0);
        fd_store_end_recovery(scene->store);
        scene->rig = rig_new_vm();
        scene->rig->service->vm->store = scene->store;
        *state = scene;
        return 0;
}

static int teardown(void **state) {
        Scene *scene = *state;

        rig_free(scene->rig);
        rcu_barrier_all();
        fd_store_free(scene->store);
        keeper_free(scene->keeper);
        free(scene);
        return 0;
}

/* Of objects that are gone, too: they go when nobody reads them any more. */
static char *kept(Scene *scene) {
        rcu_barrier_all();
        return keeper_names(scene->keeper);
}

static const char *add_ram(Scene *scene, const char *path, const char *name, uint64_t at) {
        return rig_add(scene->rig, path, name, "ram", 0x1000, "system", at);
}

/* A call whose descriptors the manager does not say it has. */
static void send_and_hold(Scene *scene, const char *name) {
        keeper_hold(scene->keeper, true);
        rig_send(scene->rig, RIG_VM, "Map.AddRegion", "sststia{sv}", name, "ram", UINT64_C(0x1000),
                 "system", UINT64_C(0), 0, 0);
        rig_settle(scene->rig);
        keeper_await_barriers(scene->keeper, 1);
        rig_settle(scene->rig);
}

static const char *generation_for(Scene *scene, const char *caller) {
        const char *text;

        scene->rig->sender = caller;
        text = rig_get(scene->rig, RIG_VM, "org.guestmap1.VM", "Generation");
        scene->rig->sender = NULL;
        return text;
}

/* Another caller is answered meanwhile, from what is in force. */
static void test_answered_when_kept(void **state) {
        Scene *scene = *state;

        rig_announce(scene->rig, ":1.7", 1000);
        send_and_hold(scene, "ram");
        assert_false(scene->rig->answered);
        assert_string_equal(generation_for(scene, ":1.7"), "1");
        scene->rig->answered = false;
        keeper_hold(scene->keeper, false);
        assert_string_equal(rig_wait(scene->rig), "2");
        assert_string_equal(generation_for(scene, ":1.7"), "2");
        assert_text(kept(scene), "backing-1");
}

static void test_goes_with_the_region(void **state) {
        Scene *scene = *state;
        Rig *rig = scene->rig;

        add_ram(scene, RIG_VM, "ram", 0);
        rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0x1000);
        rig_call(rig, RIG_VM, "Map.AddIOEventFD", "stubta{sv}", "dev", UINT64_C(0), 4, false,
                 UINT64_C(0), 0);
        assert_text(kept(scene), "backing-1 ioeventfd-2");
        rig_remove(rig, RIG_VM, "ram");
        assert_text(kept(scene), "ioeventfd-2");
        rig_call(rig, RIG_VM, "Map.RemoveIOEventFD", "stubta{sv}", "dev", UINT64_C(0), 4, false,
                 UINT64_C(0), 0);
        assert_text(kept(scene), "");
}

static void test_handler(void **state) {
        Scene *scene = *state;
        Rig *rig = scene->rig;
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0);
        rig_call(rig, RIG_VM, "Map.SetHandler", "ssa{sv}", "dev", "socket", 1, "fd", "h", pair[0]);
        assert_text(kept(scene), "handler-1");
        rig_call(rig, RIG_VM, "Map.SetHandler", "ssa{sv}", "dev", "none", 0);
        assert_text(kept(scene), "");
        close(pair[0]);
        close(pair[1]);
}

/* Two doorbells that ring in one place. */
static void test_one_file(void **state) {
        Scene *scene = *state;
        Rig *rig = scene->rig;
        int fd = eventfd(0, EFD_CLOEXEC);

        rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0);
        for (uint64_t offset = 0; offset < 16; offset += 4)
                rig_call(rig, RIG_VM, "Map.AddIOEventFD", "stubta{sv}", "dev", offset, 4, false,
                         UINT64_C(0), 1, "fd", "h", fd);
        assert_text(kept(scene), "ioeventfd-1");
        rig_call(rig, RIG_VM, "Map.RemoveIOEventFD", "stubta{sv}", "dev", UINT64_C(0), 4, false,
                 UINT64_C(0), 0);
        assert_text(kept(scene), "ioeventfd-1");
        rig_remove(rig, RIG_VM, "dev");
        assert_text(kept(scene), "");
        close(fd);
}

/* What is staged takes room, and is kept once it is committed. */
static void test_transaction(void **state) {
        Scene *scene = *state;
        Rig *rig = scene->rig;

        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        add_ram(scene, TRANSACTION, "a", 0);
        add_ram(scene, TRANSACTION, "b", 0x1000);
        assert_text(kept(scene), "");
        assert_string_equal(rig_call(rig, TRANSACTION, "Transaction.Commit", "a{sv}", 0), "2");
        assert_text(kept(scene), "backing-1 backing-2");
        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        add_ram(scene, RIG_VM "/transaction/2", "c", 0x2000);
        rig_call(rig, RIG_VM "/transaction/2", "Transaction.Abort", "a{sv}", 0);
        assert_text(kept(scene), "backing-1 backing-2");
}

static const char *apply(Scene *scene, bool dry_run) {
        static const char document[] =
                "{\"guestmap\": 1, \"edits\": [{\"add-region\": {\"name\": \"ram\", \"kind\": "
                "\"ram\", \"size\": 4096, \"parent\": \"system\", \"offset\": 0}}]}";

        return rig_call(scene->rig, RIG_VM, "Map.Apply", "sa{sv}", document, 1, "dry-run", "b",
                        dry_run);
}

static void test_document(void **state) {
        Scene *scene = *state;

        assert_int_equal(strncmp(apply(scene, true), "1 {", 3), 0);
        assert_text(kept(scene), "");
        assert_int_equal(scene->keeper->n_barriers, 1); /* of keeper_names() */
        assert_int_equal(strncmp(apply(scene, false), "2 {", 3), 0);
        assert_text(kept(scene), "backing-2");
}

static void test_full(void **state) {
        Scene *scene = *state;
        char name[] = "ram0", *before;

        for (unsigned i = 0; i < KEPT_MAX; i++, name[3]++)
                add_ram(scene, RIG_VM, name, i * 0x1000);
        before = rig_state(scene->rig);
        assert_string_equal(add_ram(scene, RIG_VM, "over", 0x10000),
                            "QuotaExceeded: region \"over\": StoredDescriptors: 4 are with the "
                            "service manager, 4 allowed");
        assert_text(rig_state(scene->rig), before);
        free(before);
        assert_text(kept(scene), "backing-1 backing-2 backing-3 backing-4");
        rig_remove(scene->rig, RIG_VM, "ram0");
        rcu_barrier_all();
        assert_string_equal(add_ram(scene, RIG_VM, "over", 0x10000), "7");
        assert_text(kept(scene), "backing-2 backing-3 backing-4 backing-6");
}

/* Nobody is told that a region is there that would be lost. */
static void test_no_manager(void **state) {
        Scene *scene = *state;
        char *before = rig_state(scene->rig), away[80];

        snprintf(away, sizeof(away), "%s.away", scene->keeper->path);
        assert_int_equal(rename(scene->keeper->path, away), 0);
        assert_string_equal(add_ram(scene, RIG_VM, "ram", 0),
                            "NoSpace: descriptors: the service manager has not taken them: No such "
                            "file or directory");
        assert_int_equal(rename(away, scene->keeper->path), 0);
        assert_text(rig_state(scene->rig), before);
        free(before);
        assert_text(kept(scene), "");
        assert_string_equal(add_ram(scene, RIG_VM, "ram", 0), "2");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

UNIT_TESTS(TEST(answered_when_kept), TEST(goes_with_the_region), TEST(handler), TEST(one_file),
           TEST(transaction), TEST(document), TEST(full), TEST(no_manager));
