/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "client/client.h"
#include "client/vm-list.h"

int vm_list_enter(sd_bus_message *reply) {
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "(sots)");
        return r < 0 ? client_cannot_read(r) : 0;
}

int vm_list_next(sd_bus_message *reply, VMRow *ret) {
        int r;

        r = sd_bus_message_read(reply, "(sots)", &ret->name, &ret->path, &ret->generation,
                                &ret->state);
        return r < 0 ? client_cannot_read(r) : r;
}
