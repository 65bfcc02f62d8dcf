/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Reading and writing through a view: pieces, what traps, and that a refused write writes nothing
 */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/memory/access.h"
#include "tests/common/memory.h"
#include "tests/common/unit.h"
#include "tests/property/random.h"

typedef struct Traps Traps;

/* The trapped pieces of an access in words: "r first-last region@offset; ". */
struct Traps {
        char text[512];
        int answer; /* of the operations */
};

static int trap(Traps *traps, char what, const Piece *piece) {
        size_t n = strlen(traps->text);

        snprintf(traps->text + n, sizeof(traps->text) - n,
                 "%c %" PRIx64 "-%" PRIx64 " %s@%" PRIx64 "; ", what, piece->range.first,
                 piece->range.last, piece->section ? piece->section->region->name : "-",
                 piece->offset);
        return traps->answer;
}

/* What traps reads as 0xaa. */
static int trap_read(void *userdata, const Piece *piece, void *data) {
        memset(data, 0xaa, (size_t)range_size(piece->range));
        return trap(userdata, 'r', piece);
}

static int trap_write(void *userdata, const Piece *piece, const void *data) {
        return trap(userdata, 'w', piece);
}

static const AccessOps ops = {trap_read, trap_write};

/* The answer of an access to [first, last], and in *traps what trapped. */
static int read_range(Map *map, Traps *traps, uint64_t first, uint64_t last, void *data) {
        traps->text[0] = '\0';
        return access_read(scene_published(map, "memory"), (Range){first, last}, data, &ops, traps,
                           NULL);
}

static int write_range(Map *map, Traps *traps, uint64_t first, uint64_t last, const void *data) {
        traps->text[0] = '\0';
        return access_write(scene_published(map, "memory"), (Range){first, last}, data, &ops, traps,
                            NULL);
}

static int write_whole(Map *map, Traps *traps, uint64_t first, uint64_t last, const void *data) {
        traps->text[0] = '\0';
        return access_write_whole(scene_published(map, "memory"), (Range){first, last}, data, &ops,
                                  traps, NULL);
}

static void fill(uint8_t *bytes, size_t n, uint8_t first) {
        for (size_t i = 0; i < n; i++)
                bytes[i] = (uint8_t)(first + i);
}

/*
 * 0-fff ram, 1000-10ff hole, 1100-11ff "dev" mmio, 1200-12ff hole, 2000-2fff rom, 3000-3fff romd,
 * 4000-4fff reserved, 5000-5fff a read-only alias of ram, the last page of 2^64: top
 */
static Map *make_map(void) {
        Map *map = scene_new();

        must_add_memory(map, add_region(REGION_RAM, "ram", 0x1000, "system", 0, 0));
        must_edit(map, add_region(REGION_MMIO, "dev", 0x100, "system", 0x1100, 0));
        must_add_memory(map, with_flags(add_region(REGION_ROM, "rom", 0x1000, "system", 0x2000, 0),
                                        REGION_READONLY));
        must_add_memory(map,
                        with_flags(add_region(REGION_ROMD, "romd", 0x1000, "system", 0x3000, 0),
                                   REGION_DIRECT_READ));
        must_edit(map, add_region(REGION_RESERVED, "no", 0x1000, "system", 0x4000, 0));
        must_edit(map, with_flags(add_alias("window", "ram", 0, 0x1000, "system", 0x5000, 0),
                                  REGION_READONLY));
        must_add_memory(map,
                        add_region(REGION_RAM, "top", 0x1000, "system", UINT64_MAX - 0xfff, 0));
        must_commit(map);
        fill(must_host(map, "ram"), 0x1000, 1);
        fill(must_host(map, "rom"), 0x1000, 2);
        fill(must_host(map, "romd"), 0x1000, 3);
        fill(must_host(map, "top"), 0x1000, 4);
        return map;
}

static void test_memory(void **state) {
        Map *map = make_map();
        uint8_t data[64], expected[64];
        Traps traps = {};

        for (size_t size = 1; size <= sizeof(data); size++) {
                for (uint64_t first = 100; first < 108; first++) {
                        fill(expected, size, (uint8_t)(first + 1));
                        assert_int_equal(read_range(map, &traps, first, first + size - 1, data), 0);
                        assert_memory_equal(data, expected, size);
                        fill(expected, size, 0x55);
                        assert_int_equal(
                                write_range(map, &traps, first, first + size - 1, expected), 0);
                        assert_memory_equal(must_host(map, "ram") + first, expected, size);
                        assert_int_equal(must_host(map, "ram")[first - 1], (uint8_t)first);
                        assert_int_equal(must_host(map, "ram")[first + size],
                                         (uint8_t)(first + size + 1));
                        fill(must_host(map, "ram"), 0x1000, 1);
                }
        }
        assert_string_equal(traps.text, "");
        map_free(map);
}

static void test_read_pieces(void **state) {
        Map *map = make_map();
        uint8_t *data = malloc(0x6000);
        Traps traps = {};

        assert_int_equal(read_range(map, &traps, 0xffe, 0x6001, data), 0);
        assert_string_equal(traps.text, "r 1000-10ff -@0; r 1100-11ff dev@0; r 1200-1fff -@0; "
                                        "r 4000-4fff no@0; r 6000-6001 -@0; ");
        assert_int_equal(data[0], 0xff); /* the end of ram, from 1 on */
        assert_int_equal(data[1], 0);
        assert_int_equal(data[2], 0xaa);
        assert_int_equal(data[0x2000 - 0xffe], 2);
        assert_int_equal(data[0x3000 - 0xffe], 3);
        assert_int_equal(data[0x4000 - 0xffe], 0xaa);
        assert_int_equal(data[0x5000 - 0xffe], 1); /* through the alias */
        assert_int_equal(data[0x6001 - 0xffe], 0xaa);

        assert_int_equal(read_range(map, &traps, 0x1101, 0x1102, data), 0);
        assert_string_equal(traps.text, "r 1101-1102 dev@1; ");
        free(data);
        map_free(map);
}

static void test_write_pieces(void **state) {
        static uint8_t data[0x6000];
        Map *map = make_map();
        Traps traps = {};

        assert_int_equal(write_range(map, &traps, 0xffe, 0x5fff, data), 0);
        assert_string_equal(traps.text, "w 1000-10ff -@0; w 1100-11ff dev@0; w 1200-1fff -@0; "
                                        "w 2000-2fff rom@0; w 3000-3fff romd@0; "
                                        "w 4000-4fff no@0; w 5000-5fff ram@0; ");
        assert_int_equal(must_host(map, "ram")[0xffd], 0xfe);
        assert_int_equal(must_host(map, "ram")[0xffe], 0);
        assert_int_equal(must_host(map, "rom")[0], 2);
        map_free(map);
}

/* A ROM device out of direct-read mode, and RAM that nobody gave memory. */
static void test_trapped_kinds(void **state) {
        Map *map = make_map();
        uint8_t data[8];
        Traps traps = {};

        must_edit(map, set_flags("romd", REGION_DIRECT_READ, 0));
        must_edit_commit(map, add_region(REGION_RAM, "bare", 0x1000, "system", 0x7000, 0));
        assert_int_equal(read_range(map, &traps, 0x3004, 0x3007, data), 0);
        assert_string_equal(traps.text, "r 3004-3007 romd@4; ");
        assert_int_equal(read_range(map, &traps, 0x7000, 0x7000, data), 0);
        assert_string_equal(traps.text, "r 7000-7000 bare@0; ");
        assert_int_equal(write_range(map, &traps, 0x7000, 0x7000, data), 0);
        assert_string_equal(traps.text, "w 7000-7000 bare@0; ");
        map_free(map);
}

static void test_answer_ends(void **state) {
        Map *map = make_map();
        static const uint8_t zero[0x3000];
        uint8_t data[0x3000];
        Traps traps = {.answer = 7};

        assert_int_equal(read_range(map, &traps, 0xffe, 0x2ffd, data), 7);
        assert_string_equal(traps.text, "r 1000-10ff -@0; ");
        assert_int_equal(write_range(map, &traps, 0xffe, 0x2ffd, zero), 7);
        assert_string_equal(traps.text, "w 1000-10ff -@0; ");
        assert_int_equal(must_host(map, "ram")[0xffe], 0); /* was written before */
        map_free(map);
}

static void test_write_whole(void **state) {
        uint8_t data[0x1000] = {};
        Map *map = make_map();
        Traps traps = {.answer = 7};

        assert_int_equal(write_whole(map, &traps, 0xffe, 0x1000, data), 7);
        assert_string_equal(traps.text, "w 1000-1000 -@0; ");
        assert_int_equal(must_host(map, "ram")[0xffe], 0xff);
        assert_int_equal(write_whole(map, &traps, 0x1ff0, 0x200f, data), 7);
        assert_string_equal(traps.text, "w 1ff0-1fff -@0; ");
        assert_int_equal(write_whole(map, &traps, 0x5000, 0x5000, data), 7);
        assert_string_equal(traps.text, "w 5000-5000 ram@0; ");
        assert_int_equal(must_host(map, "ram")[0], 1);

        assert_int_equal(write_whole(map, &traps, 0, 0xfff, data), 0);
        assert_string_equal(traps.text, "");
        assert_memory_equal(must_host(map, "ram"), data, sizeof(data));
        map_free(map);
}

static void test_limits(void **state) {
        uint8_t data[0x1001], zero[16] = {};
        Map *map = make_map();
        Traps traps = {};

        assert_int_equal(read_range(map, &traps, UINT64_MAX, UINT64_MAX, data), 0);
        assert_int_equal(data[0], 3); /* 4 + 0xfff */
        assert_int_equal(read_range(map, &traps, UINT64_MAX - 0x1000, UINT64_MAX, data), 0);
        assert_string_equal(traps.text, "r ffffffffffffefff-ffffffffffffefff -@0; ");
        assert_int_equal(data[1], 4);
        assert_int_equal(data[0x1000], 3);
        assert_int_equal(write_whole(map, &traps, UINT64_MAX - 15, UINT64_MAX, zero), 0);
        assert_memory_equal(must_host(map, "top") + 0xff0, zero, sizeof(zero));
        map_free(map);
}

static void test_empty_view(void **state) {
        Map *map = scene_new();
        Traps traps = {};
        uint8_t data[2];

        assert_int_equal(read_range(map, &traps, UINT64_MAX - 1, UINT64_MAX, data), 0);
        assert_string_equal(traps.text, "r fffffffffffffffe-ffffffffffffffff -@0; ");
        map_free(map);
}

/* Two sections of one region whose offsets do not go on; one byte each. */
static void test_tiny_sections(void **state) {
        Map *map = scene_new();
        uint8_t data[2] = {}, other[2] = {9, 8};
        Traps traps = {};

        must_add_memory(map, add_region(REGION_RAM, "ram", 0x1000, "", 0, 0));
        must_edit(map, add_alias("a", "ram", 7, 1, "system", 0, 0));
        must_edit(map, add_alias("b", "ram", 3, 1, "system", 1, 0));
        must_commit(map);
        must_host(map, "ram")[7] = 1;
        must_host(map, "ram")[3] = 2;
        assert_int_equal(read_range(map, &traps, 0, 1, data), 0);
        assert_int_equal(data[0], 1);
        assert_int_equal(data[1], 2);
        assert_int_equal(write_whole(map, &traps, 0, 1, other), 0);
        assert_int_equal(must_host(map, "ram")[7], 9);
        assert_int_equal(must_host(map, "ram")[3], 8);
        map_free(map);
}

static size_t resident(Map *map, const char *name) {
        unsigned char pages[16];
        size_t n = 0;

        assert_int_equal(mincore(must_host(map, name), sizeof(pages) * 4096, pages), 0);
        for (size_t i = 0; i < sizeof(pages); i++)
                n += pages[i] & 1;
        return n;
}

/* Looking at memory that nobody has used yet takes no memory. */
static void test_holes_stay_holes(void **state) {
        static uint8_t data[0x10000];
        Map *map = scene_new();
        Traps traps = {};

        must_add_memory(map, add_region(REGION_RAM, "ram", 0x10000, "system", 0, 0));
        must_commit(map);
        memset(data, 1, sizeof(data));
        assert_int_equal(read_range(map, &traps, 0, sizeof(data) - 1, data), 0);
        assert_int_equal(data[0] | data[0x8000] | data[0xffff], 0);
        assert_int_equal(resident(map, "ram"), 0);
        assert_int_equal(write_range(map, &traps, 0x1000, 0x1000, "x"), 0);
        assert_true(resident(map, "ram") > 0);
        map_free(map);
}

enum { FIELD = 0x200, WINDOWS = 40 }; /* bytes that windows lie in, and how many do */

/* Windows of all sizes and kinds of place, on memory, on registers, read-only, over one another. */
static Map *make_field(Random *random) {
        static const char *const targets[] = {"ram", "rom", "dev"};
        Map *map = scene_new();

        must_add_memory(map, add_region(REGION_RAM, "ram", FIELD, NULL, 0, 0));
        must_add_memory(
                map, with_flags(add_region(REGION_ROM, "rom", FIELD, NULL, 0, 0), REGION_READONLY));
        must_edit(map, add_region(REGION_MMIO, "dev", FIELD, NULL, 0, 0));
        fill(must_host(map, "ram"), FIELD, 1);
        fill(must_host(map, "rom"), FIELD, 101);
        for (int i = 0; i < WINDOWS; i++) {
                uint64_t size = 1 + random_below(random, 40);
                char name[16];

                snprintf(name, sizeof(name), "window%d", i);
                must_edit(map,
                          with_flags(add_alias(name,
                                               targets[random_below(random, ELEMENTS_OF(targets))],
                                               random_below(random, FIELD - size), size, "system",
                                               random_below(random, FIELD - size), 0),
                                     random_below(random, 3) ? 0 : REGION_READONLY));
        }
        must_commit(map);
        return map;
}

/* Where the byte at an address is, if it is memory that can be written or only read. */
static uint8_t *find_byte(const FlatView *view, uint64_t address, bool write) {
        const Section *section = flat_view_find(view, address);

        if (!section || section->kind == REGION_MMIO ||
            (write && (section->kind != REGION_RAM || section->flags & REGION_READONLY)))
                return NULL;
        return (uint8_t *)section_host(section) + (address - section->range.first);
}

/* Byte by byte it is what Find says. */
static void check_read(Map *map, Range range) {
        const FlatView *view = scene_published(map, "memory");
        uint8_t data[FIELD];
        Traps traps = {};

        assert_int_equal(read_range(map, &traps, range.first, range.last, data), 0);
        for (uint64_t at = range.first; at <= range.last; at++) {
                const uint8_t *byte = find_byte(view, at, false);

                assert_int_equal(data[at - range.first], byte ? *byte : 0xaa);
        }
}

/* Two bytes of the range may be the same byte of the memory: all are given the same value. */
static void check_write(Map *map, Range range, uint8_t value, bool whole) {
        const FlatView *view = scene_published(map, "memory");
        uint8_t data[FIELD], before[FIELD], expected[FIELD];
        uint8_t *ram = must_host(map, "ram");
        Traps traps = {.answer = whole ? 7 : 0};
        bool refused = false;
        int r;

        memset(data, value, sizeof(data));
        memcpy(before, ram, FIELD);
        memcpy(expected, ram, FIELD);
        for (uint64_t at = range.first; at <= range.last; at++) {
                uint8_t *byte = find_byte(view, at, true);

                if (byte)
                        expected[byte - ram] = value;
                else
                        refused = true;
        }
        r = whole ? write_whole(map, &traps, range.first, range.last, data)
                  : write_range(map, &traps, range.first, range.last, data);
        assert_int_equal(r, whole && refused ? 7 : 0);
        assert_memory_equal(ram, whole && refused ? before : expected, FIELD);
}

static void test_random_fields(void **state) {
        for (uint64_t seed = 1; seed <= 50; seed++) {
                Random random = {seed};
                Map *map = make_field(&random);

                for (int i = 0; i < 100; i++) {
                        uint64_t first = random_below(&random, FIELD);
                        Range range = {first, first + random_below(&random, FIELD - first)};

                        check_read(map, range);
                        check_write(map, range, (uint8_t)i, i % 2);
                }
                map_free(map);
        }
}

typedef struct Swing Swing;

struct Swing {
        Map *map;
        int n_wrong;
};

/* Writes all zeroes or all ones, in one store; the other side sees nothing else. */
static void *swing_writer(void *userdata) {
        Swing *swing = userdata;
        Traps traps = {};

        rcu_register();
        for (int i = 0; i < 100000; i++) {
                uint64_t value = i & 1 ? UINT64_MAX : 0;

                rcu_enter();
                (void)write_range(swing->map, &traps, 8, 15, &value);
                rcu_leave();
        }
        rcu_unregister();
        return NULL;
}

static void test_aligned_words_are_whole(void **state) {
        Swing swing = {.map = make_map()};
        uint64_t value = 0;
        pthread_t thread;
        Traps traps = {};

        assert_int_equal(write_range(swing.map, &traps, 8, 15, &value), 0);
        assert_int_equal(pthread_create(&thread, NULL, swing_writer, &swing), 0);
        rcu_register();
        for (int i = 0; i < 100000; i++) {
                rcu_enter();
                (void)read_range(swing.map, &traps, 8, 15, &value);
                rcu_leave();
                swing.n_wrong += value != 0 && value != UINT64_MAX;
        }
        rcu_unregister();
        pthread_join(thread, NULL);
        assert_int_equal(swing.n_wrong, 0);
        map_free(swing.map);
}

static unsigned n_looks; /* at a file */
int __real_fstat64(int fd, struct stat *status);
int __wrap_fstat64(int fd, struct stat *status);

int __wrap_fstat64(int fd, struct stat *status) {
        n_looks++;
        return __real_fstat64(fd, status);
}

/* As RAM of a page behind 200 aliases, on a file that others can cut off. */
static Map *make_map_on_file(const char *name, int fd) {
        _cleanup_(backing_unrefp) Backing *backing = NULL;
        PassedFD passed = {.fd = fd};
        Edit edit = add_region(REGION_RAM, name, 0x1000, NULL, 0, 0);
        Map *map = make_map();
        char alias[16];

        assert_int_equal(backing_new_passed(&backing, 1, name, 0x1000, NULL, &passed, NULL), 0);
        edit.backing = backing;
        must_edit(map, edit);
        for (unsigned i = 0; i < 200; i++) {
                snprintf(alias, sizeof(alias), "alias%u", i);
                must_edit(map, add_alias(alias, name, 0, 0x1000, "system",
                                         UINT64_C(0x100000) + i * UINT64_C(0x2000), 0));
        }
        must_commit(map);
        return map;
}

/* Each file is looked at once, in however many places it is used. */
static void test_check_files(void **state) {
        int fd = memfd_create("file", MFD_CLOEXEC);
        Detail detail = {};
        Map *map;

        assert_int_equal(ftruncate(fd, 0x1000), 0);
        map = make_map_on_file("file", fd);
        n_looks = 0;
        assert_int_equal(access_check_files(scene_published(map, "memory"), EFAULT, NULL), 0);
        assert_int_equal(n_looks, 1);
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(access_check_files(scene_published(map, "memory"), 0, &detail),
                         MAP_E_NO_MEMORY);
        assert_non_null(strstr(detail.text, "memory of \"file\": the file has 0"));
        map_free(map);
        close(fd);
}

UNIT_TESTS(cmocka_unit_test(test_check_files), cmocka_unit_test(test_memory),
           cmocka_unit_test(test_read_pieces), cmocka_unit_test(test_write_pieces),
           cmocka_unit_test(test_trapped_kinds), cmocka_unit_test(test_answer_ends),
           cmocka_unit_test(test_write_whole), cmocka_unit_test(test_limits),
           cmocka_unit_test(test_empty_view), cmocka_unit_test(test_tiny_sections),
           cmocka_unit_test(test_holes_stay_holes), cmocka_unit_test(test_random_fields),
           cmocka_unit_test(test_aligned_words_are_whole));
