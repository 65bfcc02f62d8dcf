/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>

#include "tests/bus/rig-own.h"
#include "tests/common/unit.h"

sd_bus *rig_use(Rig *rig, sd_bus *bus) {
        sd_bus *before = rig->bus;

        rig->bus = bus;
        return before;
}

sd_bus *rig_join(Rig *rig, int fd, bool is_bus) {
        sd_bus *bus;

        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_fd(bus, fd, fd) >= 0);
        assert_true(sd_bus_set_bus_client(bus, is_bus) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        assert_true(sd_bus_attach_event(bus, rig->event, 0) >= 0);
        return bus;
}

int rig_take_fd(Rig *rig) {
        int fd;

        assert_string_equal(rig->text, "fd");
        assert_true(sd_bus_message_read(rig->reply, "h", &fd) > 0);
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        assert_true(fd >= 0);
        rig->reply = sd_bus_message_unref(rig->reply);
        return fd;
}

sd_bus *rig_connect_as(Rig *rig, uint32_t uid, uint32_t rights) {
        rig_call(rig, RIG_PRIVATE, "Private.Connect", "uu", uid, rights);
        return rig_join(rig, rig_take_fd(rig), false);
}

size_t rig_n_connections(const Rig *rig) {
        struct cds_list_head *link;
        size_t n = 0;

        cds_list_for_each(link, &rig->service->connections) n++;
        return n;
}

void rig_leave(Rig *rig, sd_bus *bus) {
        sd_bus_close_unref(bus);
        rig_settle(rig);
}

void rig_lend(Rig *rig, const char *sender) {
        sd_bus_message *m;

        assert_true(sd_bus_message_new_method_call(rig->service->bus, &m, NULL, RIG_VM,
                                                   "org.guestmap1.Map", "ApplyFD") >= 0);
        assert_true(sd_bus_message_set_sender(m, sender) >= 0);
        assert_int_equal(gate_lend(&rig->service->gate, m), 0);
        sd_bus_message_unref(m);
}
