/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Writing JSON: values, texts with a limit, files in pieces, what fails
 */

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/vm/json-write.h"
#include "tests/common/apply.h"
#include "tests/common/unit.h"
#include "tests/unit/fail-allocation.h"

static void write_values(JSONWriter *writer, const void *unused) {
        json_open(writer, '[');
        json_string(writer, "\x01\"\\/\x7f\xc3\xa9\x1f");
        json_number(writer, 0);
        json_number(writer, UINT64_MAX);
        json_signed(writer, INT64_MIN);
        json_signed(writer, -1);
        json_signed(writer, INT64_MAX);
        json_boolean(writer, true);
        json_boolean(writer, false);
        json_line(writer, 3);
        json_hex(writer, 0);
        json_hex(writer, 0x10);
        json_hex(writer, 0xfff);
        json_hex(writer, UINT64_MAX);
        json_size(writer, 0x1000);
        json_size(writer, UINT64_MAX);
        json_open(writer, '{');
        json_key_string(writer, "a\"b");
        json_open(writer, '[');
        json_close(writer, ']');
        json_key(writer, "c");
        json_number(writer, 12345);
        json_close(writer, '}');
        json_close(writer, ']');
}

static void test_values(void **state) {
        assert_text(report_text(write_values, NULL),
                    "[\"\\u0001\\\"\\\\/\x7f\xc3\xa9\\u001f\",0,18446744073709551615,"
                    "-9223372036854775808,-1,9223372036854775807,true,false,\n"
                    "   \"0x0\",\"0x10\",\"0xfff\",\"0xffffffffffffffff\",\"0x1000\",\"2^64\","
                    "{\"a\\\"b\":[],\"c\":12345}]\n");
}

/* Some hundred kilobytes: several pieces, not all of one length. */
static void write_much(JSONWriter *writer, const void *unused) {
        json_open(writer, '[');
        for (unsigned i = 0; i < 50000; i++) {
                json_line(writer, i % 7);
                json_number(writer, i);
        }
        json_close(writer, ']');
}

static char *read_all(int fd) {
        size_t size = (size_t)lseek(fd, 0, SEEK_END);
        char *text = malloc(size + 1);

        assert_non_null(text);
        assert_int_equal(pread(fd, text, size, 0), size);
        text[size] = '\0';
        return text;
}

static void test_file(void **state) {
        int fd = memfd_create("test", MFD_CLOEXEC);
        char *expected = report_text(write_much, NULL);
        JSONWriter writer;

        json_writer_init_file(&writer, fd, NULL);
        write_much(&writer, NULL);
        assert_true(writer.allocated < strlen(expected) / 2);
        assert_int_equal(json_writer_finish(&writer), 0);
        json_writer_deinit(&writer);
        assert_text(read_all(fd), expected);
        free(expected);
        close(fd);
}

/* A string that is longer than a piece. */
static void write_long(JSONWriter *writer, const char *string) {
        json_open(writer, '[');
        json_string(writer, string);
        json_string(writer, string);
        json_close(writer, ']');
}

static void test_long_string(void **state) {
        int fd = memfd_create("test", MFD_CLOEXEC);
        size_t size = 300000;
        char *string = malloc(size + 1), *expected;
        JSONWriter writer;

        memset(string, '"', size);
        string[size] = '\0';
        json_writer_init_file(&writer, fd, NULL);
        write_long(&writer, string);
        assert_int_equal(json_writer_finish(&writer), 0);
        json_writer_deinit(&writer);
        expected = report_text(write_long, string);
        assert_int_equal(strlen(expected), 4 * size + 8);
        assert_text(read_all(fd), expected);
        free(expected);
        free(string);
        close(fd);
}

static void test_length_limit(void **state) {
        char *expected = report_text(write_much, NULL), *text = NULL;
        size_t length = strlen(expected);
        JSONWriter writer;

        json_writer_init(&writer, length);
        write_much(&writer, NULL);
        assert_int_equal(json_writer_take(&writer, &text), 0);
        json_writer_deinit(&writer);
        assert_text(text, expected);
        free(expected);

        for (size_t shorter = 1; shorter < length; shorter *= 3) {
                json_writer_init(&writer, length - shorter);
                write_much(&writer, NULL);
                assert_int_equal(json_writer_take(&writer, &text), -E2BIG);
                json_writer_deinit(&writer);
        }
}

static void test_cancelled(void **state) {
        int fd = memfd_create("test", MFD_CLOEXEC);
        Cancel cancel = {};
        JSONWriter writer;

        json_writer_init_file(&writer, fd, &cancel);
        write_values(&writer, NULL);
        cancel_request(&cancel);
        write_much(&writer, NULL);
        assert_int_equal(writer.error, -ECANCELED);
        assert_int_equal(json_writer_finish(&writer), -ECANCELED);
        json_writer_deinit(&writer);
        close(fd);
}

/* What fails first is told, and nothing is written from there on. */
static void test_failures(void **state) {
        int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
        JSONWriter writer;
        char *text = NULL;

        assert_true(fd >= 0);
        json_writer_init_file(&writer, fd, NULL);
        write_much(&writer, NULL);
        json_fail(&writer, -EIO);
        assert_int_equal(json_writer_finish(&writer), -ENOSPC);
        json_writer_deinit(&writer);
        close(fd);

        for (unsigned n = 1;; n++) {
                json_writer_init(&writer, SIZE_MAX);
                fail_allocation_at(n);
                write_much(&writer, NULL);
                if (!fail_allocation_done())
                        break;
                assert_int_equal(json_writer_take(&writer, &text), -ENOMEM);
                json_writer_deinit(&writer);
        }
        assert_int_equal(json_writer_take(&writer, &text), 0);
        json_writer_deinit(&writer);
        free(text);
}

UNIT_TESTS(cmocka_unit_test(test_values), cmocka_unit_test(test_file),
           cmocka_unit_test(test_long_string), cmocka_unit_test(test_length_limit),
           cmocka_unit_test(test_cancelled), cmocka_unit_test(test_failures));
