/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Watching by WaitChanges
 *
 * Each space has a call under way. Buses and the service bound how many one client may have: where
 * there are more spaces they take turns, and wait for a shorter time each.
 */

#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "client/follow-read.h"
#include "client/monitor.h"

typedef struct Wait Wait;

enum {
        WAITS_MAX = 64,
        ANSWER_USEC = 10000000, /* that an answer may be late */
        TURN_USEC = 500000,
        ALONE_USEC = 5000000, /* where nobody waits for his turn */
};

/* A call that is under way. */
struct Wait {
        Monitor *monitor;
        uint64_t watched; /* its number */
        uint64_t since;
        char *vm;
        char *space;
};

static void wait_free(void *userdata) {
        Wait *wait = userdata;

        wait->monitor->n_waits--;
        free(wait->vm);
        free(wait->space);
        free(wait);
}

/* NULL if the VM is not watched any more, or is another one by now. */
static Watched *wait_watched(const Wait *wait) {
        Watched *watched = monitor_find(wait->monitor, wait->vm);

        return watched && watched->number == wait->watched ? watched : NULL;
}

/* An answer of another VM of the name may not be mixed with what is known of this one. */
static bool is_same_vm(Watched *watched) {
        _cleanup_(freep) char *id = NULL;

        return ask_id(watched, &id) == 0 && watched->id && strcmp(id, watched->id) == 0;
}

static void take_answer(const Wait *wait, Watched *watched, sd_bus_message *reply) {
        _cleanup_(answer_deinit) Answer answer = {};
        bool has_news;

        answer.change.space = must(strdup(wait->space));
        if (answer_read(reply, &answer) < 0 || answer.generation == wait->since)
                return;
        has_news = !answer.complete || !change_is_empty(&answer.change);
        if (!is_same_vm(watched)) {
                monitor_look(wait->monitor);
                return;
        }
        if (has_news && !wait->monitor->is_heard)
                watched_note_unheard(watched, answer.generation);
        (void)follow_answer(&watched->follow, wait->space, wait->since, &answer);
        monitor_look(wait->monitor);
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Wait *wait = userdata;
        Watched *watched = wait_watched(wait);
        FollowedSpace *space = watched ? follow_find(&watched->follow, wait->space) : NULL;

        if (!space)
                return 0;
        space->is_waited_for = false;
        if (!sd_bus_message_is_method_error(reply, NULL)) {
                take_answer(wait, watched, reply);
                return 0;
        }
        watched->is_ailing = watched->is_doubted = true;
        monitor_look(wait->monitor);
        return 0;
}

static int send_request(Wait *wait, const Watched *watched, uint64_t timeout_usec) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_(freep) char *path = NULL;
        sd_bus *bus = wait->monitor->client->bus;
        sd_bus_slot *slot;
        int r;

        r = watched_space_path(watched, wait->space, &path);
        if (r < 0)
                return r;
        r = client_request(wait->monitor->client, &request, path, GUESTMAP_INTERFACE_ADDRESS_SPACE,
                           "WaitChanges");
        if (r < 0)
                return r;
        r = sd_bus_message_append(request, "tt", wait->since, timeout_usec);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(request, false);
        if (r >= 0)
                r = sd_bus_call_async(bus, &slot, request, on_answer, wait,
                                      timeout_usec + ANSWER_USEC);
        if (r < 0)
                return r;
        (void)sd_bus_slot_set_destroy_callback(slot, wait_free);
        (void)sd_bus_slot_set_floating(slot, true);
        sd_bus_slot_unref(slot);
        return 0;
}

static void wait_new(Watched *watched, FollowedSpace *space, uint64_t timeout_usec) {
        Monitor *monitor = watched->monitor;
        Wait *wait = must(malloc(sizeof(*wait)));

        *wait = (Wait){
                .monitor = monitor,
                .watched = watched->number,
                .since = space->generation,
                .vm = must(strdup(watched->name)),
                .space = must(strdup(space->name)),
        };
        monitor->n_waits++;
        space->turn = ++monitor->turn;
        space->is_waited_for = send_request(wait, watched, timeout_usec) >= 0;
        if (space->is_waited_for)
                return;
        watched->is_ailing = true;
        wait_free(wait);
}

/* The space for which nobody has waited for the longest time, and how many there are. */
static FollowedSpace *next_space(Monitor *monitor, Watched **ret_watched, size_t *ret_n) {
        FollowedSpace *next = NULL;

        *ret_n = 0;
        for (size_t i = 0; i < monitor->n_watched; i++) {
                Follow *follow = &monitor->watched[i]->follow;

                if (!follow->has_begun || monitor->watched[i]->is_behind ||
                    !watched_answers(monitor->watched[i]))
                        continue;
                *ret_n += follow->n_spaces;
                for (size_t k = 0; k < follow->n_spaces; k++) {
                        FollowedSpace *space = &follow->spaces[k];

                        if (space->is_waited_for || (next && next->turn <= space->turn))
                                continue;
                        next = space;
                        *ret_watched = monitor->watched[i];
                }
        }
        return next;
}

void wait_for_changes(Monitor *monitor) {
        FollowedSpace *space;
        Watched *watched;
        size_t n;

        while (!monitor->is_heard && !monitor->is_away && monitor->n_waits < WAITS_MAX &&
               (space = next_space(monitor, &watched, &n)))
                wait_new(watched, space, n > WAITS_MAX ? TURN_USEC : ALONE_USEC);
}
