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

static bool collides_with_a_linked_one(IOEventFD *const *made, size_t n, const IOEventFD *with) {
        for (size_t i = 0; i < n; i++)
                if (made[i]->linked && ioeventfd_collides(made[i], with))
                        return true;
        return false;
}

/* One after the other, each where it collides with none, out of all keys in some small range. */
static void test_a_regions_ioeventfds(void **state) {
        static const Key lengths[] = {{0, 0, false, 0}, {0, 1, false, 0}, {0, 1, true, 0},
                                      {0, 1, true, 1},  {0, 2, false, 0}, {0, 2, true, 1}};
        enum { N_LENGTHS = ELEMENTS_OF(lengths), N = 4 * N_LENGTHS, STEPS = 4000 };
        struct IOEventFDs all = {};
        IOEventFD *made[N];

        for (size_t i = 0; i < N; i++) {
                Key key = lengths[i % N_LENGTHS];

                key.offset = i / N_LENGTHS;
                made[i] = make_key(&key);
        }
        for (uint64_t step = 0, random = 1; step < STEPS; step++) {
                IOEventFD *one, *found;

                random = random * 6364136223846793005U + 1442695040888963407U;
                one = made[(random >> 33) % N];
                if (one->linked) {
                        assert_ptr_equal(ioeventfds_find(&all, one), one);
                        ioeventfd_unlink(one, &all);
                        continue;
                }
                found = ioeventfds_colliding(&all, one);
                assert_int_equal(found != NULL, collides_with_a_linked_one(made, N, one));
                assert_true(!found || (found->linked && ioeventfd_collides(found, one)));
                if (!found)
                        ioeventfd_link(one, &all);
        }
        for (size_t i = 0; i < N; i++)
                ioeventfd_unref(made[i]);
}

static void test_a_regions_ioeventfds_in_order(void **state) {
        struct IOEventFDs all = {};
        IOEventFD *c = make(9, 1, false, 0), *a = make(4, 2, true, 7), *b = make(4, 4, true, 1);

        assert_null(ioeventfds_first(&all, 0));
        ioeventfd_link(c, &all);
        ioeventfd_link(b, &all);
        ioeventfd_link(a, &all);
        assert_ptr_equal(ioeventfds_first(&all, 0), a);
        assert_ptr_equal(ioeventfds_first(&all, 4), a);
        assert_ptr_equal(ioeventfd_next(a), b);
        assert_ptr_equal(ioeventfd_next(b), c);
        assert_ptr_equal(ioeventfds_first(&all, 5), c);
        assert_null(ioeventfd_next(c));
        assert_null(ioeventfds_first(&all, 10));
        ioeventfd_unref(a);
        ioeventfd_unref(b);
        ioeventfd_unref(c);
}

static Coalesced *make_zone(uint64_t first, uint64_t last) {
        Coalesced *zone = NULL;

        assert_int_equal(coalesced_new(&zone, (Range){first, last}), 0);
        return zone;
}

static void test_a_regions_zones(void **state) {
        Coalesced *a = make_zone(0, 0xff), *b = make_zone(0x10, 0x1f), *c = make_zone(0x10, 0x2f);
        struct Zones all = {};

        assert_null(zones_first(&all, 0));
        coalesced_link(c, &all);
        coalesced_link(a, &all);
        coalesced_link(b, &all);
        assert_ptr_equal(zones_first(&all, 0), a);
        assert_ptr_equal(zones_first(&all, 1), b);
        assert_ptr_equal(coalesced_next(b), c);
        assert_null(coalesced_next(c));
        assert_null(zones_first(&all, 0x11));
        assert_ptr_equal(zones_find(&all, (Range){0x10, 0x2f}), c);
        assert_null(zones_find(&all, (Range){0x10, 0x20}));
        coalesced_unlink(c, &all);
        assert_false(c->linked);
        assert_null(zones_find(&all, (Range){0x10, 0x2f}));
        coalesced_unref(a);
        coalesced_unref(b);
        coalesced_unref(c);
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
           cmocka_unit_test(test_a_regions_ioeventfds),
           cmocka_unit_test(test_a_regions_ioeventfds_in_order),
           cmocka_unit_test(test_a_regions_zones), cmocka_unit_test(test_coalesced));
