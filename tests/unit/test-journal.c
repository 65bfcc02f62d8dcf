/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/vm/journal-scan.h"
#include "daemon/vm/journal.h"
#include "lib/util/crc32c.h"
#include "tests/common/unit.h"
#include "tests/unit/fail-disk.h"

typedef struct Fixture {
        char directory[32];
        Journal *journal;
} Fixture;

static int setup(void **state) {
        static Fixture fixture;

        snprintf(fixture.directory, sizeof(fixture.directory), "/tmp/guestmap-journal-XXXXXX");
        assert_non_null(mkdtemp(fixture.directory));
        assert_int_equal(journal_new(&fixture.journal, fixture.directory, false), 0);
        *state = &fixture;
        return 0;
}

static int teardown(void **state) {
        Fixture *fixture = *state;

        fail_disk = (FailDisk){};
        (void)unlinkat(fixture->journal->directory, "journal", 0);
        journal_discard(fixture->journal);
        fixture->journal = journal_free(fixture->journal);
        return rmdir(fixture->directory);
}

static int append(Journal *journal, const char *text) {
        int r;

        r = journal_begin(journal);
        return r < 0 ? r : journal_end(journal, text, strlen(text));
}

/* The payloads of the journal in its place, with a blank behind each, and how it ends. */
static char *payloads(const Fixture *fixture) {
        _cleanup_(freep) char *bytes = NULL;
        static const char *const ends[] = {[JOURNAL_E_END] = "end",
                                           [JOURNAL_E_TORN] = "torn",
                                           [JOURNAL_E_DAMAGED] = "damaged"};
        JournalScan scan = {};
        JournalRecord record;
        size_t length;
        char *text;
        FILE *out = open_memstream(&text, &length);
        int r;

        assert_int_equal(journal_read(fixture->directory, "journal", &bytes, &scan.length), 0);
        scan.bytes = bytes;
        while ((r = journal_scan(&scan, &record, NULL)) == 0)
                fprintf(out, "%.*s ", (int)record.length, record.text);
        fprintf(out, "%s", ends[r]);
        fclose(out);
        return text;
}

static void test_sum(void **state) {
        uint8_t bytes[64] = {};

        /* RFC 3720, B.4 */
        assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
        memset(bytes, 0xff, 32);
        assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
        for (uint8_t i = 0; i < 32; i++)
                bytes[i] = i;
        assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
        for (size_t i = 0; i < 32; i++)
                assert_int_equal(crc32c(crc32c(0, bytes, i), bytes + i, 32 - i), 0x46dd794e);
}

static void test_records(void **state) {
        Fixture *fixture = *state;

        assert_int_equal(append(fixture->journal, "{\"a\":1}"), 0);
        assert_int_equal(journal_install(fixture->journal), 0);
        assert_text(payloads(fixture), "{\"a\":1} end");
        assert_int_equal(append(fixture->journal, "{}"), 0);
        assert_int_equal(append(fixture->journal, ""), 0);
        assert_text(payloads(fixture), "{\"a\":1} {}  end");
}

static void test_pieces(void **state) {
        Fixture *fixture = *state;

        assert_int_equal(journal_install(fixture->journal), 0);
        assert_int_equal(journal_begin(fixture->journal), 0);
        assert_int_equal(journal_write(fixture->journal, "on", 2), 0);
        assert_int_equal(journal_write(fixture->journal, "e", 1), 0);
        assert_text(payloads(fixture), "torn");
        assert_int_equal(journal_end(fixture->journal, "!", 1), 0);
        assert_text(payloads(fixture), "one! end");
}

static void test_cut(void **state) {
        Fixture *fixture = *state;

        assert_int_equal(journal_install(fixture->journal), 0);
        assert_int_equal(append(fixture->journal, "one"), 0);
        assert_int_equal(append(fixture->journal, "two"), 0);
        assert_int_equal(journal_cut(fixture->journal), 0);
        assert_text(payloads(fixture), "one end");
        assert_int_equal(journal_begin(fixture->journal), 0);
        assert_int_equal(journal_write(fixture->journal, "thr", 3), 0);
        assert_int_equal(journal_cut(fixture->journal), 0);
        assert_text(payloads(fixture), "one end");
        assert_int_equal(append(fixture->journal, "four"), 0);
        assert_text(payloads(fixture), "one four end");
}

/* In its place, with two records, of which the second is cut. */
static int cut_two(Fixture *fixture, FailDisk how) {
        int r;

        assert_int_equal(append(fixture->journal, "one"), 0);
        assert_int_equal(journal_install(fixture->journal), 0);
        assert_int_equal(append(fixture->journal, "two"), 0);
        fail_disk = how;
        r = journal_cut(fixture->journal);
        fail_disk = (FailDisk){};
        return r;
}

static void lose_power(const Fixture *fixture) {
        char path[64];

        snprintf(path, sizeof(path), "%s/journal", fixture->directory);
        fail_disk_lose_power(path);
}

/* What another process finds there then. */
static void test_cut_for_good(void **state) {
        Fixture *fixture = *state;

        assert_int_equal(cut_two(fixture, (FailDisk){.truncations = true}), 0);
        assert_text(payloads(fixture), "one torn");
        assert_int_equal(append(fixture->journal, "2"), 0);
        assert_text(payloads(fixture), "one 2 end");
}

static void test_cut_without_writing(void **state) {
        Fixture *fixture = *state;

        assert_int_equal(cut_two(fixture, (FailDisk){.writes = true}), 0);
        assert_text(payloads(fixture), "one end");
}

static void test_cut_before_power_fails(void **state) {
        Fixture *fixture = *state;

        fixture->journal->durable = true;
        assert_int_equal(cut_two(fixture, (FailDisk){}), 0);
        lose_power(fixture);
        assert_text(payloads(fixture), "one end");
}

static void test_cut_before_power_fails_truncation(void **state) {
        Fixture *fixture = *state;

        fixture->journal->durable = true;
        assert_int_equal(cut_two(fixture, (FailDisk){.truncations = true}), 0);
        lose_power(fixture);
        assert_text(payloads(fixture), "one torn");
}

/* Until another one takes its place, whatever the disk does by then. */
static void must_be_broken(Fixture *fixture) {
        Journal *successor;

        assert_int_equal(append(fixture->journal, "three"), -EIO);
        assert_int_equal(append(fixture->journal, "three"), -EIO);
        assert_int_equal(journal_new_successor(&successor, fixture->journal), 0);
        assert_int_equal(append(successor, "four"), 0);
        assert_int_equal(journal_install(successor), 0);
        journal_become(fixture->journal, successor);
        journal_free(successor);
        assert_int_equal(append(fixture->journal, "five"), 0);
        assert_text(payloads(fixture), "four five end");
}

static void test_broken(void **state) {
        Fixture *fixture = *state;

        assert_int_equal(cut_two(fixture, (FailDisk){.writes = true, .truncations = true}), -EIO);
        must_be_broken(fixture);
}

static void test_broken_unsynced(void **state) {
        Fixture *fixture = *state;

        fixture->journal->durable = true;
        assert_int_equal(cut_two(fixture, (FailDisk){.syncs = true}), -EIO);
        must_be_broken(fixture);
}

/* All of a record is written, but whether it is on the disk nobody knows. */
static void test_end_unsynced(void **state) {
        Fixture *fixture = *state;

        fixture->journal->durable = true;
        assert_int_equal(append(fixture->journal, "one"), 0);
        assert_int_equal(journal_install(fixture->journal), 0);
        fail_disk.syncs = true;
        assert_int_equal(append(fixture->journal, "two"), -EIO);
        fail_disk.syncs = false;
        assert_text(payloads(fixture), "one end");
        must_be_broken(fixture);
}

/* A record that was begun and forgotten leaves nothing that a shorter one would not cover. */
static void test_forgotten(void **state) {
        Fixture *fixture = *state;

        assert_int_equal(journal_install(fixture->journal), 0);
        assert_int_equal(journal_begin(fixture->journal), 0);
        assert_int_equal(journal_write(fixture->journal, "a long one, begun", 17), 0);
        assert_int_equal(append(fixture->journal, "2"), 0);
        assert_text(payloads(fixture), "2 end");
}

static void test_goes_on(void **state) {
        Fixture *fixture = *state;
        uint64_t end, sequence;

        assert_int_equal(append(fixture->journal, "one"), 0);
        end = fixture->journal->end;
        sequence = fixture->journal->sequence;
        assert_int_equal(append(fixture->journal, "two"), 0);
        assert_int_equal(journal_install(fixture->journal), 0);
        journal_free(fixture->journal);
        assert_int_equal(journal_open(&fixture->journal, fixture->directory, false, end, sequence),
                         0);
        assert_text(payloads(fixture), "one end");
        assert_int_equal(append(fixture->journal, "three"), 0);
        assert_text(payloads(fixture), "one three end");
}

static void test_sequence(void **state) {
        Fixture *fixture = *state;

        assert_int_equal(journal_install(fixture->journal), 0);
        assert_int_equal(append(fixture->journal, "one"), 0);
        fixture->journal->sequence++;
        assert_int_equal(append(fixture->journal, "three"), 0);
        assert_text(payloads(fixture), "one damaged");
}

/* The file may not grow any more: at each byte of a record. */
static void test_full(void **state) {
        Fixture *fixture = *state;
        struct rlimit before;
        uint64_t end;

        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(journal_install(fixture->journal), 0);
        assert_int_equal(append(fixture->journal, "one"), 0);
        end = fixture->journal->end;
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        for (uint64_t room = 0; room < JOURNAL_HEADER + 4; room++) {
                struct rlimit limit = {end + room, before.rlim_max};

                assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
                assert_int_equal(append(fixture->journal, "two"), -EFBIG);
                assert_int_equal(journal_begin(fixture->journal), 0);
                if (journal_write(fixture->journal, "tw", 2) == 0)
                        assert_int_equal(journal_end(fixture->journal, "o", 1), -EFBIG);
                assert_int_equal(journal_cut(fixture->journal), 0);
                assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
                assert_text(payloads(fixture), "one end");
        }
        assert_int_equal(append(fixture->journal, "two"), 0);
        assert_text(payloads(fixture), "one two end");
}

/* Nothing is taken for a record that is not one: each bit of each byte. */
static void test_flips(void **state) {
        Fixture *fixture = *state;
        _cleanup_(freep) char *bytes = NULL;
        JournalRecord record;
        size_t length, first;

        assert_int_equal(append(fixture->journal, "{\"one\":1}"), 0);
        first = fixture->journal->end;
        assert_int_equal(append(fixture->journal, "{\"two\":2}"), 0);
        assert_int_equal(journal_install(fixture->journal), 0);
        assert_int_equal(journal_read(fixture->directory, "journal", &bytes, &length), 0);
        for (size_t bit = 0; bit < length * 8; bit++) {
                JournalScan scan = {.bytes = bytes, .length = length};

                bytes[bit / 8] ^= (char)(1 << bit % 8);
                if (bit / 8 >= first)
                        assert_int_equal(journal_scan(&scan, &record, NULL), 0);
                assert_int_equal(journal_scan(&scan, &record, NULL),
                                 bit / 8 >= first ? JOURNAL_E_TORN : JOURNAL_E_DAMAGED);
                bytes[bit / 8] ^= (char)(1 << bit % 8);
        }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

UNIT_TESTS(cmocka_unit_test(test_sum), TEST(test_records), TEST(test_pieces), TEST(test_cut),
           TEST(test_cut_for_good), TEST(test_cut_without_writing),
           TEST(test_cut_before_power_fails), TEST(test_cut_before_power_fails_truncation),
           TEST(test_broken), TEST(test_broken_unsynced), TEST(test_end_unsynced),
           TEST(test_forgotten), TEST(test_goes_on), TEST(test_sequence), TEST(test_full),
           TEST(test_flips));
