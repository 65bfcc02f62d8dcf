/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stddef.h>
#include <string.h>

#include "api/names.h"
#include "daemon/manager/creation-options-dbus.h"
#include "daemon/manager/error-dbus.h"
#include "daemon/manager/vm.h"

typedef struct OptionRow OptionRow;

struct OptionRow {
        const char *name;
        const char *type;
        size_t offset;
};

static const OptionRow option_table[] = {
        {"accelerator", "s", offsetof(CreationOptions, accelerator)},
        {"durable", "b", offsetof(CreationOptions, durable)},
        {"layout", "s", offsetof(CreationOptions, layout)},
        {"layout-fd", "h", offsetof(CreationOptions, layout_fd)},
        {"memory-space", "s", offsetof(CreationOptions, memory_space)},
        {"owner", "u", offsetof(CreationOptions, owner)},
};

static const OptionRow *find_option(const char *name) {
        for (size_t i = 0; i < ELEMENTS_OF(option_table); i++)
                if (strcmp(option_table[i].name, name) == 0)
                        return &option_table[i];
        return NULL;
}

static int read_option(CreationOptions *options, sd_bus_message *m, sd_bus_error *error) {
        const char *name, *type;
        const OptionRow *row;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        row = find_option(name);
        if (!row)
                return error_set(error, ERROR_INVALID_ARGS, "CreateVM has no option \"%s\"", name);
        r = sd_bus_message_peek_type(m, NULL, &type);
        if (r < 0)
                return r;
        if (strcmp(type, row->type) != 0)
                return error_set(error, ERROR_INVALID_ARGS,
                                 "option \"%s\" of CreateVM has type \"%s\", not \"%s\"", name,
                                 row->type, type);
        if (row->offset == offsetof(CreationOptions, owner))
                options->has_owner = true;
        return sd_bus_message_read(m, "v", row->type, (char *)options + row->offset);
}

static int check(const CreationOptions *options, sd_bus_error *error) {
        if (!vm_name_is_valid(options->name))
                return error_set(error, GUESTMAP_ERROR_INVALID_NAME,
                                 "VM \"%.*s\": a letter or digit and up to %d more, or of \"_.-\"",
                                 error_quotable(options->name), options->name, VM_NAME_MAX - 1);
        if (options->layout && strlen(options->layout) > GUESTMAP_DOCUMENT_MAX)
                return error_set(error, GUESTMAP_ERROR_TOO_LARGE,
                                 "VM \"%s\": the layout has %zu bytes, %u are allowed",
                                 options->name, strlen(options->layout), GUESTMAP_DOCUMENT_MAX);
        /* All-ones is no user; the kernel says by it that there is none. */
        if (options->has_owner && options->owner == UINT32_MAX)
                return error_set(error, ERROR_INVALID_ARGS, "VM \"%s\": no uid is %u",
                                 options->name, options->owner);
        return 0;
}

int creation_options_read(CreationOptions *ret, sd_bus_message *m, sd_bus_error *error) {
        CreationOptions options = {.layout_fd = -1};
        int r;

        r = sd_bus_message_read(m, "s", &options.name);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_option(&options, m, error);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        r = check(&options, error);
        if (r < 0)
                return r;
        *ret = options;
        return 0;
}

static int append_string(sd_bus_message *m, const char *name, const char *value) {
        return value ? sd_bus_message_append(m, "{sv}", name, "s", value) : 0;
}

static int append_limits(sd_bus_message *m, const Quotas *quotas) {
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "limits");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a{st}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{st}");
        for (Quota quota = QUOTA_FIRST_OF_PROCESS; r >= 0 && quota < QUOTA_COUNT; quota++)
                r = sd_bus_message_append(m, "{st}", quota_to_string(quota), quotas->limits[quota]);
        for (int depth = 0; r >= 0 && depth < 3; depth++)
                r = sd_bus_message_close_container(m);
        return r;
}

int creation_options_append(const CreationOptions *options, const Quotas *quotas,
                            sd_bus_message *m) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        r = append_string(m, "accelerator", options->accelerator);
        if (r >= 0)
                r = append_limits(m, quotas);
        if (r >= 0)
                r = append_string(m, "memory-space", options->memory_space);
        if (r >= 0)
                r = append_string(m, "layout", options->layout);
        if (r >= 0 && options->layout_fd >= 0)
                r = sd_bus_message_append(m, "{sv}", "layout-fd", "h", options->layout_fd);
        if (r >= 0 && options->durable)
                r = sd_bus_message_append(m, "{sv}", "durable", "b", true);
        return r < 0 ? r : sd_bus_message_close_container(m);
}
