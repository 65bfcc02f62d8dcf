/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Monitor: one run of `guestmapctl monitor`
 *
 * Each VM that is watched has a Follow, which needs somebody who asks (monitor-ask.c), somebody who
 * prints (monitor-print.c), and somebody who tells it of commits: signals, or the answers of
 * WaitChanges (monitor-wait.c) where none come.
 *
 * Whether signals come cannot be asked: a bus says yes to a subscription and then keeps quiet. But
 * Committed is sent before WaitChanges is answered. So both are used until there is a commit: if
 * its signal is there first, signals do; if the answer is, they do not come here. A signal that
 * comes later changes that again.
 *
 * Now and then, and whenever something happened to the service or to a VM, ListVMs is asked: it
 * tells which VMs there are and how far each is. So not even the last signal can be lost unseen.
 */

#include <systemd/sd-event.h>

#include "client/client.h"
#include "client/follow.h"

typedef struct Monitor Monitor;
typedef struct Watched Watched;

enum {
        LOOK_HEARD_USEC = 5000000, /* signals tell the rest */
        LOOK_USEC = 1000000,
};

struct Watched {
        Monitor *monitor;
        uint64_t number; /* of those there have been; another VM of the name has another one */
        char *name;
        char *path;
        char *id; /* the VM's own; NULL until it could be asked */
        char *state;
        bool is_seen;     /* in the last list */
        bool is_ailing;   /* a call has failed; tried again at the next tick */
        bool is_doubted;  /* since then it was not asked whether it is the same VM */
        bool is_behind;   /* the service was away; nothing was asked since */
        uint64_t told;    /* the generation up to which a heading of a gap has told */
        uint64_t unheard; /* the first generation that no signal has told; 0: there was none */
        Follow follow;
};

struct Monitor {
        Client *client;
        sd_event *event;
        const char *vm;    /* NULL: all */
        const char *space; /* NULL: all */
        uint64_t until;    /* generation at which to end; UINT64_MAX: none */
        Watched **watched;
        size_t n_watched;
        uint64_t n_ever; /* how many there have been */
        bool has_begun;  /* all that were there at the beginning are watched */
        bool is_away;    /* nobody owns the name */
        bool is_heard;   /* signals come here */
        bool said_unheard;
        bool is_asking;  /* ListVMs is not answered yet */
        bool asks_again; /* something has happened since it was asked */
        size_t n_waits;  /* WaitChanges that are not answered yet */
        uint64_t turn;   /* of these in all */
};

/* monitor.c */
/* Asks for the list of VMs, and goes on from there. */
void monitor_look(Monitor *monitor);
Watched *monitor_find(const Monitor *monitor, const char *vm);
/*
 * A generation was found that no signal has told. The first one proves nothing: the service folds
 * signals, and was perhaps away. If there is a later one it is said that none come.
 */
void watched_note_unheard(Watched *watched, uint64_t generation);
/* Whether the VM answers calls, as far as is known. */
bool watched_answers(const Watched *watched);

/* monitor-ask.c: FollowOps; userdata is a Watched. */
int ask_list(void *userdata, SpaceList *ret);
int ask_changes(void *userdata, const char *space, uint64_t since, Answer *ret);
int ask_view(void *userdata, const char *space, uint64_t *ret_generation, Sections *ret);
int ask_id(Watched *watched, char **ret);
int watched_space_path(const Watched *watched, const char *space, char **ret);
/* No call shall take longer than the monitor may. */
void ask_limit(Monitor *monitor);

/* monitor-print.c: FollowOps, and what is told beside. */
void tell_view(void *userdata, const FollowedSpace *space);
void tell_commit(void *userdata, const Commit *commit);
void tell_gap(void *userdata, uint64_t previous, uint64_t generation, const char *why);
void tell_change(void *userdata, const Change *change, uint64_t previous, uint64_t generation);
void tell_vm(const Output *output, const char *vm, const char *event);
void tell_state(const Watched *watched);
void tell_service(const Output *output, bool is_running);

/* monitor-wait.c: has as many WaitChanges under way as may be. */
void wait_for_changes(Monitor *monitor);
