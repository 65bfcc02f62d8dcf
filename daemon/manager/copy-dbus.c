/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdbool.h>
#include <string.h>

#include "daemon/common/load-dbus.h"
#include "daemon/manager/copy-dbus.h"

/* More fields than any row has that comes this way. */
enum { FIELDS_MAX = 16 };

/* Whether an array's contents are a struct of basic values, descriptors aside; its fields. */
static bool is_row(const char *contents, char fields[static FIELDS_MAX]) {
        size_t n = strlen(contents);

        if (n < 3 || n - 2 >= FIELDS_MAX || contents[0] != '(' ||
            strspn(contents + 1, "ybnqiuxtdsog") != n - 2)
                return false;
        memcpy(fields, contents + 1, n - 2);
        fields[n - 2] = '\0';
        return true;
}

static int copy_basic(sd_bus_message *to, sd_bus_message *from, char type) {
        union {
                uint64_t number;
                const char *text;
        } value;
        int r;

        r = sd_bus_message_read_basic(from, type, &value);
        if (r < 0)
                return r;
        if (strchr("sog", type))
                return sd_bus_message_append_basic(to, type, value.text);
        return sd_bus_message_append_basic(to, type, &value);
}

/* 0 at the end of the array. */
static int copy_row(sd_bus_message *to, sd_bus_message *from, const char *fields) {
        int r;

        r = sd_bus_message_enter_container(from, 'r', fields);
        if (r <= 0)
                return r;
        r = sd_bus_message_open_container(to, 'r', fields);
        for (const char *field = fields; r >= 0 && *field; field++)
                r = copy_basic(to, from, *field);
        if (r >= 0)
                r = sd_bus_message_close_container(to);
        if (r >= 0)
                r = sd_bus_message_exit_container(from);
        return r < 0 ? r : 1;
}

static int copy_rows(sd_bus_message *to, sd_bus_message *from, const char *contents,
                     const char *fields) {
        int r;

        r = sd_bus_message_open_container(to, 'a', contents);
        if (r >= 0)
                r = sd_bus_message_enter_container(from, 'a', contents);
        if (r < 0)
                return r;
        do
                r = copy_row(to, from, fields);
        while (r > 0);
        if (r >= 0)
                r = sd_bus_message_exit_container(from);
        return r < 0 ? r : sd_bus_message_close_container(to);
}

static int copy_numbers(sd_bus_message *to, sd_bus_message *from, char type) {
        const void *numbers;
        size_t size;
        int r;

        r = sd_bus_message_read_array(from, type, &numbers, &size);
        return r < 0 ? r : sd_bus_message_append_array(to, type, numbers, size);
}

int message_copy(sd_bus_message *to, sd_bus_message *from) {
        char fields[FIELDS_MAX], type;
        const char *contents;
        int r;

        while ((r = sd_bus_message_peek_type(from, &type, &contents)) > 0) {
                if (type == 'a' && is_row(contents, fields))
                        r = copy_rows(to, from, contents, fields);
                else if (is_array_of_numbers(type, contents))
                        r = copy_numbers(to, from, contents[0]);
                else
                        r = sd_bus_message_copy(to, from, 0);
                if (r < 0)
                        return r;
        }
        return r;
}
