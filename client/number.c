/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/names.h"
#include "client/number.h"
#include "lib/util/cleanup.h"

typedef struct Unit {
        const char *name;
        uint64_t factor;
} Unit;

/* Of two for the same the first is what is printed. */
static const Unit byte_units[] = {
        {"TiB", UINT64_C(1) << 40}, {"T", UINT64_C(1) << 40},   {"GiB", UINT64_C(1) << 30},
        {"G", UINT64_C(1) << 30},   {"MiB", UINT64_C(1) << 20}, {"M", UINT64_C(1) << 20},
        {"KiB", UINT64_C(1) << 10}, {"K", UINT64_C(1) << 10},   {"", 1},
};

static const Unit time_units[] = {
        {"ms", 1000},
        {"s", 1000000},
        {"min", UINT64_C(60) * 1000000},
        {"h", UINT64_C(3600) * 1000000},
        {"", 1000000},
};

/*
 * The digits that a word begins with; strtoull() alone takes blanks, signs, octal, a second 0x. A
 * leading zero is octal for some, and hexadecimal where addresses are printed in columns.
 */
static int parse_digits(const char *word, uint64_t *ret, const char **ret_rest) {
        bool hex = word[0] == '0' && (word[1] == 'x' || word[1] == 'X');
        const char *digits = hex ? word + 2 : word;
        const char *alphabet = hex ? "0123456789abcdefABCDEF" : "0123456789";
        size_t n = strspn(digits, alphabet);
        char *end;

        if (n == 0 || (!hex && n > 1 && digits[0] == '0'))
                return -EINVAL;
        errno = 0;
        *ret = strtoull(digits, &end, hex ? 16 : 10);
        if (end != digits + n)
                return -EINVAL;
        *ret_rest = end;
        return -errno;
}

static int parse_with_unit(const char *word, const Unit *units, size_t n_units, uint64_t *ret) {
        const char *rest;
        uint64_t value;
        int r;

        r = parse_digits(word, &value, &rest);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n_units; i++) {
                if (strcmp(rest, units[i].name) != 0)
                        continue;
                if (__builtin_mul_overflow(value, units[i].factor, ret))
                        return -ERANGE;
                return 0;
        }
        return -EINVAL;
}

int number_parse(const char *word, uint64_t *ret) {
        uint64_t value;
        int r;

        r = parse_with_unit(word, byte_units, ELEMENTS_OF(byte_units), &value);
        if (r < 0)
                return r;
        *ret = value;
        return 0;
}

int number_parse_size(const char *word, uint64_t *ret) {
        if (strcmp(word, "2^64") != 0)
                return number_parse(word, ret);
        *ret = GUESTMAP_SIZE_WHOLE;
        return 0;
}

int number_parse_u32(const char *word, uint32_t *ret) {
        uint64_t value;
        int r;

        r = number_parse(word, &value);
        if (r < 0)
                return r;
        if (value > UINT32_MAX)
                return -ERANGE;
        *ret = (uint32_t)value;
        return 0;
}

int number_parse_i32(const char *word, int32_t *ret) {
        bool negative = word[0] == '-';
        const char *rest;
        uint64_t value;
        int r;

        r = parse_digits(negative ? word + 1 : word, &value, &rest);
        if (r < 0)
                return r;
        if (*rest != '\0')
                return -EINVAL;
        if (value > (uint64_t)INT32_MAX + negative)
                return -ERANGE;
        *ret = (int32_t)(negative ? -(int64_t)value : (int64_t)value);
        return 0;
}

int number_parse_bool(const char *word, bool *ret) {
        static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};

        for (size_t i = 0; i < ELEMENTS_OF(words); i++) {
                if (strcasecmp(word, words[i]) != 0)
                        continue;
                *ret = i % 2 == 1;
                return 0;
        }
        return -EINVAL;
}

int number_parse_timeout(const char *word, uint64_t *ret) {
        uint64_t value;
        int r;

        r = parse_with_unit(word, time_units, ELEMENTS_OF(time_units), &value);
        if (r < 0)
                return r;
        *ret = value;
        return 0;
}

NumberText number_hex(uint64_t value) {
        NumberText number;

        snprintf(number.text, sizeof(number.text), "0x%" PRIx64, value);
        return number;
}

NumberText number_hex_size(uint64_t size) {
        return size == GUESTMAP_SIZE_WHOLE ? (NumberText){"2^64"} : number_hex(size);
}

NumberText number_size(uint64_t size) {
        const Unit *unit = byte_units;
        NumberText number;

        if (size == GUESTMAP_SIZE_WHOLE)
                return (NumberText){"2^64"};
        if (size == 0)
                return (NumberText){"0"};
        while (size % unit->factor != 0)
                unit++;
        snprintf(number.text, sizeof(number.text), "%" PRIu64 "%s", size / unit->factor,
                 unit->name);
        return number;
}

NumberText number_size_about(uint64_t size) {
        static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
        double value = size;
        NumberText number;
        size_t i = 0;

        if (size == GUESTMAP_SIZE_WHOLE)
                return (NumberText){"2^64"};
        for (; value >= 1023.5 && i + 1 < ELEMENTS_OF(units); i++)
                value /= 1024;
        snprintf(number.text, sizeof(number.text), "%.*g%s", value < 1000 ? 3 : 4, value, units[i]);
        return number;
}
