/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "daemon/vm/document-number.h"
#include "lib/util/cleanup.h"
#include "lib/util/range.h"

static int parse_digits(const char **text, uint64_t *ret) {
        bool hex = (*text)[0] == '0' && (*text)[1] == 'x';
        const char *digits = hex ? *text + 2 : *text;
        size_t n = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");
        char *end;

        if (n == 0 || (!hex && n > 1 && digits[0] == '0'))
                return -EINVAL;
        errno = 0;
        *ret = strtoull(digits, &end, hex ? 16 : 10);
        /* strtoull() would take a second 0x. */
        if (end != digits + n)
                return -EINVAL;
        *text = end;
        return -errno;
}

int document_number_parse(const char *text, uint64_t *ret) {
        static const struct {
                const char *name;
                unsigned shift;
        } units[] = {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
        uint64_t value;
        int r;

        r = parse_digits(&text, &value);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTS_OF(units); i++) {
                if (strcmp(text, units[i].name) != 0)
                        continue;
                if (value > UINT64_MAX >> units[i].shift)
                        return -ERANGE;
                *ret = value << units[i].shift;
                return 0;
        }
        return -EINVAL;
}

int document_number(json_object *value, uint64_t *ret) {
        switch (json_object_get_type(value)) {
        case json_type_int:
                if (json_object_get_int64(value) < 0)
                        return -ERANGE;
                *ret = json_object_get_uint64(value);
                return 0;
        case json_type_string:
                return document_number_parse(json_object_get_string(value), ret);
        default:
                return -EINVAL;
        }
}

int document_size(json_object *value, uint64_t *ret) {
        if (!json_object_is_type(value, json_type_string) ||
            strcmp(json_object_get_string(value), "2^64") != 0)
                return document_number(value, ret);
        *ret = SIZE_WHOLE;
        return 0;
}

int document_priority(json_object *value, int32_t *ret) {
        bool is_text = json_object_is_type(value, json_type_string);
        const char *text = is_text ? json_object_get_string(value) : "";
        bool negative = text[0] == '-';
        uint64_t number;
        int64_t priority;
        int r;

        if (json_object_is_type(value, json_type_int)) {
                priority = json_object_get_int64(value); /* saturates: still out of range below */
        } else {
                r = document_number_parse(text + negative, &number);
                if (r < 0)
                        return r;
                if (number > (uint64_t)INT32_MAX + 1)
                        return -ERANGE;
                priority = negative ? -(int64_t)number : (int64_t)number;
        }
        if (priority < INT32_MIN || priority > INT32_MAX)
                return -ERANGE;
        *ret = (int32_t)priority;
        return 0;
}
