/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What ends the population of memory before it is in force, and that nothing is left of that
 */

#include <fcntl.h>

#include "api/private.h"
#include "daemon/common/audit-dbus.h"
#include "lib/util/rcu.h"
#include "tests/bus/preparation-rig.h"
#include "tests/common/unit.h"

static int count_fds(void) {
        int n = 0;

        rcu_barrier_all();
        for (int fd = 0; fd < 1024; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

static void add_and_cancel(Rig *rig) {
        rig->sender = CALLER;
        send_add(rig, RIG_VM, "dimm0");
        rig->sender = OTHER;
        assert_string_equal(rig_call(rig, RIG_VM, "VM.Cancel", "s", "dimm1"),
                            "NoSuchRegion: no region \"dimm1\" is being prepared");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.Cancel", "s", "dimm0"), "");
        await(rig, "Cancelled: region \"dimm0\": the preparation of its memory was cancelled");
        assert_int_equal(n_preparations(rig), 0);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.Cancel", "s", "dimm0"),
                            "NoSuchRegion: no region \"dimm0\" is being prepared");
        rig->reply = sd_bus_message_unref(rig->reply);
        while (rig->service->preparing.n_running > 0)
                run(rig);
}

static void test_cancel(void **state) {
        Rig *rig = rig_new_slow();
        char *before = rig_state(rig);
        int n_fds;

        add_and_cancel(rig);
        n_fds = count_fds();
        slow_jobs_begin(&rig->service->preparing);
        add_and_cancel(rig);
        assert_int_equal(count_fds(), n_fds);
        assert_text(rig_state(rig), before);
        free(before);
        rig_free(rig);
}

static void test_caller_leaves(void **state) {
        Rig *rig = rig_new_slow();

        send_add(rig, RIG_VM, "dimm0");
        rig->sender = NULL;
        rig_call(rig, RIG_PRIVATE, "Private.CallerGone", "s", OTHER);
        assert_false(first_preparation(rig)->cancelled);
        rig_send(rig, RIG_PRIVATE, "Private.CallerGone", "s", CALLER);
        assert_true(first_preparation(rig)->cancelled);
        run_until_none(rig);
        assert_string_equal(generation(rig), "1");
        rig_free(rig);
}

/* All its memory is there, and the call has not come again yet. */
static Rig *rig_new_ready(void) {
        Rig *rig = rig_new_slow();

        send_add(rig, RIG_VM, "dimm0");
        slow_jobs_end();
        while (first_preparation(rig)->job)
                run(rig);
        assert_int_equal(n_preparations(rig), 1);
        return rig;
}

static void test_too_late(void **state) {
        Rig *rig = rig_new_ready();
        Detail detail;

        assert_int_equal(preparation_cancel(rig->service, "dimm0", &detail), MAP_E_NO_SUCH_REGION);
        await(rig, "2");
        rig_free(rig);
}

static void test_caller_leaves_late(void **state) {
        Rig *rig = rig_new_ready();

        service_caller_gone(rig->service, CALLER);
        assert_int_equal(n_preparations(rig), 0);
        assert_string_equal(rig_wait(rig), audit_caller_left.message);
        rig_settle(rig);
        assert_int_equal(n_preparations(rig), 0);
        rig->sender = NULL;
        assert_string_equal(generation(rig), "1");
        rig_free(rig);
}

static void test_guestmapd_leaves(void **state) {
        Rig *rig = rig_new_slow();

        send_add(rig, RIG_VM, "dimm0");
        rig_reconnect(rig);
        rig->sender = NULL;
        run_until_none(rig);
        assert_string_equal(generation(rig), "1");
        rig_free(rig);
}

static void test_own_connection_ends(void **state) {
        Rig *rig = rig_new_slow();
        sd_bus *guestmapd = rig->bus;
        int fd;

        rig->sender = NULL;
        rig_call(rig, RIG_PRIVATE, "Private.Connect", "uu", 1000, GUESTMAP_RIGHTS_ALL);
        assert_true(sd_bus_message_read(rig->reply, "h", &fd) > 0);
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        rig->reply = sd_bus_message_unref(rig->reply);
        assert_true(sd_bus_new(&rig->bus) >= 0);
        assert_true(sd_bus_set_fd(rig->bus, fd, fd) >= 0);
        assert_true(sd_bus_start(rig->bus) >= 0);
        assert_true(sd_bus_attach_event(rig->bus, rig->event, 0) >= 0);
        send_add(rig, RIG_VM, "dimm0");
        assert_int_equal(n_preparations(rig), 1);
        assert_string_equal(preparing(rig), "[(dimm0 0 1048576)]");
        sd_bus_close_unref(rig->bus);
        rig->bus = guestmapd;
        rig_settle(rig);
        assert_true(first_preparation(rig)->cancelled);
        run_until_none(rig);
        assert_string_equal(generation(rig), "1");
        rig_free(rig);
}

static void test_service_ends(void **state) {
        Rig *rig = rig_new_slow();

        send_add(rig, RIG_VM, "dimm0");
        rig_free(rig);
        rig_free(rig_new_ready());
}

UNIT_TESTS(cmocka_unit_test(test_cancel), cmocka_unit_test(test_caller_leaves),
           cmocka_unit_test(test_too_late), cmocka_unit_test(test_caller_leaves_late),
           cmocka_unit_test(test_guestmapd_leaves), cmocka_unit_test(test_own_connection_ends),
           cmocka_unit_test(test_service_ends));
