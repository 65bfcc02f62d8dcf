/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>
#include <systemd/sd-bus.h>

#include "daemon/manager/counts-dbus.h"

static void counts_add(Counts *counts, const char *name, uint64_t value) {
        if (counts->n == COUNTS_MAX || strlen(name) > COUNT_NAME_MAX)
                return;
        strcpy(counts->items[counts->n].name, name);
        counts->items[counts->n++].value = value;
}

int counts_read(Counts *counts, sd_bus_message *m) {
        Counts read = {};
        const char *name;
        uint64_t value;
        int r;

        r = sd_bus_message_enter_container(m, 'v', "a{st}");
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(m, 'a', "{st}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "{st}", &name, &value)) > 0)
                counts_add(&read, name, value);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                *counts = read;
        return r;
}

int counts_append(const Counts *counts, sd_bus_message *m) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{st}");
        for (size_t i = 0; r >= 0 && i < counts->n; i++)
                r = sd_bus_message_append(m, "{st}", counts->items[i].name, counts->items[i].value);
        return r < 0 ? r : sd_bus_message_close_container(m);
}
