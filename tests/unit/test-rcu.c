/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Read-copy-update: what is retired lives as long as a reader that could have seen it. The reader
 * is held inside its section by a barrier, so that nothing depends on time.
 */

#include <pthread.h>

#include "lib/util/cleanup.h"
#include "lib/util/rcu.h"
#include "tests/common/unit.h"

typedef struct Thing {
        RcuHead rcu;
        int value;
} Thing;

typedef struct Reader {
        Thing **published;
        pthread_barrier_t inside;
        pthread_barrier_t leave;
        int seen_before;
        int seen_after;
} Reader;

static int n_freed;

static void thing_retired(RcuHead *head) {
        Thing *thing = (Thing *)head;

        thing->value = -1;
        free(thing);
        __atomic_fetch_add(&n_freed, 1, __ATOMIC_RELAXED);
}

static Thing *thing_new(int value) {
        Thing *thing = calloc(1, sizeof(*thing));

        assert_non_null(thing);
        thing->value = value;
        return thing;
}

static void *read_slowly(void *data) {
        Reader *reader = data;
        Thing *thing;

        rcu_register();
        rcu_enter();
        thing = rcu_fetch(reader->published);
        reader->seen_before = thing->value;
        pthread_barrier_wait(&reader->inside);
        pthread_barrier_wait(&reader->leave);
        reader->seen_after = thing->value;
        rcu_leave();
        rcu_unregister();
        return NULL;
}

static void test_grace_period(void **state) {
        Thing *old = thing_new(1), *new = thing_new(2), *published = NULL;
        Reader reader = {.published = &published};
        pthread_t thread;

        pthread_barrier_init(&reader.inside, NULL, 2);
        pthread_barrier_init(&reader.leave, NULL, 2);
        rcu_publish(&published, old);
        assert_int_equal(pthread_create(&thread, NULL, read_slowly, &reader), 0);

        pthread_barrier_wait(&reader.inside);
        rcu_publish(&published, new);
        rcu_retire(&old->rcu, thing_retired);
        assert_int_equal(__atomic_load_n(&n_freed, __ATOMIC_RELAXED), 0);
        pthread_barrier_wait(&reader.leave);
        pthread_join(thread, NULL);
        rcu_barrier_all();

        assert_int_equal(n_freed, 1);
        assert_int_equal(reader.seen_before, 1);
        assert_int_equal(reader.seen_after, 1);
        rcu_enter();
        assert_int_equal(rcu_fetch(&published)->value, 2);
        rcu_leave();
        pthread_barrier_destroy(&reader.inside);
        pthread_barrier_destroy(&reader.leave);
        free(new);
}

static void test_barrier(void **state) {
        n_freed = 0;
        for (int i = 0; i < 1000; i++)
                rcu_retire(&thing_new(i)->rcu, thing_retired);
        rcu_barrier_all();
        assert_int_equal(n_freed, 1000);
}

static int setup(void **state) {
        rcu_register();
        return 0;
}

static int teardown(void **state) {
        rcu_unregister();
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_grace_period),
                                           cmocka_unit_test(test_barrier)};

        return cmocka_run_group_tests(tests, setup, teardown);
}
