/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Handlers that take notes: what is noted, what is missed, and who outlives whom. */

#include <poll.h>
#include <pthread.h>

#include "lib/memory/handler-log.h"
#include "tests/common/unit.h"

static AccessLog *make_log(void) {
        AccessLog *log = NULL;

        assert_int_equal(access_log_new(&log), 0);
        return log;
}

static Handler *make_handler(AccessLog *log, const char *region) {
        Handler *handler = NULL;

        assert_int_equal(handler_new_log(&handler), 0);
        assert_int_equal(handler_log_equip(handler, log, region), 0);
        assert_int_equal(handler_log_equip(handler, log, region), 0);
        return handler;
}

static bool is_readable(const AccessLog *log) {
        struct pollfd poll_fd = {.fd = access_log_fd(log), .events = POLLIN};

        return poll(&poll_fd, 1, 0) == 1;
}

static void must_write(Handler *handler, uint64_t value) {
        assert_int_equal(handler_write(handler, 8, 4, value, NULL, NULL), 0);
}

static AccessNote must_take(AccessLog *log) {
        AccessNote note;

        assert_true(access_log_take(log, &note));
        handler_unref(note.handler);
        return note;
}

static void test_notes(void **state) {
        AccessLog *log = make_log();
        Handler *handler = make_handler(log, "dev");
        uint64_t value = 0;
        AccessNote note;

        assert_false(is_readable(log));
        assert_int_equal(handler_read(handler, 0x10, 2, &value, NULL, NULL), 0);
        assert_true(value == UINT64_MAX);
        assert_true(is_readable(log));
        must_write(handler, 5);

        assert_true(access_log_take(log, &note));
        assert_ptr_equal(note.handler, handler);
        assert_string_equal(handler_log_region(note.handler), "dev");
        handler_unref(note.handler);
        assert_int_equal(note.offset, 0x10);
        assert_int_equal(note.width, 2);
        assert_false(note.write);
        assert_true(is_readable(log));
        note = must_take(log);
        assert_int_equal(note.offset, 8);
        assert_int_equal(note.width, 4);
        assert_int_equal(note.value, 5);
        assert_true(note.write);
        assert_int_equal(note.missed, 0);
        assert_false(is_readable(log));
        assert_false(access_log_take(log, &note));
        handler_unref(handler);
        access_log_close(log);
}

/* What finds no room is counted, and the next that does tells of it. */
static void test_room(void **state) {
        AccessLog *log = make_log();
        Handler *handler = make_handler(log, "dev");

        for (uint64_t i = 0; i < ACCESS_LOG_MAX + 7; i++)
                must_write(handler, i);
        for (uint64_t i = 0; i < 3; i++)
                assert_int_equal(must_take(log).value, i);
        must_write(handler, 1000);
        for (uint64_t i = 3; i < ACCESS_LOG_MAX; i++)
                assert_int_equal(must_take(log).missed, 0);
        assert_int_equal(must_take(log).missed, 7);
        must_write(handler, 1001);
        assert_int_equal(must_take(log).missed, 0);
        handler_unref(handler);
        access_log_close(log);
}

/* A handler may be asked when nobody takes notes any more; a note keeps its handler. */
static void test_lifetimes(void **state) {
        AccessLog *log = make_log();
        Handler *early = make_handler(log, "early"), *late = make_handler(log, "late");
        AccessNote note;

        must_write(early, 1);
        must_write(late, 2);
        handler_unref(early);
        assert_true(access_log_take(log, &note));
        assert_string_equal(handler_log_region(note.handler), "early");
        handler_unref(note.handler);
        access_log_close(log);
        must_write(late, 3);
        handler_unref(late);
        assert_null(access_log_close(NULL));
}

static void test_same(void **state) {
        AccessLog *log = make_log();
        Handler *one = make_handler(log, "a"), *other = make_handler(log, "a"), *none = NULL;

        assert_int_equal(handler_new_none(&none), 0);
        assert_true(handler_same(one, other));
        assert_false(handler_same(one, none));
        assert_true(handler_is_log(one));
        assert_false(handler_is_log(none));
        assert_false(handler_is_log(NULL));
        handler_unref(none);
        handler_unref(other);
        handler_unref(one);
        access_log_close(log);
}

static void *write_on(void *handler) {
        for (int i = 0; i < 20000; i++)
                (void)handler_write(handler, 0, 1, 0, NULL, NULL);
        return NULL;
}

/* Two guests and whoever reads: nothing is lost that is not counted. */
static void test_threads(void **state) {
        AccessLog *log = make_log();
        Handler *handler = make_handler(log, "dev");
        uint64_t n = 0;
        pthread_t threads[2];
        AccessNote note;

        for (size_t i = 0; i < ELEMENTS_OF(threads); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, write_on, handler), 0);
        while (__atomic_load_n(&handler->n_writes, __ATOMIC_RELAXED) < 40000)
                if (access_log_take(log, &note)) {
                        handler_unref(note.handler);
                        n += 1 + note.missed;
                }
        for (size_t i = 0; i < ELEMENTS_OF(threads); i++)
                pthread_join(threads[i], NULL);
        while (access_log_take(log, &note)) {
                handler_unref(note.handler);
                n += 1 + note.missed;
        }
        must_write(handler, 0);
        assert_int_equal(n + 1 + must_take(log).missed, 40001);
        handler_unref(handler);
        access_log_close(log);
}

UNIT_TESTS(cmocka_unit_test(test_notes), cmocka_unit_test(test_room),
           cmocka_unit_test(test_lifetimes), cmocka_unit_test(test_same),
           cmocka_unit_test(test_threads));
