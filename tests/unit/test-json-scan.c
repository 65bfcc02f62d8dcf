/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <string.h>

#include "api/names.h"
#include "daemon/vm/json-scan.h"
#include "daemon/vm/vm-error.h"
#include "tests/common/unit.h"

typedef struct Notes Notes;

/* What was handed out: "path=text" or "path=…" for an array that begins, a blank behind each. */
struct Notes {
        char text[1024];
        size_t length;
        int answer;
};

static int note(const JSONPiece *piece, void *userdata, Detail *detail) {
        Notes *notes = userdata;
        Detail path = {};

        json_path_error(piece->path, 0, &path, "=");
        notes->length += (size_t)snprintf(
                notes->text + notes->length, sizeof(notes->text) - notes->length, "%s%.*s ",
                path.text, piece->text ? (int)piece->length : 3, piece->text ? piece->text : "…");
        return notes->answer;
}

static int scan(const char *text, size_t length, Notes *notes, Detail *detail) {
        /* Not terminated, so that valgrind and ASan see reads beyond the end. */
        char *copy = malloc(length ? length : 1);
        int r;

        memcpy(copy, text, length);
        r = json_scan(copy, length, GUESTMAP_JSON_DEPTH_MAX, note, notes, detail);
        free(copy);
        return r;
}

static void assert_pieces(const char *text, const char *pieces) {
        Detail detail = {};
        Notes notes = {};

        if (scan(text, strlen(text), &notes, &detail) != 0)
                fail_msg("%s: %s", text, detail.text);
        assert_string_equal(notes.text, pieces);
}

static void assert_refused_bytes(const char *text, size_t length, int outcome, const char *why) {
        Detail detail = {};
        Notes notes = {};

        assert_int_equal(scan(text, length, &notes, &detail), outcome);
        assert_string_equal(detail.text, why);
}

static void assert_refused(const char *text, const char *why) {
        assert_refused_bytes(text, strlen(text), VM_E_INVALID_DOCUMENT, why);
}

static void test_pieces(void **state) {
        assert_pieces("{}", "");
        assert_pieces(" { } \n", "");
        assert_pieces("{\"a\":1}", "a: =1 ");
        assert_pieces("{\"a\" : -0 , \"b\" : \"x\\\"y\"}", "a: =-0 b: =\"x\\\"y\" ");
        assert_pieces("{\"a\":[]}", "a: =… ");
        assert_pieces("{\"a\":[1, {\"b\":[2,3]} ,[4]]}",
                      "a: =… a[0]: =1 a[1]: ={\"b\":[2,3]} a[2]: =[4] ");
        assert_pieces("{\"a\":{\"b\":[1]},\"c\":null}", "a: ={\"b\":[1]} c: =null ");
        assert_pieces("{\"a\":18446744073709551615,\"b\":-9223372036854775808}",
                      "a: =18446744073709551615 b: =-9223372036854775808 ");
        assert_pieces("{\"a\":\"\\ud83d\\ude00 \xf0\x9f\x98\x80\"}",
                      "a: =\"\\ud83d\\ude00 \xf0\x9f\x98\x80\" ");
}

static void test_syntax(void **state) {
        assert_refused("", "a document is an object: expected { (line 1, byte 1)");
        assert_refused("[]", "a document is an object: expected { (line 1, byte 1)");
        assert_refused("{", "expected a key (line 1, byte 2)");
        assert_refused("{} {}", "text behind the document's end (line 1, byte 4)");
        assert_refused("{\"a\":1,}", "expected a key (line 1, byte 8)");
        assert_refused("{\"a\"}", "a: expected a colon (line 1, byte 5)");
        assert_refused("{\"a\":\n\n  }", "a: expected a value (line 3, byte 3)");
        assert_refused("{\"a\":[1,]}", "a[1]: expected a value (line 1, byte 9)");
        assert_refused("{\"a\":[1}", "a: expected a comma or the array's end (line 1, byte 8)");
        assert_refused("{\"a\":1 \"b\":2}",
                       "expected a comma or the object's end (line 1, byte 8)");
        assert_refused("{\"a\":tru}", "a: expected a value (line 1, byte 6)");
        assert_refused("{\"a\":NaN}", "a: expected a value (line 1, byte 6)");
        assert_refused("{\"a\":'b'}", "a: expected a value (line 1, byte 6)");
        assert_refused("{\"a\":1/**/}", "expected a comma or the object's end (line 1, byte 7)");
}

static void test_keys(void **state) {
        char key[JSON_KEY_MAX + 8], text[8192] = "{";

        assert_refused("{\"a\":1,\"b\":2,\"a\":3}",
                       "a: the key stands twice in one object (line 1, byte 17)");
        assert_refused("{\"r\":[{},{\"x\":{\"size\":1,\"size\":1}}]}",
                       "r[1].x.size: the key stands twice in one object (line 1, byte 31)");
        assert_refused("{\"\\u0061\":1}",
                       "a key that is too long or has escapes (line 1, byte 10)");
        snprintf(key, sizeof(key), "{\"%0*d\":1}", JSON_KEY_MAX, 0);
        assert_pieces(key, "0000000000000000000000000000000000000000000000000000000000000000: =1 ");
        snprintf(key, sizeof(key), "{\"%0*d\":1}", JSON_KEY_MAX + 1, 0);
        assert_refused(key, "a key that is too long or has escapes (line 1, byte 69)");
        for (unsigned i = 0; i <= JSON_KEYS_MAX; i++)
                sprintf(text + strlen(text), "\"k%u\":0,", i);
        assert_refused(text, "more keys than any object has (line 1, byte 504)");
}

static void test_numbers(void **state) {
        assert_refused("{\"a\":[{\"b\":18446744073709551616}]}",
                       "a[0].b: the integer does not fit into 64 bits (line 1, byte 32)");
        assert_refused("{\"a\":-9223372036854775809}",
                       "a: the integer does not fit into 64 bits (line 1, byte 26)");
        assert_refused("{\"a\":99999999999999999999999999}",
                       "a: the integer does not fit into 64 bits (line 1, byte 32)");
        assert_refused("{\"a\":1.0}",
                       "a: must be an integer, without fraction or exponent (line 1, byte 7)");
        assert_refused("{\"a\":1e3}",
                       "a: must be an integer, without fraction or exponent (line 1, byte 7)");
        assert_refused("{\"a\":010}", "a: a number does not begin with 0 (line 1, byte 9)");
        assert_refused("{\"a\":-}", "a: expected a digit (line 1, byte 7)");
        assert_refused("{\"a\":+1}", "a: expected a value (line 1, byte 6)");
        assert_refused("{\"a\":0x10}", "expected a comma or the object's end (line 1, byte 7)");
}

static void test_strings(void **state) {
        assert_refused("{\"a\":\"b", "a: the string does not end (line 1, byte 8)");
        assert_refused("{\"a\":\"\\", "a: unknown escape in a string (line 1, byte 8)");
        assert_refused("{\"a\":\"\\x\"}", "a: unknown escape in a string (line 1, byte 8)");
        assert_refused("{\"a\":\"\t\"}", "a: a control character in a string (line 1, byte 7)");
        assert_refused("{\"a\":\"\\u00\"}",
                       "a: expected four hexadecimal digits (line 1, byte 11)");
        assert_refused("{\"a\":\"\\u0000\"}", "a: a NUL in a string (line 1, byte 13)");
        assert_refused("{\"a\":\"\\ud83d\"}", "a: half a surrogate pair (line 1, byte 13)");
        assert_refused("{\"a\":\"\\ude00\"}", "a: half a surrogate pair (line 1, byte 13)");
        assert_refused("{\"a\":\"\\ud83d\\u0041\"}", "a: half a surrogate pair (line 1, byte 19)");
        assert_refused("{\"a\":\"\xff\"}", "a: not UTF-8 (line 1, byte 7)");
        assert_refused("{\"a\":\"\xc0\xaf\"}", "a: not UTF-8 (line 1, byte 7)");
        assert_refused("{\"a\":\"\xed\xa0\x80\"}", "a: not UTF-8 (line 1, byte 7)");
        assert_refused("{\"a\":\"\xe2\x82", "a: not UTF-8 (line 1, byte 7)");
        assert_refused_bytes("{\"a\":\"\0\"}", 9, VM_E_INVALID_DOCUMENT,
                             "a: a control character in a string (line 1, byte 7)");
        assert_refused_bytes("{}\0", 3, VM_E_INVALID_DOCUMENT,
                             "text behind the document's end (line 1, byte 3)");
}

static void test_depth(void **state) {
        char text[256] = "{\"a\":";

        for (unsigned i = 1; i < GUESTMAP_JSON_DEPTH_MAX; i++)
                strcat(text, "[");
        for (unsigned i = 1; i < GUESTMAP_JSON_DEPTH_MAX; i++)
                strcat(text, "]");
        strcat(text, "}");
        assert_pieces(text, "a: =… a[0]: =[[[[[[[[[[[[[[]]]]]]]]]]]]]] ");
        memmove(text + 6, text + 5, strlen(text + 5) + 1);
        assert_refused_bytes(text, strlen(text), MAP_E_QUOTA_EXCEEDED,
                             "a[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: "
                             "nested deeper than 16 levels, the limit JSONDepth");
}

/* Every text that is cut short is refused, and nothing behind its end is read. */
static void test_cut_short(void **state) {
        const char *text = "{\"a\":[1,-2,\"\\u0041\\n\xc3\xa9\",{\"b\":true}],\"c\":{}}";

        for (size_t length = 0; length < strlen(text); length++) {
                Detail detail = {};
                Notes notes = {};

                assert_int_equal(scan(text, length, &notes, &detail), VM_E_INVALID_DOCUMENT);
        }
}

static void test_answer_ends_the_scan(void **state) {
        Notes notes = {.answer = -5};
        Detail detail = {};

        assert_int_equal(scan("{\"a\":1,\"b\":2}", 13, &notes, &detail), -5);
        assert_string_equal(notes.text, "a: =1 ");
}

UNIT_TESTS(cmocka_unit_test(test_pieces), cmocka_unit_test(test_syntax),
           cmocka_unit_test(test_keys), cmocka_unit_test(test_numbers),
           cmocka_unit_test(test_strings), cmocka_unit_test(test_depth),
           cmocka_unit_test(test_cut_short), cmocka_unit_test(test_answer_ends_the_scan));
