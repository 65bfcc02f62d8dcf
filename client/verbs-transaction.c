/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Transactions from a shell: begin prints an id, edits take it as --transaction=, commit and abort
 * end it. Every run of this program is a connection of its own, so the transaction must outlive
 * its caller: begin always asks for a timeout.
 */

#include <inttypes.h>
#include <string.h>

#include "api/names.h"
#include "client/edit.h"
#include "client/json-print.h"
#include "client/report.h"
#include "client/list.h"
#include "client/verb.h"

#define TIMEOUT_PRESET_USEC (UINT64_C(300) * 1000000)

/* The id that a path ends in. */
static int transaction_id(const char *path, char **ret) {
        _cleanup_(freep) char *vm = NULL;
        int r;

        r = sd_bus_path_decode_many(path, GUESTMAP_PATH_VM "/%/transaction/%", &vm, ret);
        if (r < 0)
                return client_cannot_read(r);
        return r > 0 ? 0 : fail("\"%s\" is not the path of a transaction", path);
}

static int print_transaction(const Client *client, const char *path) {
        _cleanup_(json_putp) json_object *object = NULL;
        _cleanup_(freep) char *id = NULL;
        int r;

        r = transaction_id(path, &id);
        if (r < 0)
                return r;
        if (client->output.json == JSON_OFF) {
                puts(id);
                return 0;
        }
        object = json_new_object();
        json_add_text(object, "transaction", id);
        json_add_text(object, "path", path);
        json_print(&client->output, object);
        return 0;
}

int verb_begin(Client *client, char **arguments) {
        const char *timeout = client->options[OPTION_TIMEOUT];
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(freep) char *vm = NULL;
        uint64_t usec = TIMEOUT_PRESET_USEC;
        const char *path;
        int r;

        if (timeout) {
                r = client_timeout(timeout, &usec);
                if (r < 0)
                        return r;
                if (usec == 0)
                        return fail("timeout 0: the transaction would end with this command");
        }
        r = client_find_vm(client, arguments[0], &vm);
        if (r < 0)
                return r;
        r = client_method(client, &reply, vm, GUESTMAP_INTERFACE_VM, "Begin", "ta{sv}", usec, 0);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "o", &path);
        return r < 0 ? client_cannot_read(r) : print_transaction(client, path);
}

int verb_commit(Client *client, char **arguments) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_(freep) char *path = NULL;
        int r;

        r = client_transaction_path(arguments[0], arguments[1], &path);
        if (r == 0)
                r = client_request(client, &request, path, GUESTMAP_INTERFACE_TRANSACTION,
                                   "Commit");
        if (r == 0)
                r = edit_options(client, request);
        return r < 0 ? r : edit_close(client, request);
}

int verb_abort(Client *client, char **arguments) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = client_transaction_path(arguments[0], arguments[1], &path);
        if (r < 0)
                return r;
        r = client_method(client, NULL, path, GUESTMAP_INTERFACE_TRANSACTION, "Abort", "a{sv}", 0);
        return json_print_done(&client->output, r);
}

int verb_preview(Client *client, char **arguments) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(freep) char *path = NULL;
        const char *report;
        int r;

        r = client_transaction_path(arguments[0], arguments[1], &path);
        if (r < 0)
                return r;
        r = client_method(client, &reply, path, GUESTMAP_INTERFACE_TRANSACTION, "Preview", NULL);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "s", &report);
        return r < 0 ? client_cannot_read(r) : report_print_plan(&client->output, report);
}

static int show_transaction(const char *path, uint64_t base, uint32_t edits, Table *table,
                            json_object *list) {
        json_object *object = json_new_object();
        _cleanup_(freep) char *id = NULL;
        int r;

        r = transaction_id(path, &id);
        if (r < 0)
                return r;
        table_cell(table, "%s", id);
        table_cell(table, "%" PRIu64, base);
        table_cell(table, "%" PRIu32, edits);

        json_add_text(object, "transaction", id);
        json_add_text(object, "path", path);
        json_add_count(object, "base-generation", base);
        json_add_count(object, "edits", edits);
        json_append(list, object);
        return 0;
}

static int read_transactions(sd_bus_message *reply, Table *table, json_object *list) {
        const char *path;
        uint64_t base;
        uint32_t edits;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "(otu)");
        if (r < 0)
                return client_cannot_read(r);
        while ((r = sd_bus_message_read(reply, "(otu)", &path, &base, &edits)) > 0) {
                r = show_transaction(path, base, edits, table, list);
                if (r < 0)
                        return r;
        }
        return r < 0 ? client_cannot_read(r) : 0;
}

int verb_transactions(Client *client, char **arguments) {
        static const Column columns[] = {{"ID", true}, {"BASE", true}, {"EDITS", true}};
        static const List list = {"ListTransactions", "transactions", columns, ELEMENTS_OF(columns),
                                  read_transactions};

        return list_show(client, &list, arguments[0], NULL);
}
