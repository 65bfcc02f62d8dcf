/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <stdarg.h>

#include "api/errors.h"
#include "api/names.h"
#include "client/edit.h"
#include "client/json-print.h"
#include "client/progress.h"

int edit_path(Client *client, const char *vm, char **ret) {
        const char *transaction = client->options[OPTION_TRANSACTION];

        return transaction ? client_transaction_path(vm, transaction, ret)
                           : client_find_vm(client, vm, ret);
}

int edit_open(Client *client, const char *vm, const char *member, sd_bus_message **ret) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = edit_path(client, vm, &path);
        if (r < 0)
                return r;
        return client_request(client, ret, path, GUESTMAP_INTERFACE_MAP, member);
}

static int open_options(sd_bus_message *message) {
        int r;

        r = sd_bus_message_open_container(message, 'a', "{sv}");
        return r < 0 ? client_cannot_ask(r) : 0;
}

static int append_expected(sd_bus_message *message, uint64_t generation) {
        int r;

        r = sd_bus_message_append(message, "{sv}", "expect-generation", "t", generation);
        return r < 0 ? client_cannot_ask(r) : 0;
}

int edit_options(Client *client, sd_bus_message *message) {
        const char *expected = client->options[OPTION_EXPECT_GENERATION];
        uint64_t generation;
        int r;

        r = open_options(message);
        if (r < 0 || !expected)
                return r;
        r = client_number(expected, "generation", &generation);
        return r < 0 ? r : append_expected(message, generation);
}

/* Neither a generation nor a transaction is given: what the edit follows from is our business. */
static bool is_ours(const Client *client) {
        return !client_given(client, OPTION_EXPECT_GENERATION) &&
               !client_given(client, OPTION_TRANSACTION);
}

int edit_options_at(Client *client, sd_bus_message *message, uint64_t generation) {
        int r;

        if (!is_ours(client))
                return edit_options(client, message);
        r = open_options(message);
        return r < 0 ? r : append_expected(message, generation);
}

bool edit_was_overtaken(const Client *client, const sd_bus_error *error) {
        return is_ours(client) &&
               sd_bus_error_has_name(error, GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_CONFLICT);
}

static int append_flags(const Client *client, sd_bus_message *message) {
        static const struct {
                Option option;
                const char *name;
                int value;
        } flags[] = {
                {OPTION_DISABLED, "enabled", false},
                {OPTION_READONLY, "readonly", true},
                {OPTION_NONVOLATILE, "nonvolatile", true},
                {OPTION_UNMERGEABLE, "unmergeable", true},
                {OPTION_DIRTY_LOG, "dirty-log", true},
        };
        int r;

        for (size_t i = 0; i < ELEMENTS_OF(flags); i++) {
                if (!client_given(client, flags[i].option))
                        continue;
                r = sd_bus_message_append(message, "{sv}", flags[i].name, "b", flags[i].value);
                if (r < 0)
                        return client_cannot_ask(r);
        }
        return 0;
}

static int append_hugepage_size(const Client *client, sd_bus_message *message) {
        const char *name = option_info[OPTION_HUGEPAGE_SIZE].name;
        const char *given = client->options[OPTION_HUGEPAGE_SIZE];
        uint64_t size;
        int r;

        if (!given)
                return 0;
        r = client_size(given, name, &size);
        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "{sv}", name, "t", size);
        return r < 0 ? client_cannot_ask(r) : 0;
}

/* Memory of the caller's: the service opens nothing on his behalf. */
static int append_file(Client *client, sd_bus_message *message) {
        const char *path = client->options[OPTION_FILE];
        const char *given = client->options[OPTION_FILE_OFFSET];
        _cleanup_(closep) int fd = -1;
        uint64_t offset = 0;
        int r;

        if (!path)
                return given ? fail("option --file-offset needs option --file") : 0;
        r = given ? client_number(given, "file-offset", &offset) : 0;
        if (r == 0)
                r = client_need_fds(client, path);
        if (r < 0)
                return r;
        fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                return fail_errno(-errno, "cannot open %s", path);
        r = sd_bus_message_append(message, "{sv}{sv}", "fd", "h", fd, "fd-offset", "t", offset);
        return r < 0 ? client_cannot_ask(r) : 0;
}

/* How memory is made. */
static int append_memory(const Client *client, sd_bus_message *message) {
        const char *nodes = client->options[OPTION_NUMA_NODE];
        const char *policy = client->options[OPTION_NUMA_POLICY];
        int r;

        r = append_hugepage_size(client, message);
        if (r < 0)
                return r;
        if (nodes)
                r = sd_bus_message_append(message, "{sv}", "numa-nodes", "s", nodes);
        if (r >= 0 && policy)
                r = sd_bus_message_append(message, "{sv}", "numa-policy", "s", policy);
        if (r >= 0 && client_given(client, OPTION_PREALLOC))
                r = sd_bus_message_append(message, "{sv}", "prealloc", "b", true);
        if (r >= 0 && client_given(client, OPTION_DUMP))
                r = sd_bus_message_append(message, "{sv}", "dump", "b", true);
        return r < 0 ? client_cannot_ask(r) : 0;
}

int edit_region_options(Client *client, sd_bus_message *message) {
        int r;

        r = append_flags(client, message);
        if (r == 0)
                r = append_file(client, message);
        return r < 0 ? r : append_memory(client, message);
}

int edit_print_generation(const Client *client, sd_bus_message *reply, const Trapped *trapped) {
        _cleanup_(json_putp) json_object *object = NULL;
        uint64_t generation;
        int r;

        r = sd_bus_message_read(reply, "t", &generation);
        if (r < 0)
                return client_cannot_read(r);
        if (client->output.json == JSON_OFF)
                return 0;
        object = json_new_object();
        json_add_count(object, "generation", generation);
        if (trapped && trapped->bytes)
                json_add_hex(object, "bytes-trapped", trapped->bytes);
        json_print(&client->output, object);
        return 0;
}

int edit_close(Client *client, sd_bus_message *message) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(trapped_deinit) Trapped trapped = {};
        int r;

        r = sd_bus_message_close_container(message);
        if (r < 0)
                return client_cannot_ask(r);
        r = trapped_init(&trapped, client, sd_bus_message_get_path(message));
        if (r < 0)
                return r;
        r = progress_call(client, message, &reply);
        if (r < 0)
                return r;
        trapped_tell(&trapped, client);
        return edit_print_generation(client, reply, &trapped);
}

int edit_make(Client *client, const char *vm, const char *member, const char *types, ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        va_list arguments;
        int r;

        r = edit_open(client, vm, member, &message);
        if (r < 0)
                return r;
        va_start(arguments, types);
        r = sd_bus_message_appendv(message, types, arguments);
        va_end(arguments);
        if (r < 0)
                return client_cannot_ask(r);
        r = edit_options(client, message);
        if (r < 0)
                return r;
        return edit_close(client, message);
}

int edit_get_generation(Client *client, const char *vm, uint64_t *ret) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = client_find_vm(client, vm, &path);
        return r < 0 ? r
                     : client_property(client, path, GUESTMAP_INTERFACE_VM, "Generation", 't', ret);
}
