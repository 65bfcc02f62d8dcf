/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Guests' accesses beside commits that change who answers them
 *
 * With every commit the writer gives two regions new constants, the number of the generation, and
 * lets one of them and then the other be seen. Readers find in every snapshot both handlers of just
 * that generation, and every access is answered by one of a generation that was in force while it
 * was made. A third region's handler waits, and is gone by then as often as not.
 */

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "lib/memory/dispatch.h"
#include "tests/common/scene.h"

enum {
        N_READERS = 2,
        N_COMMITS = 50 * 1000,
        PAGE = 0x1000,
};

typedef struct Guest {
        Map *map;
        pthread_t thread;
        Dispatcher dispatcher;
        const Region *a, *b;
        const char *wrong;
} Guest;

static int stop;

static uint64_t read_handler(const Region *region, uint64_t generation) {
        Handler *handler = handler_in_force(region, generation);
        uint64_t value = 0;

        if (handler)
                (void)handler_read(handler, 0, 8, &value, NULL, NULL);
        return value;
}

/* The generation of a snapshot whose handlers are all of its own commit; 0 if they are not. */
static uint64_t look_into_snapshot(const Guest *guest) {
        const Snapshot *snapshot = map_snapshot(guest->map);
        uint64_t a = read_handler(guest->a, snapshot->generation);
        uint64_t b = read_handler(guest->b, snapshot->generation);

        return a == b && a == snapshot->generation ? a : 0;
}

static const char *make_accesses(Guest *guest, uint64_t before) {
        uint64_t value = 0, waited = 0;
        Detail reason = {};

        if (dispatch_read(&guest->dispatcher, 0, &value, 8, &reason) != 0 ||
            dispatch_read(&guest->dispatcher, PAGE, &waited, 8, &reason) != 0)
                return "an access failed";
        if (value < before)
                return "a handler answered that had been replaced before";
        return waited == 0x77 ? NULL : "the handler that waits has gone";
}

static void *run_guest(void *data) {
        Guest *guest = data;

        uint64_t generation;

        rcu_register();
        while (!guest->wrong && !__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
                rcu_enter();
                generation = look_into_snapshot(guest);
                rcu_leave();
                guest->wrong = generation ? make_accesses(guest, generation)
                                          : "a handler is not of its snapshot's commit";
        }
        rcu_unregister();
        return NULL;
}

/* Handlers that wait: freed with the last access that is in them. */
static int slow_read(Handler *handler, uint64_t offset, unsigned size, uint64_t *ret,
                     const Patience *patience, Detail *reason) {
        sched_yield();
        *ret = handler->widths.max == 8 ? 0x77 : 0;
        return 0;
}

static int slow_write(Handler *handler, uint64_t offset, unsigned size, uint64_t value,
                      const Patience *patience, Detail *reason) {
        return 0;
}

static bool slow_same(const Handler *a, const Handler *b) {
        return false;
}

static void slow_free(Handler *handler) {
        handler->widths.max = 0;
        free(handler);
}

static const HandlerOps slow_ops = {"slow", true, slow_read, slow_write, slow_same, slow_free};

static void must_set_slow(Map *map, const char *region) {
        Handler *handler = malloc(sizeof(*handler));

        handler_init(handler, &slow_ops);
        must_edit(map, set_handler(region, handler));
        handler_unref(handler);
}

static void commit_once(Map *map, bool a_in_front) {
        must_edit(map, set_priority("a", a_in_front ? 1 : -1));
        must_set_constant(map, "a", map->generation + 1);
        must_set_constant(map, "b", map->generation + 1);
        must_set_slow(map, "slow");
        must_commit(map);
}

static Map *make_map(void) {
        Map *map = scene_new();

        must_edit(map, add_region(REGION_MMIO, "a", PAGE, "system", 0, 0));
        must_edit(map, add_region(REGION_MMIO, "b", PAGE, "system", 0, 0));
        must_edit(map, add_region(REGION_MMIO, "slow", PAGE, "system", PAGE, 0));
        commit_once(map, true);
        return map;
}

int main(void) {
        Guest guests[N_READERS] = {};
        Map *map = make_map();
        int failed = 0;

        printf("1..%d\n", N_READERS);
        for (size_t i = 0; i < N_READERS; i++) {
                guests[i] = (Guest){.map = map, .a = must_find(map, "a"), .b = must_find(map, "b")};
                dispatcher_init(&guests[i].dispatcher, map, "memory");
                if (pthread_create(&guests[i].thread, NULL, run_guest, &guests[i]) != 0)
                        abort();
        }
        for (int i = 0; i < N_COMMITS; i++)
                commit_once(map, i % 2);
        __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
        for (size_t i = 0; i < N_READERS; i++) {
                pthread_join(guests[i].thread, NULL);
                printf("%sok %zu - a guest%s%s\n", guests[i].wrong ? "not " : "", i + 1,
                       guests[i].wrong ? ": " : "", guests[i].wrong ?: "");
                failed |= guests[i].wrong != NULL;
        }
        map_free(map);
        return failed;
}
