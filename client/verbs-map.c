/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Verbs that take or give the whole map as a document
 */

#include "api/names.h"
#include "client/edit.h"
#include "client/layout.h"
#include "client/progress.h"
#include "client/report.h"
#include "client/verb.h"

static int append_apply_options(Client *client, sd_bus_message *message, bool dry_run) {
        int r;

        r = edit_options(client, message);
        if (r < 0)
                return r;
        if (dry_run) {
                r = sd_bus_message_append(message, "{sv}", "dry-run", "b", true);
                if (r < 0)
                        return client_cannot_ask(r);
        }
        if (client_given(client, OPTION_KEEP_MEMORY)) {
                r = sd_bus_message_append(message, "{sv}", "keep-memory", "b", true);
                if (r < 0)
                        return client_cannot_ask(r);
        }
        r = sd_bus_message_close_container(message);
        return r < 0 ? client_cannot_ask(r) : 0;
}

/* Reads the document before anybody is asked anything. */
static int call_apply(Client *client, char **arguments, bool dry_run, sd_bus_message **ret_reply) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_(client_document_deinit) ClientDocument document = {.fd = -1};
        int r;

        r = client_document_read(&document, arguments[1]);
        if (r >= 0 && !document.text)
                r = client_need_fds(client, "a document of more than 8 MiB");
        if (r < 0)
                return r;
        r = edit_open(client, arguments[0], document.text ? "Apply" : "ApplyFD", &request);
        if (r < 0)
                return r;
        r = document.text ? sd_bus_message_append(request, "s", document.text)
                          : sd_bus_message_append(request, "h", document.fd);
        if (r < 0)
                return client_cannot_ask(r);
        r = append_apply_options(client, request, dry_run);
        if (r < 0)
                return r;
        return progress_call(client, request, ret_reply);
}

static int dry_run(Client *client, char **arguments) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *report;
        int r;

        r = call_apply(client, arguments, true, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "ts", NULL, &report);
        return r < 0 ? client_cannot_read(r) : report_print_plan(&client->output, report);
}

int verb_apply(Client *client, char **arguments) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *report;
        int r;

        if (client_given(client, OPTION_DRY_RUN))
                return dry_run(client, arguments);
        r = call_apply(client, arguments, false, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "ts", NULL, &report);
        if (r < 0)
                return client_cannot_read(r);
        if (client_given(client, OPTION_TRANSACTION) && client->output.json == JSON_OFF)
                return 0; /* staged: nothing has changed yet */
        return report_print(&client->output, report);
}

int verb_diff(Client *client, char **arguments) {
        return dry_run(client, arguments);
}

int verb_export(Client *client, char **arguments) {
        _cleanup_(json_putp) json_object *layout = NULL;
        _cleanup_(freep) char *path = NULL;
        int r;

        r = client_find_vm(client, arguments[0], &path);
        if (r < 0)
                return r;
        r = layout_fetch(client, path, &layout);
        if (r < 0)
                return r;
        if (client->output.json == JSON_OFF)
                layout_print(layout);
        else
                json_print(&client->output, layout);
        return 0;
}
