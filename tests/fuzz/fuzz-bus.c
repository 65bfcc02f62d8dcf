/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Calls into guestmapd over a real bus, drawn from a seed: fuzz-bus KIND GUESTMAPD SECONDS [SEED]
 *
 * Both daemons live to the end, answer no call twice, and end well; with sanitizers that is where
 * these have their say. Calls go to the service and to a VM, which is made again when it was
 * destroyed.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/world.h"
#include "tests/fuzz/calls.h"

#define FUZZ_VM GUESTMAP_PATH_VM "/fuzz"

enum { SKIPPED = 77, BYTES = 512, IN_FLIGHT = 64, CALL_USEC = 2000000 };

static unsigned n_sent, n_answered, n_lost;

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        n_answered++;
        /* Ours, when nothing came; a call may well wait as long as it was asked to. */
        n_lost += sd_bus_message_is_method_error(m, SD_BUS_ERROR_NO_REPLY) > 0;
        return 0;
}

static bool alive(sd_bus *bus) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_call_method(bus, GUESTMAP_SERVICE, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER,
                               "ListVMs", &error, NULL, NULL);
        if (r < 0)
                fprintf(stderr, "after %u calls: %s\n", n_sent, error.message);
        return r >= 0;
}

/* It may be there, or be on its way out. */
static void create(sd_bus *bus) {
        (void)sd_bus_call_method(bus, GUESTMAP_SERVICE, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER,
                                 "CreateVM", NULL, NULL, "sa{sv}", "fuzz", 1, "accelerator", "s",
                                 "none");
}

static void draw(struct random_data *random, uint8_t *data, size_t n) {
        for (size_t i = 0; i < n; i++) {
                int32_t value;

                random_r(random, &value);
                data[i] = (uint8_t)(value >> 8);
        }
}

static int send_some(sd_bus *bus, Choices *choices) {
        int r = 0;

        while (r >= 0 && choices->n > 0) {
                const char *path = choose(choices, 8) ? FUZZ_VM : GUESTMAP_PATH;
                sd_bus_message *m = call_choose(choices, bus, GUESTMAP_SERVICE, path);

                r = sd_bus_call_async(bus, NULL, m, on_answer, NULL, CALL_USEC);
                sd_bus_message_unref(m);
                n_sent++;
                while (r >= 0 && n_sent - n_answered > IN_FLIGHT) {
                        r = sd_bus_process(bus, NULL);
                        if (r == 0)
                                r = sd_bus_wait(bus, CALL_USEC);
                }
        }
        return r;
}

static bool fuzz(World *world, unsigned seconds, unsigned seed) {
        time_t end = time(NULL) + seconds;
        struct random_data random = {};
        uint8_t data[BYTES];
        char buffer[64];
        sd_bus *bus = world_connect(world);
        bool good = bus;

        initstate_r(seed, buffer, sizeof(buffer), &random);
        while (good && time(NULL) < end) {
                Choices choices = {data, sizeof(data)};

                create(bus);
                draw(&random, data, sizeof(data));
                if (send_some(bus, &choices) < 0) {
                        /* A bus drops who sends it what it does not like; guestmapd it keeps. */
                        sd_bus_close_unref(bus);
                        bus = world_connect(world);
                        n_answered = n_sent;
                }
                good = bus && alive(bus);
        }
        sd_bus_close_unref(bus);
        return good;
}

int main(int argc, char **argv) {
        unsigned seed = argc > 4 ? (unsigned)atoi(argv[4]) : 1;
        World world = {};
        bool good;

        if (argc < 4 || !world_has(argv[1])) {
                printf("1..0 # SKIP there is no %s\n", argc > 1 ? argv[1] : "bus");
                return SKIPPED;
        }
        if (!world_open(&world, argv[1], argv[2], "--user"))
                return EXIT_FAILURE;
        good = fuzz(&world, (unsigned)atoi(argv[3]), seed);
        good = world_close(&world) && good;
        printf("%u calls, %u not answered within %u s, seed %u\n", n_sent, n_lost,
               CALL_USEC / 1000000, seed);
        return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
