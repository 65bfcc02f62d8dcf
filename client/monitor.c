/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * monitor: commits as they happen
 *
 * Each signal names the generation before it. One that differs from the last generation seen of
 * that VM means that commits were missed, which is said; what they changed is not asked for.
 */

#include <inttypes.h>
#include <string.h>

#include "api/names.h"
#include "client/client.h"
#include "client/json-print.h"
#include "client/section.h"
#include "client/verb.h"

typedef struct Commit Commit;
typedef struct Monitor Monitor;
typedef struct Watched Watched;

/* The generation that a VM is known to have reached. */
struct Watched {
        char *vm;
        uint64_t generation;
};

struct Monitor {
        Client *client;
        const char *vm; /* NULL: all */
        Watched *watched;
        size_t n_watched;
        int error; /* ends the loop */
};

/* A signal but for its sections, which are read when the rest is known. */
struct Commit {
        uint64_t generation;
        uint64_t previous;
        uint32_t edits;
        uint32_t slot_operations;
        const char *transaction; /* "": a commit of a call's own */
        int truncated;
};

#define CHANGES_TYPE "(sa(ttstsu)a(ttstsu))"

static Watched *monitor_find(Monitor *monitor, const char *vm) {
        for (size_t i = 0; i < monitor->n_watched; i++)
                if (strcmp(monitor->watched[i].vm, vm) == 0)
                        return &monitor->watched[i];
        return NULL;
}

static void monitor_forget(Monitor *monitor, const char *vm) {
        Watched *watched = monitor_find(monitor, vm);

        if (!watched)
                return;
        free(watched->vm);
        *watched = monitor->watched[--monitor->n_watched];
}

/* Notes the generation that a VM has reached; how far it was known before, if it was. */
static bool monitor_note(Monitor *monitor, const char *vm, uint64_t generation,
                         uint64_t *ret_known) {
        Watched *watched = monitor_find(monitor, vm);

        if (watched) {
                *ret_known = watched->generation;
                watched->generation = MAX_OF(watched->generation, generation);
                return true;
        }
        monitor->watched = must(
                reallocarray(monitor->watched, monitor->n_watched + 1, sizeof(*monitor->watched)));
        monitor->watched[monitor->n_watched++] = (Watched){must(strdup(vm)), generation};
        return false;
}

static void monitor_deinit(Monitor *monitor) {
        for (size_t i = 0; i < monitor->n_watched; i++)
                free(monitor->watched[i].vm);
        free(monitor->watched);
}

static int read_detail(sd_bus_message *message, Commit *commit) {
        const char *name;
        int r;

        r = sd_bus_message_read(message, "s", &name);
        if (r < 0)
                return r;
        if (strcmp(name, "edits") == 0)
                return sd_bus_message_read(message, "v", "u", &commit->edits);
        if (strcmp(name, "slot-operations") == 0)
                return sd_bus_message_read(message, "v", "u", &commit->slot_operations);
        if (strcmp(name, "transaction") == 0)
                return sd_bus_message_read(message, "v", "s", &commit->transaction);
        if (strcmp(name, "truncated") == 0)
                return sd_bus_message_read(message, "v", "b", &commit->truncated);
        return sd_bus_message_skip(message, "v");
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

/* Everything but the changes, at whose beginning the message is left. */
static int read_commit(sd_bus_message *message, Commit *commit) {
        int r;

        *commit = (Commit){.transaction = ""};
        r = sd_bus_message_skip(message, "tta" CHANGES_TYPE);
        if (r < 0)
                return r;
        r = read_details(message, commit);
        if (r < 0)
                return r;
        r = sd_bus_message_rewind(message, true);
        if (r < 0)
                return r;
        return sd_bus_message_read(message, "tt", &commit->generation, &commit->previous);
}

/* One list of sections of one space: printed for people, or handed out as JSON. */
static int read_sections(const Output *output, sd_bus_message *message, bool added,
                         const char *space, json_object *list) {
        Section section;
        int r;

        r = sd_bus_message_enter_container(message, 'a', "(ttstsu)");
        if (r < 0)
                return r;
        while ((r = section_read(message, &section)) > 0) {
                if (output->json == JSON_OFF)
                        section_print_change(&section, output, space, added);
                else
                        json_append(list, section_json(&section));
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

/* What changed in one address space. */
static int read_change(const Output *output, sd_bus_message *message, json_object *changes) {
        json_object *change = json_new_object();
        json_object *removed = json_new_array();
        json_object *added = json_new_array();
        const char *space;
        int r;

        json_add(change, "removed", removed);
        json_add(change, "added", added);
        r = sd_bus_message_read(message, "s", &space);
        if (r < 0)
                return r;
        json_add(changes, space, change);
        r = read_sections(output, message, false, space, removed);
        if (r < 0)
                return r;
        return read_sections(output, message, true, space, added);
}

static int read_changes(const Output *output, sd_bus_message *message, json_object *changes) {
        int r;

        r = sd_bus_message_enter_container(message, 'a', CHANGES_TYPE);
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(message, 'r', "sa(ttstsu)a(ttstsu)")) > 0) {
                r = read_change(output, message, changes);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(message);
                if (r < 0)
                        return r;
        }
        return r;
}

static json_object *event_json(const char *event, const char *vm) {
        json_object *object = json_new_object();

        json_add_text(object, "event", event);
        json_add_text(object, "vm", vm);
        return object;
}

static json_object *commit_json(const Commit *commit, const char *vm) {
        json_object *object = event_json("committed", vm);

        json_add_count(object, "generation", commit->generation);
        json_add_count(object, "previous", commit->previous);
        json_add_count(object, "edits", commit->edits);
        json_add_count(object, "slot-operations", commit->slot_operations);
        json_add_text(object, "transaction", commit->transaction);
        json_add_bool(object, "truncated", commit->truncated);
        return object;
}

static int print_commit(const Output *output, sd_bus_message *message, const char *vm,
                        const Commit *commit) {
        _cleanup_(json_putp) json_object *object = commit_json(commit, vm);
        json_object *changes = json_new_object();
        int r;

        json_add(object, "changes", changes);
        if (output->json == JSON_OFF)
                print_line(output, PAINT_HEADER,
                           "%s generation %" PRIu64 ": %" PRIu32 " edit%s, %" PRIu32
                           " slot operation%s",
                           vm, commit->generation, commit->edits, PLURAL(commit->edits),
                           commit->slot_operations, PLURAL(commit->slot_operations));
        r = read_changes(output, message, changes);
        if (r < 0)
                return r;
        if (output->json != JSON_OFF)
                json_print(output, object);
        else if (commit->truncated)
                puts("  too many sections changed to tell them all; see flat");
        return 0;
}

static int handle_commit(Monitor *monitor, sd_bus_message *message) {
        _cleanup_(freep) char *vm = NULL;
        uint64_t known = 0;
        Commit commit;
        int r;

        r = sd_bus_path_decode(sd_bus_message_get_path(message), GUESTMAP_PATH_VM, &vm);
        if (r <= 0)
                return r;
        r = read_commit(message, &commit);
        if (r < 0)
                return r;
        if (monitor_note(monitor, vm, commit.generation, &known) && commit.previous > known)
                (void)fail("%s: commits %" PRIu64 " to %" PRIu64 " were missed", vm, known + 1,
                           commit.previous);
        return print_commit(&monitor->client->output, message, vm, &commit);
}

static int on_committed(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        Monitor *monitor = userdata;
        int r;

        r = handle_commit(monitor, message);
        if (r < 0)
                monitor->error = fail_errno(r, "cannot read a Committed signal");
        return 0;
}

/* VMNew or VMRemoved: another VM of the name starts its own numbering. */
static int on_lifecycle(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        bool created = sd_bus_message_is_signal(message, NULL, "VMNew");
        const char *event = created ? "created" : "removed";
        _cleanup_(json_putp) json_object *object = NULL;
        Monitor *monitor = userdata;
        const char *vm;
        int r;

        r = sd_bus_message_read(message, "s", &vm);
        if (r < 0) {
                monitor->error = client_cannot_read(r);
                return 0;
        }
        if (monitor->vm && strcmp(monitor->vm, vm) != 0)
                return 0;
        monitor_forget(monitor, vm);
        object = event_json(event, vm);
        if (monitor->client->output.json == JSON_OFF)
                print_line(&monitor->client->output, PAINT_HEADER, "%s %s", vm, event);
        else
                json_print(&monitor->client->output, object);
        return 0;
}

static int subscribe(Monitor *monitor, const char *vm_path) {
        _cleanup_(freep) char *match = NULL;
        Client *client = monitor->client;
        int r;

        if (asprintf(&match,
                     "type='signal',sender='" GUESTMAP_SERVICE "',interface='" GUESTMAP_INTERFACE_VM
                     "',member='Committed',%s='%s'",
                     vm_path ? "path" : "path_namespace", vm_path ? vm_path : GUESTMAP_PATH_VM) < 0)
                match = NULL;
        r = sd_bus_add_match(client->bus, NULL, must(match), on_committed, monitor);
        if (r < 0)
                return fail_errno(r, "cannot subscribe to signals");
        r = sd_bus_match_signal(client->bus, NULL, GUESTMAP_SERVICE, GUESTMAP_PATH,
                                GUESTMAP_INTERFACE_MANAGER, "VMNew", on_lifecycle, monitor);
        if (r < 0)
                return fail_errno(r, "cannot subscribe to signals");
        r = sd_bus_match_signal(client->bus, NULL, GUESTMAP_SERVICE, GUESTMAP_PATH,
                                GUESTMAP_INTERFACE_MANAGER, "VMRemoved", on_lifecycle, monitor);
        return r < 0 ? fail_errno(r, "cannot subscribe to signals") : 0;
}

/* Where every VM stands now: what comes after that has a predecessor to be compared with. */
static int note_generations(Monitor *monitor) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint64_t generation, known;
        const char *vm;
        int r;

        r = client_method(monitor->client, &reply, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER,
                          "ListVMs", NULL);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(sots)");
        if (r < 0)
                return client_cannot_read(r);
        while ((r = sd_bus_message_read(reply, "(sots)", &vm, NULL, &generation, NULL)) > 0)
                monitor_note(monitor, vm, generation, &known);
        return r < 0 ? client_cannot_read(r) : 0;
}

static int follow(Monitor *monitor) {
        sd_bus *bus = monitor->client->bus;
        int r;

        while (monitor->error == 0) {
                r = sd_bus_process(bus, NULL);
                if (r < 0)
                        return fail_errno(r, "lost the connection to the bus");
                if (r > 0)
                        continue;
                if (fflush(stdout) != 0)
                        return fail_errno(-errno, "cannot write");
                r = sd_bus_wait(bus, UINT64_MAX);
                if (r < 0 && r != -EINTR)
                        return fail_errno(r, "lost the connection to the bus");
        }
        return monitor->error;
}

int verb_monitor(Client *client, char **arguments) {
        Monitor monitor = {.client = client, .vm = arguments[0]};
        _cleanup_(freep) char *path = NULL;
        int r;

        r = monitor.vm ? client_find_vm(client, monitor.vm, &path) : client_connect(client);
        if (r < 0)
                return r;
        r = subscribe(&monitor, path);
        if (r >= 0)
                r = note_generations(&monitor);
        if (r >= 0)
                r = follow(&monitor);
        monitor_deinit(&monitor);
        return r;
}
