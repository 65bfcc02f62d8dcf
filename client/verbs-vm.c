/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Verbs about VMs as such
 */

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "api/errors.h"
#include "api/names.h"
#include "client/client.h"
#include "client/json-print.h"
#include "client/layout.h"
#include "client/progress.h"
#include "client/verb.h"
#include "client/vm-list.h"

static int read_vms(sd_bus_message *reply, Table *table, json_object *list) {
        VMRow row;
        int r;

        r = vm_list_enter(reply);
        while (r >= 0 && (r = vm_list_next(reply, &row)) > 0) {
                json_object *vm = json_new_object();

                table_cell(table, "%s", row.name);
                table_cell(table, "%s", row.state);
                table_cell(table, "%" PRIu64, row.generation);

                json_add_text(vm, "name", row.name);
                json_add_text(vm, "path", row.path);
                json_add_count(vm, "generation", row.generation);
                json_add_text(vm, "state", row.state);
                json_append(list, vm);
        }
        return r;
}

int verb_list(Client *client, char **arguments) {
        static const Column columns[] = {{"NAME"}, {"STATE"}, {"GENERATION", true}};
        _cleanup_(table_freep) Table *table = table_new(columns, ELEMENTS_OF(columns));
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(json_putp) json_object *object = json_new_object();
        json_object *list = json_new_array();
        int r;

        json_add(object, "vms", list);
        r = client_method(client, &reply, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "ListVMs",
                          NULL);
        if (r < 0)
                return r;
        r = read_vms(reply, table, list);
        if (r < 0)
                return r;
        output_print(&client->output, table, object);
        if (client->output.json == JSON_OFF && client->output.legend)
                printf("\n%zu VM%s.\n", json_object_array_length(list),
                       PLURAL(json_object_array_length(list)));
        return 0;
}

static int append_text_option(const Client *client, sd_bus_message *message, Option option) {
        const char *given = client->options[option];
        int r;

        if (!given)
                return 0;
        r = sd_bus_message_append(message, "{sv}", option_info[option].name, "s", given);
        return r < 0 ? client_cannot_ask(r) : 0;
}

static int read_layout(Client *client, ClientDocument *ret) {
        const char *path = client->options[OPTION_LAYOUT];
        int r;

        if (!path)
                return 0;
        r = client_document_read(ret, path);
        if (r < 0 || ret->text)
                return r;
        return client_need_fds(client, "a layout of more than 8 MiB");
}

static int append_layout(sd_bus_message *message, const ClientDocument *layout) {
        int r = 0;

        if (layout->text)
                r = sd_bus_message_append(message, "{sv}", "layout", "s", layout->text);
        else if (layout->fd >= 0)
                r = sd_bus_message_append(message, "{sv}", "layout-fd", "h", layout->fd);
        return r < 0 ? client_cannot_ask(r) : 0;
}

static int append_create_options(const Client *client, sd_bus_message *message,
                                 const ClientDocument *layout) {
        int r;

        r = sd_bus_message_open_container(message, 'a', "{sv}");
        if (r < 0)
                return client_cannot_ask(r);
        r = append_text_option(client, message, OPTION_ACCELERATOR);
        if (r < 0)
                return r;
        r = append_text_option(client, message, OPTION_MEMORY_SPACE);
        if (r < 0)
                return r;
        if (client_given(client, OPTION_DURABLE)) {
                r = sd_bus_message_append(message, "{sv}", "durable", "b", true);
                if (r < 0)
                        return client_cannot_ask(r);
        }
        r = append_layout(message, layout);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(message);
        return r < 0 ? client_cannot_ask(r) : 0;
}

static int print_path(const Client *client, const char *path) {
        _cleanup_(json_putp) json_object *object = json_new_object();

        if (client->output.json == JSON_OFF)
                return 0;
        json_add_text(object, "path", path);
        json_print(&client->output, object);
        return 0;
}

static int create(Client *client, const char *name, const ClientDocument *layout, char **ret_path) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL, *reply = NULL;
        const char *path;
        int r;

        r = client_request(client, &request, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM");
        if (r < 0)
                return r;
        r = sd_bus_message_append(request, "s", name);
        if (r < 0)
                return client_cannot_ask(r);
        r = append_create_options(client, request, layout);
        if (r < 0)
                return r;
        r = client_call(client, request, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return client_cannot_read(r);
        *ret_path = must(strdup(path));
        return 0;
}

static int apply(Client *client, const char *path, const ClientDocument *layout) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL, *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = client_request(client, &request, path, GUESTMAP_INTERFACE_MAP,
                           layout->text ? "Apply" : "ApplyFD");
        if (r < 0)
                return r;
        r = layout->text ? sd_bus_message_append(request, "sa{sv}", layout->text, 0)
                         : sd_bus_message_append(request, "ha{sv}", layout->fd, 0);
        if (r < 0)
                return client_cannot_ask(r);
        r = progress_try(client, request, &error, &reply);
        return r < 0 && r != -EINTR ? client_print_error(client, &error, r) : r;
}

/* Somebody else may have destroyed it: then it has been said. */
static void undo_create(Client *client, const char *name) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL, *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = client_request(client, &request, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER,
                           "DestroyVM");
        if (r >= 0)
                r = sd_bus_message_append(request, "sa{sv}", name, 0);
        if (r >= 0)
                r = client_try(client, request, &error, &reply);
        if (r < 0 &&
            !sd_bus_error_has_names(&error, GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_NO_SUCH_VM,
                                    GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_VM_GONE))
                client_print_error(client, &error, r);
}

/*
 * For who looks on: CreateVM would have no VM that could tell how far its memory has come. A signal
 * comes when there is nothing left that it would leave behind.
 */
static int create_and_prepare(Client *client, const char *name, const ClientDocument *layout,
                              char **ret_path) {
        sigset_t ending, before;
        int r;

        sigemptyset(&ending);
        sigaddset(&ending, SIGINT);
        sigaddset(&ending, SIGTERM);
        sigprocmask(SIG_BLOCK, &ending, &before);
        r = create(client, name, &(ClientDocument){.fd = -1}, ret_path);
        if (r >= 0) {
                r = apply(client, *ret_path, layout);
                if (r < 0)
                        undo_create(client, name);
        }
        sigprocmask(SIG_SETMASK, &before, NULL);
        return r;
}

int verb_create(Client *client, char **arguments) {
        _cleanup_(client_document_deinit) ClientDocument layout = {.fd = -1};
        _cleanup_(freep) char *path = NULL;
        int r;

        r = read_layout(client, &layout);
        if (r < 0)
                return r;
        r = isatty(STDERR_FILENO) && client_document_mentions(&layout, "prealloc")
                    ? create_and_prepare(client, arguments[0], &layout, &path)
                    : create(client, arguments[0], &layout, &path);
        return r < 0 ? r : print_path(client, path);
}

int verb_destroy(Client *client, char **arguments) {
        int r = client_method(client, NULL, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM",
                              "sa{sv}", arguments[0], 0);

        return json_print_done(&client->output, r);
}
