/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdbool.h>
#include <string.h>

#include "daemon/vm/options-dbus.h"
#include "daemon/vm/vm-error.h"

static int option_read_bool(sd_bus_message *m, const Option *option) {
        int r, value;

        r = sd_bus_message_read_basic(m, 'b', &value);
        if (r < 0)
                return r;
        if (option->bit == 0) {
                *(bool *)option->value = value;
                return r;
        }
        if (value)
                *(uint32_t *)option->value |= option->bit;
        else
                *(uint32_t *)option->value &= ~option->bit;
        return r;
}

static int named_fds_read_entry(sd_bus_message *m, NamedFDs *fds, Detail *detail) {
        NamedFD named;
        int r;

        r = sd_bus_message_read(m, "sh", &named.name, &named.fd);
        if (r < 0)
                return r;
        if (named_fds_find(fds, named.name) >= 0)
                return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                  "region \"%.128s\" is given two descriptors", named.name);
        r = array_reserve(&fds->items, &fds->allocated, fds->n, 1);
        if (r == 0)
                fds->items[fds->n++] = named;
        return r;
}

static int named_fds_read(sd_bus_message *m, NamedFDs *fds, Detail *detail) {
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sh}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sh")) > 0) {
                r = named_fds_read_entry(m, fds, detail);
                if (r != 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(m);
        return r < 0 ? r : 0;
}

static int limits_read(sd_bus_message *m, VMLimits *limits, Detail *detail) {
        const char *name;
        uint64_t value;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{st}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "{st}", &name, &value)) > 0)
                if (vm_limits_set(limits, name, value) < 0)
                        return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                          "no limit is called \"%.128s\"", name);
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(m);
        return r < 0 ? r : 0;
}

static const char *type_of(const Option *option, char basic[static 2]) {
        if (option->type == OPTION_NAMED_FDS)
                return "a{sh}";
        if (option->type == OPTION_LIMITS)
                return "a{st}";
        basic[0] = option->type;
        basic[1] = '\0';
        return basic;
}

static int option_read_value(sd_bus_message *m, const Option *option, Detail *detail) {
        int r;

        if (option->type == OPTION_NAMED_FDS)
                return named_fds_read(m, option->value, detail);
        if (option->type == OPTION_LIMITS)
                return limits_read(m, option->value, detail);
        r = option->type == 'b' ? option_read_bool(m, option)
                                : sd_bus_message_read_basic(m, option->type, option->value);
        return r < 0 ? r : 0;
}

static int option_read(sd_bus_message *m, const Option *option, Detail *detail) {
        char basic[2];
        const char *type = type_of(option, basic), *contents;
        int r;

        r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;
        if (strcmp(contents, type) != 0)
                return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                  "option \"%s\" is of type %.32s, not %s", option->name, contents,
                                  type);
        r = sd_bus_message_enter_container(m, 'v', type);
        if (r < 0)
                return r;
        r = option_read_value(m, option, detail);
        if (r != 0)
                return r;
        if (option->given)
                *option->given |= option->given_bit;
        r = sd_bus_message_exit_container(m);
        return r < 0 ? r : 0;
}

static int option_find(const Option *options, size_t n_options, const char *name, size_t *ret,
                       Detail *detail) {
        for (size_t i = 0; i < n_options; i++)
                if (strcmp(options[i].name, name) == 0) {
                        *ret = i;
                        return 0;
                }
        return detail_set(detail, VM_E_INVALID_ARGUMENTS, "unknown option \"%.128s\"", name);
}

static int option_read_entry(sd_bus_message *m, const Option *options, size_t n_options,
                             uint32_t *seen, Detail *detail) {
        const char *name;
        size_t i = 0;
        int r;

        r = sd_bus_message_read_basic(m, 's', &name);
        if (r < 0)
                return r;
        r = option_find(options, n_options, name, &i, detail);
        if (r != 0)
                return r;
        if (*seen & (UINT32_C(1) << i))
                return detail_set(detail, VM_E_INVALID_ARGUMENTS, "option \"%s\" is given twice",
                                  name);
        *seen |= UINT32_C(1) << i;
        return option_read(m, &options[i], detail);
}

int options_read(sd_bus_message *m, const Option *options, size_t n_options, Detail *detail) {
        uint32_t seen = 0;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = option_read_entry(m, options, n_options, &seen, detail);
                if (r != 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(m);
        return r < 0 ? r : 0;
}

int options_read_none(sd_bus_message *m, Detail *detail) {
        return options_read(m, NULL, 0, detail);
}
