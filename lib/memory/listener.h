/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Listener: whoever must follow flat views
 *
 * Two kinds of callbacks, any of which may be NULL.
 *
 * Taking part, in ascending priority:
 *   prepare    the commit's changes are known, nothing has happened; may refuse.
 *   apply      carry the changes out; may fail, and has then already undone its own part.
 *   undo       take an apply() back because a later listener failed; descending; cannot fail.
 *   published  all have applied, and readers have just been given the new views: what was held up
 *              while the two differed goes on; cannot fail. Not called when registering.
 *   settle     after the last of the above, applied or not: forget what prepare() remembered.
 * In commits that change a view or whose handlers change: then there may be no change of a view.
 *
 * Being told, once the commit is in force; these cannot fail. Order within one commit:
 *   1. begin, ascending priority.
 *   2. per address space, by name: deletions in ascending address, descending priority:
 *      coalesced_del of the section's zones, region_del; then in ascending address: a section that
 *      stayed gets region_nop, then log_start if dirty logging began, log_stop (descending) if it
 *      ended; a new one gets region_add, coalesced_add, log_start; ascending.
 *   3. all eventfd_del (descending), then all eventfd_add (ascending); each by address space.
 *   4. commit, ascending priority.
 * Equal priorities: order of registration. A listener without region_nop is not visited for
 * sections that did not change. A commit that changes no view calls begin and commit only.
 *
 * Registration replays the present state to the new listener alone: begin, log_global_start if
 * global logging is on, per section region_add, coalesced_adds, log_start, then the ioeventfds,
 * commit. Unregistration replays the reverse.
 *
 * Callbacks run on the map's thread and must not edit the map.
 *
 * Source: QEMU's MemoryListener.
 */

#include <stdbool.h>
#include <stdint.h>
#include <urcu/list.h>

#include "lib/memory/commit.h"
#include "lib/memory/flat-view.h"
#include "lib/util/detail.h"

typedef struct Listener Listener;
typedef struct ListenerOps ListenerOps;
typedef struct ListenerSection ListenerSection;
typedef struct Map Map;

enum {
        LISTENER_PRIORITY_OBSERVER = 0,
        LISTENER_PRIORITY_ACCELERATOR = 10,
        LISTENER_PRIORITY_DEVICE_BACKEND = 10,
};

/* A snapshot, and the view (old for deletions, new for the rest) that it belongs to. */
struct ListenerSection {
        Section section;
        const char *space;
        const FlatView *view;
};

struct ListenerOps {
        int (*prepare)(Listener *listener, const Commit *commit, Detail *detail);
        int (*apply)(Listener *listener, const Commit *commit, Detail *detail);
        void (*undo)(Listener *listener, const Commit *commit);
        void (*published)(Listener *listener, const Commit *commit);
        void (*settle)(Listener *listener, const Commit *commit);

        void (*begin)(Listener *listener);
        void (*region_add)(Listener *listener, const ListenerSection *section);
        void (*region_del)(Listener *listener, const ListenerSection *section);
        void (*region_nop)(Listener *listener, const ListenerSection *section);
        /* old and new: masks of the reasons to log; only bit 0 is in use. */
        void (*log_start)(Listener *listener, const ListenerSection *section, unsigned old,
                          unsigned new);
        void (*log_stop)(Listener *listener, const ListenerSection *section, unsigned old,
                         unsigned new);
        void (*log_sync)(Listener *listener, const ListenerSection *section);
        void (*log_sync_global)(Listener *listener);
        int (*log_global_start)(Listener *listener, Detail *detail);
        void (*log_global_stop)(Listener *listener);
        void (*eventfd_add)(Listener *listener, const ListenerSection *section,
                            const IOEventFD *ioeventfd);
        void (*eventfd_del)(Listener *listener, const ListenerSection *section,
                            const IOEventFD *ioeventfd);
        void (*coalesced_add)(Listener *listener, const ListenerSection *section, Range zone);
        void (*coalesced_del)(Listener *listener, const ListenerSection *section, Range zone);
        void (*commit)(Listener *listener);
};

struct Listener {
        const ListenerOps *ops;
        int priority;
        const char *space;         /* the one address space to follow; NULL for all */
        struct cds_list_head link; /* in Map.listeners, ascending priority */
};

/*
 * Links the listener into the map and replays the present state to it: prepare and apply with a
 * commit that adds everything, then the callbacks. On failure it is not linked.
 */
int listener_register(Listener *listener, Map *map, Detail *detail);
void listener_unregister(Listener *listener, Map *map);

/* Dirty tracking of everything, by reasons (a bit each): the first starts it, the last ends it. */
int map_log_global_start(Map *map, unsigned reason, Detail *detail);
void map_log_global_stop(Map *map, unsigned reason);
/* Asks for the dirty bits of every logged section: log_sync_global, else log_sync for each. */
void map_log_sync(Map *map);
