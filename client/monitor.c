/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * monitor: which VMs are watched, and for how long
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/names.h"
#include "client/clock.h"
#include "client/follow-read.h"
#include "client/monitor.h"
#include "client/verb.h"
#include "client/vm-list.h"

static const FollowOps follow_ops = {
        .list = ask_list,
        .get_changes = ask_changes,
        .get_view = ask_view,
        .tell_view = tell_view,
        .tell_commit = tell_commit,
        .tell_gap = tell_gap,
        .tell_change = tell_change,
};

static const Output *output_of(const Monitor *monitor) {
        return &monitor->client->output;
}

static Watched *watched_free(Watched *watched) {
        follow_deinit(&watched->follow);
        free(watched->name);
        free(watched->path);
        free(watched->id);
        free(watched->state);
        free(watched);
        return NULL;
}

static Watched *watched_new(Monitor *monitor, const VMRow *row) {
        Watched *watched = must(malloc(sizeof(*watched)));

        *watched = (Watched){
                .monitor = monitor,
                .number = ++monitor->n_ever,
                .name = must(strdup(row->name)),
                .path = must(strdup(row->path)),
                .state = must(strdup(row->state)),
                .follow = {&follow_ops, watched, monitor->space},
        };
        monitor->watched = must(
                reallocarray(monitor->watched, monitor->n_watched + 1, sizeof(*monitor->watched)));
        monitor->watched[monitor->n_watched++] = watched;
        return watched;
}

bool watched_answers(const Watched *watched) {
        static const char *const silent[] = {"starting", "recovering", "crashed"};

        for (size_t i = 0; i < ELEMENTS_OF(silent); i++)
                if (strcmp(watched->state, silent[i]) == 0)
                        return false;
        return !watched->is_ailing;
}

Watched *monitor_find(const Monitor *monitor, const char *vm) {
        for (size_t i = 0; i < monitor->n_watched; i++)
                if (strcmp(monitor->watched[i]->name, vm) == 0)
                        return monitor->watched[i];
        return NULL;
}

void watched_note_unheard(Watched *watched, uint64_t generation) {
        Monitor *monitor = watched->monitor;

        if (watched->unheard == 0)
                watched->unheard = generation;
        if (monitor->said_unheard || generation <= watched->unheard)
                return;
        fail("no signals come here: watching by WaitChanges");
        monitor->said_unheard = true;
}

static void end(Monitor *monitor, int status) {
        (void)sd_event_exit(monitor->event, status);
}

static void forget(Monitor *monitor, Watched *watched) {
        tell_vm(output_of(monitor), watched->name, "removed");
        if (monitor->until != UINT64_MAX)
                end(monitor,
                    fail("%s is gone; it was to reach generation %" PRIu64 ", and was at %" PRIu64,
                         watched->name, monitor->until, watched->follow.generation));
        for (size_t i = 0; i < monitor->n_watched; i++)
                if (monitor->watched[i] == watched)
                        monitor->watched[i] = monitor->watched[--monitor->n_watched];
        watched_free(watched);
}

/* The list of VMs */

static void sync_watched(Watched *watched, const VMRow *row) {
        bool has_begun = watched->follow.has_begun, is_heard = watched->monitor->is_heard;
        bool has_news = has_begun && row->generation > watched->follow.generation;

        if (!watched_answers(watched) || (has_begun && !has_news && !watched->is_behind))
                return;
        if (has_news && !is_heard && !watched->is_behind)
                watched_note_unheard(watched, row->generation);
        if (!watched->id && ask_id(watched, &watched->id) < 0)
                return;
        if (follow_sync(&watched->follow, watched->is_behind ? "restarted"
                                          : is_heard         ? "missed"
                                                             : NULL) >= 0)
                watched->is_behind = false;
}

static void note_state(Watched *watched, const char *state) {
        if (strcmp(watched->state, state) == 0)
                return;
        free(watched->state);
        watched->state = must(strdup(state));
        tell_state(watched);
}

/* Only an ID tells it, and is asked for where something has to be found out anyway. */
static bool is_another(Watched *watched, const VMRow *row) {
        _cleanup_(freep) char *id = NULL;

        if (!watched->is_doubted && row->generation == watched->follow.generation)
                return false;
        if (!watched->id || ask_id(watched, &id) < 0)
                return false;
        watched->is_doubted = false;
        return strcmp(id, watched->id) != 0;
}

static void look_at(Monitor *monitor, const VMRow *row) {
        Watched *watched = monitor_find(monitor, row->name);

        if (monitor->vm && strcmp(monitor->vm, row->name) != 0)
                return;
        if (watched && is_another(watched, row)) {
                forget(monitor, watched);
                watched = NULL;
        }
        if (!watched) {
                watched = watched_new(monitor, row);
                if (monitor->has_begun)
                        tell_vm(output_of(monitor), row->name, "created");
        }
        watched->is_seen = true;
        note_state(watched, row->state);
        sync_watched(watched, row);
}

static void forget_unseen(Monitor *monitor) {
        for (size_t i = monitor->n_watched; i-- > 0;)
                if (!monitor->watched[i]->is_seen)
                        forget(monitor, monitor->watched[i]);
}

static int look_at_all(Monitor *monitor, sd_bus_message *reply) {
        VMRow row;
        int r;

        for (size_t i = 0; i < monitor->n_watched; i++)
                monitor->watched[i]->is_seen = false;
        r = vm_list_enter(reply);
        while (r >= 0 && (r = vm_list_next(reply, &row)) > 0)
                look_at(monitor, &row);
        if (r < 0)
                return r;
        forget_unseen(monitor);
        monitor->has_begun = true;
        return 0;
}

static void note_service(Monitor *monitor, bool is_running) {
        if (monitor->is_away != is_running)
                return;
        tell_service(output_of(monitor), is_running);
        monitor->is_away = !is_running;
        for (size_t i = 0; i < monitor->n_watched; i++) {
                monitor->watched[i]->is_behind = true;
                monitor->watched[i]->unheard = 0;
        }
}

static int on_list(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Monitor *monitor = userdata;

        monitor->is_asking = false;
        if (!sd_bus_message_is_method_error(reply, NULL)) {
                note_service(monitor, true);
                if (look_at_all(monitor, reply) < 0)
                        end(monitor, EXIT_FAILURE);
        }
        if (monitor->asks_again)
                monitor_look(monitor);
        return 0;
}

/* Does not start the service: who has stopped it wants it so. */
static int request_list(Monitor *monitor, sd_bus_message **ret) {
        int r;

        r = client_request(monitor->client, ret, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER,
                           "ListVMs");
        if (r >= 0)
                r = sd_bus_message_set_auto_start(*ret, !monitor->has_begun);
        return r;
}

void monitor_look(Monitor *monitor) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;

        monitor->asks_again = monitor->is_asking;
        if (monitor->is_asking || request_list(monitor, &request) < 0)
                return;
        if (sd_bus_call_async(monitor->client->bus, NULL, request, on_list, monitor,
                              LOOK_HEARD_USEC) >= 0)
                monitor->is_asking = true;
}

static int look_first(Monitor *monitor) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL, *reply = NULL;
        int r;

        r = request_list(monitor, &request);
        if (r >= 0)
                r = client_call(monitor->client, request, &reply);
        return r < 0 ? r : look_at_all(monitor, reply);
}

/* Signals */

static int on_committed(sd_bus_message *signal, void *userdata, sd_bus_error *error) {
        _cleanup_(commit_deinit) Commit commit = {};
        _cleanup_(freep) char *vm = NULL;
        Monitor *monitor = userdata;
        Watched *watched;
        int r;

        monitor->is_heard = true;
        if (sd_bus_path_decode(sd_bus_message_get_path(signal), GUESTMAP_PATH_VM, &vm) <= 0)
                return 0;
        watched = monitor_find(monitor, vm);
        if (!watched) {
                monitor_look(monitor);
                return 0;
        }
        r = commit_read(signal, &commit);
        if (r < 0)
                end(monitor, fail_errno(r, "cannot read a Committed signal"));
        else if (watched->follow.has_begun)
                (void)follow_commit(&watched->follow, &commit);
        else
                monitor_look(monitor);
        return 0;
}

/* The next VM of the name is another one. */
static int on_removed(sd_bus_message *signal, void *userdata, sd_bus_error *error) {
        Monitor *monitor = userdata;
        Watched *watched;
        const char *vm;

        if (sd_bus_message_read(signal, "s", &vm) < 0)
                return 0;
        watched = monitor_find(monitor, vm);
        if (watched)
                forget(monitor, watched);
        return 0;
}

static int on_event(sd_bus_message *signal, void *userdata, sd_bus_error *error) {
        monitor_look(userdata);
        return 0;
}

static int on_owner(sd_bus_message *signal, void *userdata, sd_bus_error *error) {
        Monitor *monitor = userdata;
        const char *owner;

        if (sd_bus_message_read(signal, "sss", NULL, NULL, &owner) < 0)
                return 0;
        note_service(monitor, *owner);
        if (*owner)
                monitor_look(monitor);
        return 0;
}

static int on_disconnected(sd_bus_message *signal, void *userdata, sd_bus_error *error) {
        end(userdata, fail("lost the connection to the bus"));
        return 0;
}

static int subscribe_to(Monitor *monitor, const char *rule, sd_bus_message_handler_t handler) {
        int r;

        r = sd_bus_add_match(monitor->client->bus, NULL, rule, handler, monitor);
        return r < 0 ? fail_errno(r, "cannot subscribe to signals") : 0;
}

#define FROM_SERVICE "type='signal',sender='" GUESTMAP_SERVICE "',"
#define OF_MANAGER   FROM_SERVICE "interface='" GUESTMAP_INTERFACE_MANAGER "',"

static int subscribe(Monitor *monitor) {
        static const struct {
                const char *rule;
                sd_bus_message_handler_t handler;
        } signals[] = {
                {FROM_SERVICE "interface='" GUESTMAP_INTERFACE_VM "',member='Committed'",
                 on_committed},
                {OF_MANAGER "member='VMNew'", on_event},
                {OF_MANAGER "member='VMRemoved'", on_removed},
                {FROM_SERVICE "interface='org.freedesktop.DBus.Properties',"
                              "member='PropertiesChanged',arg0='" GUESTMAP_INTERFACE_VM "'",
                 on_event},
                {"type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',"
                 "arg0='" GUESTMAP_SERVICE "'",
                 on_owner},
                {"type='signal',sender='org.freedesktop.DBus.Local',member='Disconnected'",
                 on_disconnected},
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(signals); i++)
                r = subscribe_to(monitor, signals[i].rule, signals[i].handler);
        return r;
}

/* Time */

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        Monitor *monitor = userdata;

        for (size_t i = 0; i < monitor->n_watched; i++)
                monitor->watched[i]->is_ailing = false;
        if (!monitor->is_away)
                monitor_look(monitor);
        (void)sd_event_source_set_time_relative(source,
                                                monitor->is_heard ? LOOK_HEARD_USEC : LOOK_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void end_early(Monitor *monitor) {
        end(monitor, monitor->until == UINT64_MAX ? EXIT_SUCCESS : EXIT_NOTHING_CAME);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        end_early(userdata);
        return 0;
}

/* Who reads what is printed is gone: grep -q has found it. */
static int on_unread(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        end_early(userdata);
        return 0;
}

/* Whatever has happened: what was printed goes out, who has to be waited for is. */
static int on_happened(sd_event_source *source, void *userdata) {
        Monitor *monitor = userdata;

        if (fflush(stdout) != 0)
                end(monitor, fail_errno(-errno, "cannot write"));
        for (size_t i = 0; monitor->vm && i < monitor->n_watched; i++)
                if (monitor->watched[i]->follow.has_begun &&
                    monitor->watched[i]->follow.generation >= monitor->until)
                        end(monitor, EXIT_SUCCESS);
        wait_for_changes(monitor);
        return 0;
}

/* Errors are told always, which is all that is wanted; a file has none, and cannot be polled. */
static int add_unread(Monitor *monitor) {
        int r = sd_event_add_io(monitor->event, NULL, STDOUT_FILENO, 0, on_unread, monitor);

        return r == -EPERM ? 0 : r;
}

/* What has come is worked on first: a question makes no sense while its answer may be there. */
static int add_tick(Monitor *monitor) {
        sd_event_source *tick = NULL;
        int r;

        r = sd_event_add_time_relative(monitor->event, &tick, CLOCK_MONOTONIC, 0, 0, on_tick,
                                       monitor);
        if (r >= 0)
                r = sd_event_source_set_priority(tick, SD_EVENT_PRIORITY_IDLE);
        if (r >= 0)
                r = sd_event_source_set_floating(tick, true);
        sd_event_source_unref(tick);
        return r;
}

static int add_timers(Monitor *monitor) {
        sd_event *event = monitor->event;
        uint64_t deadline = monitor->client->deadline;
        int r;

        r = add_tick(monitor);
        if (r >= 0 && deadline != UINT64_MAX)
                r = sd_event_add_time(event, NULL, CLOCK_MONOTONIC, deadline, 1000, on_deadline,
                                      monitor);
        if (r >= 0)
                r = sd_event_add_post(event, NULL, on_happened, monitor);
        return r;
}

static int monitor_init(Monitor *monitor, Client *client, char **arguments) {
        const char *until = client->options[OPTION_UNTIL_GENERATION];
        const char *timeout = client->options[OPTION_TIMEOUT];
        uint64_t usec = UINT64_MAX;
        int r = 0;

        *monitor = (Monitor){client, .vm = arguments[0], .until = UINT64_MAX};
        if (monitor->vm)
                monitor->space = arguments[1];
        if (until && !monitor->vm)
                return fail("--until-generation: of which VM?");
        if (until)
                r = client_number(until, "generation", &monitor->until);
        if (r >= 0 && timeout)
                r = client_timeout(timeout, &usec);
        if (r < 0)
                return r;
        r = sd_event_new(&monitor->event);
        if (r < 0)
                return fail_errno(r, "cannot set up the loop");
        client->deadline = clock_deadline(usec);
        return 0;
}

static void monitor_deinit(Monitor *monitor) {
        while (monitor->n_watched > 0)
                watched_free(monitor->watched[--monitor->n_watched]);
        free(monitor->watched);
        /* Who waits for answers counts in the monitor. */
        monitor->client->bus = sd_bus_flush_close_unref(monitor->client->bus);
        sd_event_unref(monitor->event);
}

/* What is named must be there at the beginning. */
static int check_names(Monitor *monitor) {
        _cleanup_(freep) char *vm = NULL, *space = NULL;
        int r;

        r = monitor->vm ? client_find_vm(monitor->client, monitor->vm, &vm)
                        : client_connect(monitor->client);
        if (r >= 0 && monitor->space)
                r = client_find_space(monitor->client, vm, monitor->space, &space);
        return r;
}

static int run(Monitor *monitor) {
        int r;

        r = check_names(monitor);
        if (r >= 0)
                r = subscribe(monitor);
        if (r >= 0)
                r = look_first(monitor);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(monitor->client->bus, monitor->event, 0);
        if (r >= 0)
                r = add_timers(monitor);
        if (r >= 0)
                r = add_unread(monitor);
        if (r >= 0)
                r = sd_event_loop(monitor->event);
        else
                r = fail_errno(r, "cannot set up the loop");
        return r;
}

int verb_monitor(Client *client, char **arguments) {
        Monitor monitor;
        int r;

        r = monitor_init(&monitor, client, arguments);
        if (r >= 0)
                r = run(&monitor);
        monitor_deinit(&monitor);
        return r;
}
