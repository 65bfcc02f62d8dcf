/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A bus of its own for a test that is not written in C
 *
 *   with-bus KIND COMMAND…   runs the command with the address in BUS_ADDRESS
 *   with-bus --polkit        is a polkit on that bus that allows nothing
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/util/cleanup.h"
#include "tests/bus/world.h"

#define AUTHORITY "org.freedesktop.PolicyKit1.Authority"

static int on_question(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return sd_bus_reply_method_return(m, "(bba{ss})", 0, 0, 0);
}

static const sd_bus_vtable authority[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("CheckAuthorization", "(sa{sv})sa{ss}us", "(bba{ss})", on_question,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

/* Says when it has the name; ends by a signal. */
static int be_polkit(void) {
        World world = {};
        sd_bus *bus;

        snprintf(world.address, sizeof(world.address), "%s", getenv("BUS_ADDRESS") ?: "");
        bus = world_connect(&world);
        if (!bus ||
            sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/PolicyKit1/Authority", AUTHORITY,
                                     authority, NULL) < 0 ||
            sd_bus_request_name(bus, "org.freedesktop.PolicyKit1", 0) < 0)
                return EXIT_FAILURE;
        puts("ready");
        fflush(stdout);
        while (sd_bus_process(bus, NULL) >= 0 && sd_bus_wait(bus, UINT64_MAX) >= 0)
                ;
        return EXIT_FAILURE;
}

static int run(char **command) {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                execvp(command[0], command);
                _exit(127);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
                return EXIT_FAILURE;
        return WEXITSTATUS(status);
}

int main(int argc, char **argv) {
        World world = {};
        int status;

        if (argc == 2 && strcmp(argv[1], "--polkit") == 0)
                return be_polkit();
        if (argc < 3)
                return EXIT_FAILURE;
        if (!world_has(argv[1])) {
                printf("1..0 # SKIP no %s here\n", argv[1]);
                return EXIT_SUCCESS;
        }
        world.kind = argv[1];
        if (!world_open_bus(&world))
                return EXIT_FAILURE;
        setenv("BUS_ADDRESS", world.address, 1);
        status = run(argv + 2);
        return world_close(&world) ? status : EXIT_FAILURE;
}
