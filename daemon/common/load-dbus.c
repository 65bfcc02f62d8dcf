/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "daemon/common/load-dbus.h"

static int measure(Load *load, sd_bus_message *m);

bool is_array_of_numbers(char type, const char *contents) {
        return type == 'a' && contents[1] == '\0' && strchr("ynqiuxtd", contents[0]);
}

static int measure_container(Load *load, sd_bus_message *m, char type, const char *contents) {
        int r;

        load->bytes += sizeof(uint64_t);
        r = sd_bus_message_enter_container(m, type, contents);
        if (r < 0)
                return r;
        r = measure(load, m);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int measure_basic(Load *load, sd_bus_message *m, char type) {
        union {
                uint64_t number;
                const char *text;
        } value;
        int r;

        r = sd_bus_message_read_basic(m, type, &value);
        if (r < 0)
                return r;
        load->bytes += sizeof(value);
        load->descriptors += type == SD_BUS_TYPE_UNIX_FD;
        if (strchr("sog", type))
                load->bytes += strlen(value.text);
        return 0;
}

static int measure_numbers(Load *load, sd_bus_message *m, char type) {
        const void *numbers;
        size_t size;
        int r;

        r = sd_bus_message_read_array(m, type, &numbers, &size);
        load->bytes += r < 0 ? 0 : size;
        return r;
}

static int measure(Load *load, sd_bus_message *m) {
        const char *contents;
        char type;
        int r;

        while ((r = sd_bus_message_peek_type(m, &type, &contents)) > 0) {
                r = !contents ? measure_basic(load, m, type)
                    : is_array_of_numbers(type, contents)
                            ? measure_numbers(load, m, contents[0])
                            : measure_container(load, m, type, contents);
                if (r < 0)
                        return r;
        }
        return r;
}

int load_measure(Load *ret, sd_bus_message *m) {
        Load load = {.bytes = strlen(sd_bus_message_get_path(m))};
        int r;

        r = measure(&load, m);
        if (r < 0)
                return r;
        r = sd_bus_message_rewind(m, 1);
        if (r < 0)
                return r;
        *ret = load;
        return 0;
}
