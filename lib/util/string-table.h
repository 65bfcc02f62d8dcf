/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Enums and their words
 *
 * STRING_TABLE(kind, Kind, table) defines kind_to_string() and kind_from_string() over a table of
 * strings indexed by the enum. to_string gives NULL for a value without a word; from_string gives
 * -EINVAL for a word without a value.
 *
 * Source: this project.
 */

#include <errno.h>
#include <string.h>

#include "lib/util/cleanup.h"

static inline int string_table_find(const char *const *table, size_t n, const char *word) {
        for (size_t i = 0; i < n; i++)
                if (table[i] && strcmp(table[i], word) == 0)
                        return (int)i;
        return -EINVAL;
}

#define STRING_TABLE(prefix, type, table)                                                          \
        const char *prefix##_to_string(type value) {                                               \
                return (size_t)value < ELEMENTS_OF(table) ? table[value] : NULL;                   \
        }                                                                                          \
        int prefix##_from_string(const char *word) {                                               \
                return string_table_find(table, ELEMENTS_OF(table), word);                         \
        }                                                                                          \
        struct string_table_semicolon_
