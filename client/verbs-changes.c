/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * changes: what has become of a view since a generation
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "client/client.h"
#include "client/follow-read.h"
#include "client/json-print.h"
#include "client/verb.h"
#include "client/view.h"

static void print_json(const Output *output, const Answer *answer) {
        _cleanup_(json_putp) json_object *object = json_new_object();

        json_add_count(object, "generation", answer->generation);
        json_add_bool(object, "complete", answer->complete);
        json_add(object, "removed", sections_json(&answer->change.removed));
        json_add(object, "added", sections_json(&answer->change.added));
        json_print(output, object);
}

static void print_heading(const Output *output, const Answer *answer, uint64_t since,
                          const char *why_all) {
        if (answer->complete)
                print_line(output, PAINT_HEADER, "Generation %" PRIu64, answer->generation);
        else
                print_line(output, PAINT_HEADER,
                           "Generation %" PRIu64 ", all of it: what has changed since %" PRIu64
                           " is %s",
                           answer->generation, since, why_all);
}

static void print_sections(const Output *output, const Change *change) {
        for (size_t i = 0; i < change->removed.n; i++)
                section_print_change(&change->removed.items[i], output, change->space, false);
        for (size_t i = 0; i < change->added.n; i++)
                section_print_change(&change->added.items[i], output, change->space, true);
}

/* *ret_why_all: why it is all of the view, if it is. */
static int fetch(Client *client, const char *vm_path, uint64_t since, Answer *answer,
                 const char **ret_why_all) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(freep) char *path = NULL;
        int r;

        r = client_find_space(client, vm_path, answer->change.space, &path);
        if (r < 0)
                return r;
        r = client_method(client, &reply, path, GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetChanges", "t",
                          since);
        if (r < 0)
                return r;
        r = answer_read(reply, answer);
        if (r < 0)
                return client_cannot_read(r);
        *ret_why_all = "not known";
        if (answer->complete || answer->change.added.n > 0)
                return 0;
        /* Either is too much for the answer: what has changed, or, if that is not known, all. */
        *ret_why_all = "more than 10000 sections, or not known";
        return view_fetch(client, vm_path, answer->change.space, &answer->generation,
                          &answer->change.added);
}

int verb_changes(Client *client, char **arguments) {
        _cleanup_(answer_deinit) Answer answer = {};
        _cleanup_(freep) char *path = NULL;
        const char *why_all;
        uint64_t since;
        int r;

        r = client_number(arguments[2], "generation", &since);
        if (r < 0)
                return r;
        r = client_find_vm(client, arguments[0], &path);
        if (r < 0)
                return r;
        answer.change.space = must(strdup(arguments[1]));
        r = fetch(client, path, since, &answer, &why_all);
        if (r < 0)
                return r;
        if (client->output.json != JSON_OFF) {
                print_json(&client->output, &answer);
                return 0;
        }
        if (client->output.legend)
                print_heading(&client->output, &answer, since, why_all);
        print_sections(&client->output, &answer.change);
        return 0;
}
