/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "client/follow-read.h"

#define SECTIONS_TYPE "a(ttstsu)"
#define CHANGE_TYPE   "s" SECTIONS_TYPE SECTIONS_TYPE

static int read_lists(sd_bus_message *message, Change *change) {
        int r;

        r = sections_read(message, &change->removed);
        return r < 0 ? r : sections_read(message, &change->added);
}

/* Committed */

static int read_detail(sd_bus_message *message, Commit *commit) {
        const char *name, *transaction;
        int r, truncated;

        r = sd_bus_message_read(message, "s", &name);
        if (r < 0)
                return r;
        if (strcmp(name, "edits") == 0)
                return sd_bus_message_read(message, "v", "u", &commit->edits);
        if (strcmp(name, "slot-operations") == 0)
                return sd_bus_message_read(message, "v", "u", &commit->slot_operations);
        if (strcmp(name, "transaction") == 0) {
                r = sd_bus_message_read(message, "v", "s", &transaction);
                free(commit->transaction);
                commit->transaction = must(strdup(r < 0 ? "" : transaction));
                return r;
        }
        if (strcmp(name, "truncated") != 0)
                return sd_bus_message_skip(message, "v");
        r = sd_bus_message_read(message, "v", "b", &truncated);
        commit->truncated = r >= 0 && truncated;
        return r;
}

static int read_details(sd_bus_message *message, Commit *commit) {
        int r;

        r = sd_bus_message_enter_container(message, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
                r = read_detail(message, commit);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(message);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_change(sd_bus_message *message, Commit *commit) {
        const char *space;
        Change *change;
        int r;

        commit->changes = must(
                reallocarray(commit->changes, commit->n_changes + 1, sizeof(*commit->changes)));
        change = &commit->changes[commit->n_changes++];
        *change = (Change){};
        r = sd_bus_message_read(message, "s", &space);
        if (r < 0)
                return r;
        change->space = must(strdup(space));
        return read_lists(message, change);
}

static int read_changes(sd_bus_message *message, Commit *commit) {
        int r;

        r = sd_bus_message_enter_container(message, 'a', "(" CHANGE_TYPE ")");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(message, 'r', CHANGE_TYPE)) > 0) {
                r = read_change(message, commit);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(message);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

int commit_read(sd_bus_message *signal, Commit *ret) {
        int r;

        ret->transaction = must(strdup(""));
        r = sd_bus_message_read(signal, "tt", &ret->generation, &ret->previous);
        if (r < 0)
                return r;
        r = read_changes(signal, ret);
        return r < 0 ? r : read_details(signal, ret);
}

int answer_read(sd_bus_message *reply, Answer *ret) {
        int r, complete;

        r = sd_bus_message_read(reply, "tb", &ret->generation, &complete);
        if (r < 0)
                return r;
        ret->complete = complete;
        return read_lists(reply, &ret->change);
}
