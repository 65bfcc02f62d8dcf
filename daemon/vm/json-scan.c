/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "api/names.h"
#include "daemon/vm/json-scan.h"
#include "daemon/vm/vm-error.h"
#include "lib/util/utf8.h"

typedef struct Key Key;
typedef struct Scan Scan;

/* A copy, which lives as long as its object is scanned: the text may be gone by then. */
struct Key {
        char text[JSON_KEY_MAX];
        size_t length;
};

struct Scan {
        const char *at;
        const char *end;
        const char *line;    /* where the last line counted begins */
        size_t n_lines;      /* that were counted */
        const char *counted; /* up to where */
        uint64_t depth, depth_max;
        JSONPieceFunction function;
        void *userdata;
        Detail *detail;
};

static int scan_value(Scan *scan, const JSONPath *path);

JSONPath json_path_member(const JSONPath *up, const char *key) {
        return (JSONPath){.up = up, .key = key, .key_length = strlen(key)};
}

JSONPath json_path_element(const JSONPath *up, size_t index) {
        return (JSONPath){.up = up, .index = index};
}

static size_t path_print(const JSONPath *path, char *buffer, size_t size) {
        size_t n = path->up ? path_print(path->up, buffer, size) : 0;

        if (n >= size)
                return n;
        if (!path->key)
                return n + (size_t)snprintf(buffer + n, size - n, "[%zu]", path->index);
        return n + (size_t)snprintf(buffer + n, size - n, "%s%.*s", path->up ? "." : "",
                                    (int)path->key_length, path->key);
}

int json_path_error(const JSONPath *path, int outcome, Detail *detail, const char *format, ...) {
        char where[GUESTMAP_JSON_DEPTH_MAX * (JSON_KEY_MAX + 1)] = "", what[512];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(what, sizeof(what), format, arguments);
        va_end(arguments);
        if (path)
                path_print(path, where, sizeof(where));
        return detail_set(detail, outcome, "%s%s%s", where, path ? ": " : "", what);
}

static void count_lines(Scan *scan) {
        const char *newline;

        while ((newline = memchr(scan->counted, '\n', (size_t)(scan->at - scan->counted)))) {
                scan->line = scan->counted = newline + 1;
                scan->n_lines++;
        }
        scan->counted = scan->at;
}

/* Something is wrong at scan->at. */
static int scan_error(Scan *scan, const JSONPath *path, const char *what) {
        count_lines(scan);
        return json_path_error(path, VM_E_INVALID_DOCUMENT, scan->detail, "%s (line %zu, byte %zu)",
                               what, scan->n_lines + 1, (size_t)(scan->at - scan->line) + 1);
}

static char peek(const Scan *scan) {
        return scan->at < scan->end ? *scan->at : '\0';
}

static void skip_blanks(Scan *scan) {
        while (scan->at < scan->end && memchr(" \t\r\n", *scan->at, 4))
                scan->at++;
}

/* Steps over one character that has to be there, and the blanks around it. */
static bool skip_mark(Scan *scan, char mark) {
        skip_blanks(scan);
        if (peek(scan) != mark)
                return false;
        scan->at++;
        skip_blanks(scan);
        return true;
}

static bool skip_digits(Scan *scan) {
        const char *first = scan->at;

        while (peek(scan) >= '0' && peek(scan) <= '9')
                scan->at++;
        return scan->at > first;
}

/* Whether a run of digits is a number up to `limit`. */
static bool digits_fit(const char *digits, const char *end, uint64_t limit) {
        uint64_t value = 0;

        for (; digits < end; digits++)
                if (__builtin_mul_overflow(value, 10u, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(*digits - '0'), &value))
                        return false;
        return value <= limit;
}

static int scan_number(Scan *scan, const JSONPath *path) {
        bool negative = peek(scan) == '-';
        const char *digits;

        if (negative)
                scan->at++;
        digits = scan->at;
        if (!skip_digits(scan))
                return scan_error(scan, path, "expected a digit");
        if (digits[0] == '0' && scan->at > digits + 1)
                return scan_error(scan, path, "a number does not begin with 0");
        if (peek(scan) == '.' || peek(scan) == 'e' || peek(scan) == 'E')
                return scan_error(scan, path, "must be an integer, without fraction or exponent");
        if (!digits_fit(digits, scan->at, negative ? (uint64_t)INT64_MAX + 1 : UINT64_MAX))
                return scan_error(scan, path, "the integer does not fit into 64 bits");
        return 0;
}

/* Four hexadecimal digits behind \u; -1 if they are not there. */
static int32_t scan_hex(Scan *scan) {
        int32_t value = 0;

        for (unsigned i = 0; i < 4; i++, scan->at++) {
                static const char alphabet[] = "0123456789abcdefABCDEF";
                const char *found = peek(scan) ? strchr(alphabet, peek(scan)) : NULL;
                int32_t digit;

                if (!found)
                        return -1;
                digit = (int32_t)(found - alphabet);
                value = value << 4 | (digit < 16 ? digit : digit - 6);
        }
        return value;
}

/* The rest of an escape, behind \u. */
static int scan_unicode_escape(Scan *scan, const JSONPath *path) {
        int32_t unit = scan_hex(scan);

        if (unit < 0)
                return scan_error(scan, path, "expected four hexadecimal digits");
        if (unit == 0)
                return scan_error(scan, path, "a NUL in a string");
        if ((unit & 0xf800) != 0xd800)
                return 0;
        if (unit >= 0xdc00 || scan->end - scan->at < 6 || memcmp(scan->at, "\\u", 2) != 0)
                return scan_error(scan, path, "half a surrogate pair");
        scan->at += 2;
        unit = scan_hex(scan);
        if ((unit & 0xfc00) != 0xdc00)
                return scan_error(scan, path, "half a surrogate pair");
        return 0;
}

static int scan_escape(Scan *scan, const JSONPath *path) {
        char escaped;

        scan->at++;
        escaped = peek(scan);
        if (!escaped || !strchr("\"\\/bfnrtu", escaped))
                return scan_error(scan, path, "unknown escape in a string");
        scan->at++;
        return escaped == 'u' ? scan_unicode_escape(scan, path) : 0;
}

static int scan_string(Scan *scan, const JSONPath *path) {
        int r;

        for (scan->at++; scan->at < scan->end && *scan->at != '"';) {
                size_t n = utf8_length(scan->at, (size_t)(scan->end - scan->at));

                if (n == 0)
                        return scan_error(scan, path, "not UTF-8");
                if ((unsigned char)*scan->at < 0x20)
                        return scan_error(scan, path, "a control character in a string");
                if (*scan->at != '\\') {
                        scan->at += n;
                        continue;
                }
                r = scan_escape(scan, path);
                if (r)
                        return r;
        }
        if (scan->at == scan->end)
                return scan_error(scan, path, "the string does not end");
        scan->at++;
        return 0;
}

static int scan_word(Scan *scan, const JSONPath *path) {
        static const char *const words[] = {"true", "false", "null"};

        for (size_t i = 0; i < ELEMENTS_OF(words); i++) {
                size_t length = strlen(words[i]);

                if ((size_t)(scan->end - scan->at) < length ||
                    memcmp(scan->at, words[i], length) != 0)
                        continue;
                scan->at += length;
                return 0;
        }
        return scan_error(scan, path, "expected a value");
}

/* A key and the colon behind it; not one of the n keys before it in the same object. */
static int scan_key(Scan *scan, const JSONPath *path, const Key *keys, size_t n, Key *ret) {
        const char *text = scan->at + 1;
        JSONPath member;
        int r;

        if (peek(scan) != '"')
                return scan_error(scan, path, "expected a key");
        r = scan_string(scan, path);
        if (r)
                return r;
        ret->length = (size_t)(scan->at - 1 - text);
        if (ret->length > JSON_KEY_MAX || memchr(text, '\\', ret->length))
                return scan_error(scan, path, "a key that is too long or has escapes");
        memcpy(ret->text, text, ret->length);
        member = (JSONPath){.up = path, .key = ret->text, .key_length = ret->length};
        for (size_t i = 0; i < n; i++)
                if (keys[i].length == ret->length && !memcmp(keys[i].text, text, ret->length))
                        return scan_error(scan, &member, "the key stands twice in one object");
        if (!skip_mark(scan, ':'))
                return scan_error(scan, &member, "expected a colon");
        return 0;
}

static int scan_object(Scan *scan, const JSONPath *path) {
        Key keys[JSON_KEYS_MAX];
        size_t n = 0;
        int r;

        scan->at++;
        skip_blanks(scan);
        if (skip_mark(scan, '}'))
                return 0;
        do {
                JSONPath member = {.up = path};

                if (n == JSON_KEYS_MAX)
                        return scan_error(scan, path, "more keys than any object has");
                r = scan_key(scan, path, keys, n, &keys[n]);
                if (r)
                        return r;
                member.key = keys[n].text;
                member.key_length = keys[n++].length;
                r = scan_value(scan, &member);
                if (r)
                        return r;
        } while (skip_mark(scan, ','));
        if (peek(scan) != '}')
                return scan_error(scan, path, "expected a comma or the object's end");
        scan->at++;
        return 0;
}

static int scan_array(Scan *scan, const JSONPath *path) {
        JSONPath element = {.up = path};
        int r;

        scan->at++;
        if (skip_mark(scan, ']'))
                return 0;
        do {
                skip_blanks(scan);
                r = scan_value(scan, &element);
                if (r)
                        return r;
                element.index++;
        } while (skip_mark(scan, ','));
        if (peek(scan) != ']')
                return scan_error(scan, path, "expected a comma or the array's end");
        scan->at++;
        return 0;
}

static int scan_nested(Scan *scan, const JSONPath *path) {
        int r;

        if (scan->depth >= scan->depth_max)
                return json_path_error(path, MAP_E_QUOTA_EXCEEDED, scan->detail,
                                       "nested deeper than %" PRIu64 " levels, the limit JSONDepth",
                                       scan->depth_max);
        scan->depth++;
        r = peek(scan) == '{' ? scan_object(scan, path) : scan_array(scan, path);
        scan->depth--;
        return r;
}

static int hand_out(Scan *scan, const JSONPath *path, const char *text, size_t length) {
        JSONPiece piece = {.path = path, .text = text, .length = length};

        count_lines(scan);
        return scan->function(&piece, scan->userdata, scan->detail);
}

static int scan_value(Scan *scan, const JSONPath *path) {
        const char *first = scan->at;
        bool is_member = path && !path->up;
        bool is_element = path && path->up && !path->up->up && !path->key;
        int r;

        if (is_member && peek(scan) == '[') {
                r = hand_out(scan, path, NULL, 0);
                if (r)
                        return r;
                is_member = false;
        }
        if (peek(scan) == '{' || peek(scan) == '[')
                r = scan_nested(scan, path);
        else if (peek(scan) == '"')
                r = scan_string(scan, path);
        else if (peek(scan) == '-' || (peek(scan) >= '0' && peek(scan) <= '9'))
                r = scan_number(scan, path);
        else
                r = scan_word(scan, path);
        if (r == 0 && (is_member || is_element))
                r = hand_out(scan, path, first, (size_t)(scan->at - first));
        return r;
}

int json_scan(const char *text, size_t length, uint64_t depth_max, JSONPieceFunction function,
              void *userdata, Detail *detail) {
        Scan scan = {
                .at = text,
                .line = text,
                .counted = text,
                .end = text + length,
                .depth_max = depth_max,
                .function = function,
                .userdata = userdata,
                .detail = detail,
        };
        int r;

        skip_blanks(&scan);
        if (peek(&scan) != '{')
                return scan_error(&scan, NULL, "a document is an object: expected {");
        r = scan_value(&scan, NULL);
        if (r)
                return r;
        skip_blanks(&scan);
        if (scan.at < scan.end)
                return scan_error(&scan, NULL, "text behind the document's end");
        return 0;
}
