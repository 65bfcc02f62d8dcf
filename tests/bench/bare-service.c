/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/bench/bare-service.h"

typedef struct Row {
        uint64_t first, last, offset;
        const char *kind;
        uint32_t flags;
        char region[32];
} Row;

typedef struct Rows {
        size_t n;
        Row items[];
} Rows;

static Rows *rows_new(size_t n) {
        Rows *rows = calloc(1, sizeof(*rows) + n * sizeof(*rows->items));

        if (!rows)
                _exit(1);
        rows->n = n;
        for (size_t i = 0; i < n; i++) {
                rows->items[i] = (Row){.first = i * 0x2000, .last = i * 0x2000 + 0xfff};
                rows->items[i].kind = "mmio";
                snprintf(rows->items[i].region, sizeof(rows->items[i].region), "r%08zu", i);
        }
        return rows;
}

static int append(sd_bus_message *reply, const Rows *rows) {
        int r;

        r = sd_bus_message_append(reply, "t", UINT64_C(1));
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "(ttstsu)");
        for (size_t i = 0; r >= 0 && i < rows->n; i++) {
                const Row *row = &rows->items[i];

                r = sd_bus_message_append(reply, "(ttstsu)", row->first, row->last, row->region,
                                          row->offset, row->kind, row->flags);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_flat_view(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = append(reply, userdata);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static void serve(World *world, size_t n, int ready) {
        sd_bus *bus = world_connect(world);
        int r = -1;

        if (bus && sd_bus_add_object(bus, NULL, BARE_PATH, get_flat_view, rows_new(n)) >= 0)
                r = sd_bus_request_name(bus, BARE_SERVICE, 0);
        (void)!write(ready, &r, sizeof(r));
        while (r >= 0) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }
}

pid_t bare_service_start(World *world, size_t n) {
        int pair[2], r = -1;
        pid_t pid;

        if (pipe(pair) < 0)
                return -1;
        pid = fork();
        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                serve(world, n, pair[1]);
                _exit(0);
        }
        close(pair[1]);
        if (read(pair[0], &r, sizeof(r)) != sizeof(r))
                r = -1;
        close(pair[0]);
        return r < 0 ? -1 : pid;
}
