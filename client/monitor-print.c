/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>

#include "client/clock.h"
#include "client/json-print.h"
#include "client/monitor.h"

static const Output *output_of(const Watched *watched) {
        return &watched->monitor->client->output;
}

static bool is_for_people(const Output *output) {
        return output->json == JSON_OFF;
}

/* What an event begins with, as in journalctl's short form: when it came here. */
_printf_(3, 4) static void print_event(const Output *output, Paint paint, const char *format, ...) {
        time_t now = time(NULL);
        va_list arguments;
        struct tm local;
        char stamp[32];

        if (localtime_r(&now, &local) &&
            strftime(stamp, sizeof(stamp), "%b %d %H:%M:%S ", &local) > 0)
                fputs(stamp, stdout);
        va_start(arguments, format);
        vprint_line(output, paint, format, arguments);
        va_end(arguments);
}

static json_object *event_new(const char *event, const char *vm) {
        json_object *object = json_new_object();

        json_add_text(object, "event", event);
        json_add_count(object, "timestamp", clock_realtime_usec());
        if (vm)
                json_add_text(object, "vm", vm);
        return object;
}

static void add_change(json_object *object, const Change *change) {
        json_add(object, "removed", sections_json(&change->removed));
        json_add(object, "added", sections_json(&change->added));
}

static void print_change(const Output *output, const Change *change) {
        for (size_t i = 0; i < change->removed.n; i++)
                section_print_change(&change->removed.items[i], output, change->space, false);
        for (size_t i = 0; i < change->added.n; i++)
                section_print_change(&change->added.items[i], output, change->space, true);
}

void tell_view(void *userdata, const FollowedSpace *space) {
        _cleanup_(json_putp) json_object *object = NULL;
        const Watched *watched = userdata;
        const Output *output = output_of(watched);

        if (is_for_people(output)) {
                print_event(output, PAINT_FAINT, "%s %s generation %" PRIu64 ", %zu section%s",
                            watched->name, space->name, space->generation, space->view.n,
                            PLURAL(space->view.n));
                return;
        }
        object = event_new("view", watched->name);
        json_add_text(object, "space", space->name);
        json_add_count(object, "generation", space->generation);
        json_add(object, "sections", sections_json(&space->view));
        json_print(output, object);
}

static void print_commit(const Output *output, const char *vm, const Commit *commit) {
        print_event(output, PAINT_HEADER,
                    "%s generation %" PRIu64 ": %" PRIu32 " edit%s, %" PRIu32 " slot operation%s",
                    vm, commit->generation, commit->edits, PLURAL(commit->edits),
                    commit->slot_operations, PLURAL(commit->slot_operations));
        for (size_t i = 0; i < commit->n_changes; i++)
                print_change(output, &commit->changes[i]);
}

static void add_changes(json_object *object, const Commit *commit) {
        json_object *changes = json_new_object();

        for (size_t i = 0; i < commit->n_changes; i++) {
                json_object *change = json_new_object();

                add_change(change, &commit->changes[i]);
                json_add(changes, commit->changes[i].space, change);
        }
        json_add(object, "changes", changes);
}

void tell_commit(void *userdata, const Commit *commit) {
        _cleanup_(json_putp) json_object *object = NULL;
        const Watched *watched = userdata;
        const Output *output = output_of(watched);

        if (is_for_people(output)) {
                print_commit(output, watched->name, commit);
                return;
        }
        object = event_new("committed", watched->name);
        json_add_count(object, "generation", commit->generation);
        json_add_count(object, "previous", commit->previous);
        json_add_count(object, "edits", commit->edits);
        json_add_count(object, "slot-operations", commit->slot_operations);
        json_add_text(object, "transaction", commit->transaction);
        json_add_bool(object, "truncated", commit->truncated);
        add_changes(object, commit);
        json_print(output, object);
}

static void print_heading(const Watched *watched, uint64_t previous, uint64_t generation,
                          const char *why) {
        const Output *output = output_of(watched);

        if (generation == previous + 1)
                print_event(output, PAINT_HEADER, "%s generation %" PRIu64 "%s", watched->name,
                            generation, why);
        else
                print_event(output, PAINT_HEADER,
                            "%s generations %" PRIu64 " to %" PRIu64 ", in one%s", watched->name,
                            previous + 1, generation, why);
}

void tell_gap(void *userdata, uint64_t previous, uint64_t generation, const char *why) {
        _cleanup_(json_putp) json_object *object = NULL;
        Watched *watched = userdata;
        char reason[32];

        watched->told = generation;
        if (is_for_people(output_of(watched))) {
                snprintf(reason, sizeof(reason), " (%s)", why);
                print_heading(watched, previous, generation, reason);
                return;
        }
        object = event_new("resynchronised", watched->name);
        json_add_count(object, "generation", generation);
        json_add_count(object, "previous", previous);
        json_add_text(object, "reason", why);
        json_print(output_of(watched), object);
}

/* Behind a heading of its own where neither a signal nor a gap's heading has told of it. */
void tell_change(void *userdata, const Change *change, uint64_t previous, uint64_t generation) {
        _cleanup_(json_putp) json_object *object = NULL;
        const Watched *watched = userdata;
        const Output *output = output_of(watched);

        if (is_for_people(output)) {
                if (!watched->monitor->is_heard && generation > watched->told)
                        print_heading(watched, previous, generation, "");
                print_change(output, change);
                return;
        }
        object = event_new("changed", watched->name);
        json_add_text(object, "space", change->space);
        json_add_count(object, "generation", generation);
        json_add_count(object, "previous", previous);
        add_change(object, change);
        json_print(output, object);
}

void tell_vm(const Output *output, const char *vm, const char *event) {
        _cleanup_(json_putp) json_object *object = event_new(event, vm);

        if (is_for_people(output))
                print_event(output, PAINT_HEADER, "%s %s", vm, event);
        else
                json_print(output, object);
}

void tell_state(const Watched *watched) {
        _cleanup_(json_putp) json_object *object = event_new("state", watched->name);
        const Output *output = output_of(watched);

        json_add_text(object, "state", watched->state);
        if (is_for_people(output))
                print_event(output, PAINT_HEADER, "%s is %s", watched->name, watched->state);
        else
                json_print(output, object);
}

void tell_service(const Output *output, bool is_running) {
        _cleanup_(json_putp) json_object *object = event_new("service", NULL);

        json_add_bool(object, "running", is_running);
        if (is_for_people(output))
                print_event(output, PAINT_HEADER, "guestmapd %s",
                            is_running ? "is back" : "has ended; waiting for it to come back");
        else
                json_print(output, object);
}
