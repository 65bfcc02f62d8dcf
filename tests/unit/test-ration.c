/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Ration: who has to ask, who waits, what is given back. A thread takes, as a job does; the test
 * is the loop.
 */

#include <poll.h>
#include <pthread.h>

#include "daemon/vm/ration.h"
#include "daemon/vm/vm-error.h"
#include "tests/common/unit.h"

typedef struct Taker Taker;

struct Taker {
        pthread_t thread;
        uint64_t bytes;
        Detail detail;
        int result;
};

static Ration ration;

static int setup(void **state) {
        return ration_init(&ration);
}

static int teardown(void **state) {
        ration_deinit(&ration);
        return 0;
}

static void *take(void *userdata) {
        Taker *taker = userdata;

        taker->result = ration_take(&ration, taker->bytes, &taker->detail);
        return NULL;
}

/* Returns when the wish is there. */
static void begin(Taker *taker, uint64_t bytes) {
        struct pollfd ready = {.fd = ration.fd, .events = POLLIN};
        uint64_t wanted;

        *taker = (Taker){.bytes = bytes};
        assert_int_equal(pthread_create(&taker->thread, NULL, take, taker), 0);
        assert_int_equal(poll(&ready, 1, -1), 1);
        assert_true(ration_wish(&ration, &wanted));
        assert_int_equal(wanted, bytes);
}

static int end(Taker *taker) {
        assert_int_equal(pthread_join(taker->thread, NULL), 0);
        return taker->result;
}

static bool waits(uint64_t bytes) {
        return ration_waits(&ration, bytes);
}

static void test_no_limit(void **state) {
        uint64_t wanted;

        assert_false(waits(UINT64_MAX));
        assert_int_equal(ration_take(&ration, 10, NULL), 0);
        assert_false(ration_wish(&ration, &wanted));
        assert_int_equal(ration_limit(&ration, true), 10);
        assert_int_equal(ration_take(NULL, 10, NULL), 0);
        assert_false(ration_waits(NULL, 10));
}

static void test_granted(void **state) {
        Taker taker;

        assert_int_equal(ration_limit(&ration, true), 0);
        assert_false(waits(0));
        assert_true(waits(1));
        begin(&taker, 10);
        ration_answer(&ration, "");
        assert_false(waits(10));
        assert_true(waits(11));
        /* It is to be applied yet, and kept for that. */
        assert_int_equal(ration_limit(&ration, true), 10);
        assert_int_equal(end(&taker), 0);
}

static void test_refused(void **state) {
        Taker taker;

        assert_int_equal(ration_limit(&ration, true), 0);
        begin(&taker, 10);
        ration_answer(&ration, "no more of it");
        assert_int_equal(end(&taker), MAP_E_QUOTA_EXCEEDED);
        assert_string_equal(taker.detail.text, "no more of it");
        assert_int_equal(ration_limit(&ration, true), 0);
        begin(&taker, 10);
        ration_answer(&ration, "");
        assert_int_equal(end(&taker), 0);
}

/* What the map does not have any more has to be asked for again. */
static void test_given_back(void **state) {
        ration_settle(&ration, 10);
        assert_int_equal(ration_limit(&ration, true), 10);
        ration_settle(&ration, 4);
        assert_false(waits(4));
        assert_true(waits(5));
        assert_int_equal(ration_limit(&ration, true), 4);
}

/* A change that takes memory away needs what there was until it is applied. */
static void test_less(void **state) {
        ration_settle(&ration, 10);
        assert_int_equal(ration_take(&ration, 4, NULL), 0);
        assert_int_equal(ration_limit(&ration, true), 10);
}

static void test_late_answer(void **state) {
        ration_limit(&ration, true);
        ration_answer(&ration, "");
        assert_true(waits(1));
}

static void test_close(void **state) {
        Taker taker;

        ration_limit(&ration, true);
        begin(&taker, 10);
        ration_close(&ration);
        assert_int_equal(end(&taker), MAP_E_QUOTA_EXCEEDED);
        assert_int_equal(ration_take(&ration, 10, NULL), MAP_E_QUOTA_EXCEEDED);
}

#define RATION_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

UNIT_TESTS(RATION_TEST(test_no_limit), RATION_TEST(test_granted), RATION_TEST(test_refused),
           RATION_TEST(test_given_back), RATION_TEST(test_less), RATION_TEST(test_late_answer),
           RATION_TEST(test_close));
