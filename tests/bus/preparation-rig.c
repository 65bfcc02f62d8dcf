/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/stat.h>

#include "tests/bus/preparation-rig.h"
#include "tests/common/unit.h"

Rig *rig_new_slow(void) {
        Rig *rig = rig_new_vm();

        rig_announce(rig, CALLER, 1000);
        rig_announce(rig, OTHER, 1000);
        rig->sender = CALLER;
        slow_jobs_begin(&rig->service->preparing);
        free(rig_log(rig));
        return rig;
}

void send_add(Rig *rig, const char *path, const char *name) {
        rig_send(rig, path, "Map.AddRegion", "sststia{sv}", name, "ram", SIZE, "system",
                 UINT64_C(0), 0, 1, "prealloc", "b", 1);
}

const char *preparing(Rig *rig) {
        return rig_get(rig, RIG_VM, "org.guestmap1.VM", "Preparing");
}

size_t n_preparations(const Rig *rig) {
        const struct cds_list_head *link;
        size_t n = 0;

        cds_list_for_each(link, &rig->service->preparations) n++;
        return n;
}

Preparation *first_preparation(const Rig *rig) {
        return cds_list_first_entry(&rig->service->preparations, Preparation, link);
}

void run(Rig *rig) {
        assert_true(sd_event_run(rig->event, UINT64_MAX) >= 0);
}

void run_until_none(Rig *rig) {
        slow_jobs_end();
        while (n_preparations(rig) > 0)
                run(rig);
        rig_settle(rig);
}

const char *generation(Rig *rig) {
        return rig_get(rig, RIG_VM, "org.guestmap1.VM", "Generation");
}

uint64_t bytes_of(Rig *rig, const char *path) {
        struct stat status;
        int fd;

        rig_call(rig, path, "Region.GetMemory", "b", true);
        assert_true(sd_bus_message_read(rig->reply, "h", &fd) > 0);
        assert_int_equal(fstat(fd, &status), 0);
        return (uint64_t)status.st_blocks * 512;
}

const char *await_any(Rig *rig) {
        rig->answered = false;
        slow_jobs_end();
        return rig_wait(rig);
}

void await(Rig *rig, const char *answer) {
        assert_string_equal(await_any(rig), answer);
}
