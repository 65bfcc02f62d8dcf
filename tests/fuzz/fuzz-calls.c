/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Calls into the VM's process: each is answered once, and whatever was refused has changed nothing
 */

#include <stdlib.h>

#include "lib/util/cleanup.h"
#include "tests/bus/rig.h"
#include "tests/fuzz/calls.h"

enum { CALLS_MAX = 16 };

static Rig *rig_with_map(void) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x10000, "system", 0);
        rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0x20000);
        return rig;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        unsigned *n_answers = userdata;

        ++*n_answers;
        return 0;
}

/* Destroy ends the process: here, the loop. */
static bool is_destroyed(const Rig *rig) {
        return sd_event_get_state(rig->event) == SD_EVENT_FINISHED;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Choices choices = {data, size};
        Rig *rig = rig_with_map();
        unsigned n_calls = 0, n_answers = 0;

        while (choices.n > 0 && n_calls < CALLS_MAX && !is_destroyed(rig)) {
                sd_bus_message *m = call_choose(&choices, rig->bus, NULL, RIG_VM);

                if (sd_bus_call_async(rig->bus, NULL, m, on_answer, &n_answers, UINT64_MAX) < 0)
                        abort();
                sd_bus_message_unref(m);
                n_calls++;
                rig_settle(rig);
        }
        /* The loop lives, and so does the tree. */
        if (!is_destroyed(rig))
                rig_flat(rig, RIG_MEMORY);
        rig_free(rig);
        /* What waits is told of the end of the connection. */
        if (n_answers > n_calls)
                abort();
        return 0;
}
