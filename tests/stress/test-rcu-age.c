/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How old is what readers see?
 *
 *   test-rcu-age [seconds]
 *
 * The writer publishes one thing after the other. A thing that was replaced is retired again and
 * again, and grows older by one with every grace period, before it is freed. A reader who fetched
 * it before it was replaced holds back the first grace period: so whatever a reader sees, at the
 * end of its read-side section it has age 0. And what is published when a reader comes is never
 * older than what the writer had published before.
 */

#include <stdlib.h>

#include "lib/util/rcu.h"
#include "tests/stress/torture.h"

enum {
        AGE_MAX = 4,
        PAUSE_MAX = 512,
        BACKLOG_MAX = 4096, /* things that wait to be freed */
};

typedef struct Thing {
        RcuHead rcu;
        uint64_t number; /* never changes; DEAD once freed */
        uint64_t age;    /* grace periods since it was retired; atomic */
} Thing;

typedef struct Reader {
        uint64_t last; /* number of the thing that was seen last */
        uint64_t n_looks;
} Reader;

static Thing *published;
static uint64_t published_number; /* at least; atomic */
static uint64_t backlog;          /* atomic */

static void grow_older(RcuHead *head) {
        Thing *thing = caa_container_of(head, Thing, rcu);

        if (__atomic_add_fetch(&thing->age, 1, __ATOMIC_RELAXED) < AGE_MAX) {
                rcu_retire(head, grow_older);
                return;
        }
        free(thing);
        __atomic_sub_fetch(&backlog, 1, __ATOMIC_RELAXED);
}

static Thing *thing_new(uint64_t number) {
        Thing *thing = calloc(1, sizeof(*thing));

        if (!thing)
                abort();
        thing->number = number;
        return thing;
}

static void replace(void *writer, uint64_t n) {
        Thing *old = published;

        if (__atomic_add_fetch(&backlog, 1, __ATOMIC_RELAXED) > BACKLOG_MAX)
                rcu_barrier_all();
        rcu_publish(&published, thing_new(n + 1));
        __atomic_store_n(&published_number, n + 1, __ATOMIC_RELEASE);
        rcu_retire(&old->rcu, grow_older);
}

/* Long enough, now and then, for the thing to be replaced meanwhile. */
static void pause_for(uint64_t n) {
        for (volatile uint64_t i = 0; i < n; i++)
                ;
}

static const char *look(void *data) {
        uint64_t least = __atomic_load_n(&published_number, __ATOMIC_ACQUIRE), number, age;
        Reader *reader = data;
        const Thing *thing;

        rcu_enter();
        thing = rcu_fetch(&published);
        number = thing->number;
        pause_for(reader->n_looks++ * 31 % PAUSE_MAX);
        age = __atomic_load_n(&thing->age, __ATOMIC_RELAXED);
        if (thing->number != number)
                number = DEAD;
        rcu_leave();

        if (number == DEAD || age > 0)
                return "a grace period ended before its readers had left";
        if (number < least)
                return "what was seen is older than what had been published";
        if (number < reader->last)
                return "what was seen is older than what was seen before";
        reader->last = number;
        return NULL;
}

int main(int argc, char **argv) {
        Reader readers[N_READERS] = {};
        Torture torture = {.look = look, .write = replace, .readers = {&readers[0], &readers[1]}};
        int status;

        published = thing_new(0);
        rcu_register();
        status = torture_run(&torture, argc, argv);
        rcu_unregister();
        for (int i = 0; i < AGE_MAX; i++)
                rcu_barrier_all();
        free(published);
        return status;
}
