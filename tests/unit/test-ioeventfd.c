/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Ioeventfds and coalesced zones: what is one, when two collide, how they are ordered. */

#include <fcntl.h>
#include <sys/eventfd.h>

#include "lib/memory/ioeventfd.h"
#include "tests/common/unit.h"

static IOEventFD *make(uint64_t offset, uint32_t length, bool match, uint64_t data) {
        IOEventFD *ioeventfd = NULL;

        assert_int_equal(ioeventfd_new(&ioeventfd, offset, length, match, data, -1), 0);
        return ioeventfd;
}

static bool is_open(int fd) {
        return fcntl(fd, F_GETFD) >= 0;
}

static void test_owns_descriptor(void **state) {
        IOEventFD *ioeventfd = NULL;
        int fd = eventfd(0, EFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(ioeventfd_new(&ioeventfd, 0x10, 4, true, 7, fd), 0);
        assert_int_equal(ioeventfd->fd, fd);
        assert_int_equal(ioeventfd->offset, 0x10);
        assert_int_equal(ioeventfd->length, 4);
        assert_true(ioeventfd->match);
        assert_int_equal(ioeventfd->data, 7);

        assert_ptr_equal(ioeventfd_ref(ioeventfd), ioeventfd);
        assert_null(ioeventfd_unref(ioeventfd));
        assert_true(is_open(fd));
        assert_null(ioeventfd_unref(ioeventfd));
        assert_false(is_open(fd));
        assert_null(ioeventfd_unref(NULL));
}

static void test_lengths(void **state) {
        int fd = eventfd(0, EFD_CLOEXEC);

        for (uint32_t length = 0; length <= 16; length++) {
                bool legal = length <= 8 && (length & (length - 1)) == 0;
                IOEventFD *ioeventfd = NULL;

                if (legal) {
                        ioeventfd_unref(make(0, length, false, 0));
                        continue;
                }
                assert_int_equal(ioeventfd_new(&ioeventfd, 0, length, false, 0, fd), -EINVAL);
                assert_null(ioeventfd);
        }
        for (uint32_t length = 1; length <= 8; length *= 2)
                ioeventfd_unref(make(0, length, true, UINT64_MAX));
        /* Refused, the descriptor is still the caller's. */
        assert_int_equal(ioeventfd_new(&(IOEventFD *){NULL}, 0, 0, true, 0, fd), -EINVAL);
        assert_true(is_open(fd));
        close(fd);
}

typedef struct Key {
        uint64_t offset;
        uint32_t length;
        bool match;
        uint64_t data;
} Key;

static IOEventFD *make_key(const Key *key) {
        return make(key->offset, key->length, key->match, key->data);
}

static void test_collides(void **state) {
        static const struct {
                Key a, b;
                bool collides;
        } cases[] = {
                {{8, 4, true, 1}, {8, 4, true, 1}, true},
                {{8, 4, true, 1}, {8, 4, true, 2}, false},
                {{8, 4, true, 1}, {8, 4, false, 0}, true},
                {{8, 4, false, 0}, {8, 4, false, 0}, true},
                {{8, 4, false, 0}, {8, 2, false, 0}, false},
                {{8, 4, true, 1}, {8, 2, true, 1}, false},
                {{8, 0, false, 0}, {8, 4, true, 1}, true},
                {{8, 0, false, 0}, {8, 2, false, 0}, true},
                {{8, 0, false, 0}, {8, 0, false, 0}, true},
                {{8, 0, false, 0}, {9, 0, false, 0}, false},
                {{8, 4, false, 0}, {10, 4, false, 0}, false},
                {{8, 4, true, 1}, {12, 4, true, 1}, false},
                /* All 64 bits count, whatever the width. */
                {{8, 1, true, 0x1}, {8, 1, true, 0x101}, false},
                {{8, 8, true, 1ULL << 63}, {8, 8, true, 0}, false},
        };

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                _cleanup_(ioeventfd_unrefp) IOEventFD *a = make_key(&cases[i].a);
                _cleanup_(ioeventfd_unrefp) IOEventFD *b = make_key(&cases[i].b);

                assert_int_equal(ioeventfd_collides(a, b), cases[i].collides);
                assert_int_equal(ioeventfd_collides(b, a), cases[i].collides);
        }
}

static int sign(int i) {
        return (i > 0) - (i < 0);
}

static void test_order(void **state) {
        static const Key ascending[] = {
                {0, 0, false, 0}, {0, 1, false, 0},         {0, 1, true, 0},
                {0, 1, true, 1},  {0, 2, false, 0},         {0, 8, true, UINT64_MAX},
                {1, 0, false, 0}, {1ULL << 40, 4, true, 0}, {UINT64_MAX, 1, true, 1ULL << 40},
        };

        for (int i = 0; i < (int)ELEMENTS_OF(ascending); i++)
                for (int j = 0; j < (int)ELEMENTS_OF(ascending); j++) {
                        _cleanup_(ioeventfd_unrefp) IOEventFD *a = make_key(&ascending[i]);
                        _cleanup_(ioeventfd_unrefp) IOEventFD *b = make_key(&ascending[j]);

                        assert_int_equal(sign(ioeventfd_compare(a, b)), sign(i - j));
                }
}

static void test_coalesced(void **state) {
        Coalesced *zone = NULL;

        assert_int_equal(coalesced_new(&zone, (Range){4, 9}), 0);
        assert_int_equal(zone->range.first, 4);
        assert_int_equal(zone->range.last, 9);
        assert_ptr_equal(coalesced_ref(zone), zone);
        assert_null(coalesced_unref(zone));
        assert_int_equal(zone->range.last, 9);
        assert_null(coalesced_unref(zone));
        assert_null(coalesced_unref(NULL));
}

UNIT_TESTS(cmocka_unit_test(test_owns_descriptor), cmocka_unit_test(test_lengths),
           cmocka_unit_test(test_collides), cmocka_unit_test(test_order),
           cmocka_unit_test(test_coalesced));
