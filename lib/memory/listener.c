/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "lib/memory/listener.h"
#include "lib/memory/map.h"
#include "lib/memory/tell.h"

int listeners_prepare(const Commit *commit, size_t *n_prepared, Detail *detail) {
        Listener *listener;
        int r;

        cds_list_for_each_entry(listener, &commit->map->listeners, link) {
                r = listener->ops->prepare ? listener->ops->prepare(listener, commit, detail) : 0;
                if (r != 0)
                        return r;
                (*n_prepared)++;
        }
        return 0;
}

void listeners_settle(const Commit *commit, size_t n) {
        Listener *listener;

        cds_list_for_each_entry(listener, &commit->map->listeners, link) {
                if (n-- == 0)
                        break;
                if (listener->ops->settle)
                        listener->ops->settle(listener, commit);
        }
}

int listeners_apply(const Commit *commit, Detail *detail) {
        struct cds_list_head *listeners = &commit->map->listeners, *undone;
        Listener *listener;
        int r;

        cds_list_for_each_entry(listener, listeners, link) {
                r = listener->ops->apply ? listener->ops->apply(listener, commit, detail) : 0;
                if (r == 0)
                        continue;
                for (undone = listener->link.prev; undone != listeners; undone = undone->prev) {
                        listener = cds_list_entry(undone, Listener, link);
                        if (listener->ops->undo)
                                listener->ops->undo(listener, commit);
                }
                return r;
        }
        return 0;
}

void listeners_published(const Commit *commit) {
        Listener *listener;

        cds_list_for_each_entry(listener, &commit->map->listeners, link)
                if (listener->ops->published)
                        listener->ops->published(listener, commit);
}

/* A commit for one listener: from nothing to the present state, or from there to nothing. */
typedef struct Replay {
        Commit commit;
        Diff *diffs;
} Replay;

static void replay_deinit(Replay *replay) {
        for (size_t i = 0; replay->diffs && i < replay->commit.n_changes; i++)
                diff_deinit(&replay->diffs[i]);
        free(replay->diffs);
        free(replay->commit.changes);
}

static int replay_init(Replay *replay, Map *map, bool come) {
        size_t n = MAX_OF(map->snapshot->n_spaces, 1u);
        int r;

        *replay = (Replay){.commit = {.map = map, .generation = map->generation}};
        replay->diffs = calloc(n, sizeof(*replay->diffs));
        replay->commit.changes = calloc(n, sizeof(*replay->commit.changes));
        if (!replay->diffs || !replay->commit.changes)
                return -ENOMEM;
        for (size_t i = 0; i < map->snapshot->n_spaces; i++) {
                const FlatView *view = map->snapshot->spaces[i].view;
                const FlatView *old = come ? map->empty_view : view;
                const FlatView *new = come ? view : map->empty_view;
                Diff *diff = &replay->diffs[i];

                replay->commit.changes[replay->commit.n_changes++] =
                        (SpaceChange){map->snapshot->spaces[i].space->name, old, new, diff};
                r = diff_views(diff, old, new);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Prepare, apply and settle of one listener alone. */
static int carry_out(Listener *listener, const Commit *commit, Detail *detail) {
        const ListenerOps *ops = listener->ops;
        int r = 0;

        if (ops->prepare) {
                r = ops->prepare(listener, commit, detail);
                if (r != 0)
                        return r;
        }
        if (ops->apply)
                r = ops->apply(listener, commit, detail);
        if (ops->settle)
                ops->settle(listener, commit);
        return r;
}

static void tell_replay(Listener *listener, Map *map, const Commit *commit) {
        for (size_t i = 0; i < commit->n_changes; i++)
                tell_space(map, listener, &commit->changes[i]);
        tell_eventfds(map, listener, commit);
}

static bool follows(const Listener *listener, const char *space) {
        return !listener->space || strcmp(listener->space, space) == 0;
}

static void stop_logging(Listener *listener, const SpaceChange *change) {
        const FlatView *view = change->old;
        const Section *section;
        ViewCursor cursor;

        if (!listener->ops->log_stop || !follows(listener, change->space))
                return;
        for (section = flat_view_first(view, &cursor, 0); section;
             section = flat_view_next(&cursor))
                if (section->flags & REGION_DIRTY_LOG)
                        listener->ops->log_stop(
                                listener, &(ListenerSection){*section, change->space, view}, 1, 0);
}

/* The reverse of a replay: what came last goes first. */
static void tell_withdrawal(Listener *listener, Map *map, const Commit *commit) {
        tell_eventfds(map, listener, commit);
        for (size_t i = 0; i < commit->n_changes; i++) {
                stop_logging(listener, &commit->changes[i]);
                tell_space(map, listener, &commit->changes[i]);
        }
}

/* Behind all of lower or equal priority. */
static void link_listener(Listener *listener, Map *map) {
        struct cds_list_head *behind = map->listeners.prev;

        while (behind != &map->listeners &&
               cds_list_entry(behind, Listener, link)->priority > listener->priority)
                behind = behind->prev;
        cds_list_add(&listener->link, behind);
}

/* Begin, all there is, commit. Once something was told nothing but global logging can fail. */
static int tell_arrival(Listener *listener, Map *map, const Commit *commit, Detail *detail) {
        const ListenerOps *ops = listener->ops;
        int r = 0;

        if (ops->begin)
                ops->begin(listener);
        if (map->log_global && ops->log_global_start)
                r = ops->log_global_start(listener, detail);
        if (r == 0)
                tell_replay(listener, map, commit);
        if (ops->commit)
                ops->commit(listener);
        return r;
}

/* Without memory for this the listener is left with what it has. */
static void withdraw(Listener *listener, Map *map, bool told) {
        _cleanup_(replay_deinit) Replay replay = {};
        const ListenerOps *ops = listener->ops;

        if (replay_init(&replay, map, false) < 0)
                return;
        if (told) {
                if (ops->begin)
                        ops->begin(listener);
                tell_withdrawal(listener, map, &replay.commit);
                if (map->log_global && ops->log_global_stop)
                        ops->log_global_stop(listener);
                if (ops->commit)
                        ops->commit(listener);
        }
        (void)carry_out(listener, &replay.commit, NULL);
}

int listener_register(Listener *listener, Map *map, Detail *detail) {
        _cleanup_(replay_deinit) Replay replay = {};
        int r;

        r = replay_init(&replay, map, true);
        if (r == 0)
                r = carry_out(listener, &replay.commit, detail);
        if (r != 0)
                return r;
        link_listener(listener, map);
        r = tell_arrival(listener, map, &replay.commit, detail);
        if (r != 0) {
                withdraw(listener, map, false);
                cds_list_del(&listener->link);
        }
        return r;
}

void listener_unregister(Listener *listener, Map *map) {
        withdraw(listener, map, true);
        cds_list_del(&listener->link);
}

static void set_global_log(Map *map, bool on) {
        Region *region;

        cds_list_for_each_entry(region, &map->backed, link)
                page_log_set_on(&region->backing->log, PAGE_LOG_VM, on);
}

/* What was written before the log begins is nobody's concern. -ENOMEM. */
static int begin_global_log(Map *map) {
        Region *region;
        int r;

        cds_list_for_each_entry(region, &map->backed, link) {
                r = page_log_begin(&region->backing->log, PAGE_LOG_VM);
                if (r < 0)
                        return r;
        }
        map_log_sync(map);
        cds_list_for_each_entry(region, &map->backed, link)
                page_log_clear(&region->backing->log, PAGE_LOG_VM);
        set_global_log(map, true);
        return 0;
}

int map_log_global_start(Map *map, unsigned reason, Detail *detail) {
        struct cds_list_head *stopped;
        Listener *listener;
        int r;

        if (map->log_global) {
                map->log_global |= reason;
                return 0;
        }
        r = begin_global_log(map);
        if (r < 0)
                return r;
        cds_list_for_each_entry(listener, &map->listeners, link) {
                r = listener->ops->log_global_start
                            ? listener->ops->log_global_start(listener, detail)
                            : 0;
                if (r == 0)
                        continue;
                for (stopped = listener->link.prev; stopped != &map->listeners;
                     stopped = stopped->prev) {
                        listener = cds_list_entry(stopped, Listener, link);
                        if (listener->ops->log_global_stop)
                                listener->ops->log_global_stop(listener);
                }
                set_global_log(map, false);
                return r;
        }
        map->log_global = reason;
        return 0;
}

void map_log_global_stop(Map *map, unsigned reason) {
        Listener *listener;
        bool was_on = map->log_global;

        map->log_global &= ~reason;
        if (!was_on || map->log_global)
                return;
        cds_list_for_each_entry_reverse(listener, &map->listeners,
                                        link) if (listener->ops->log_global_stop)
                listener->ops->log_global_stop(listener);
        set_global_log(map, false);
}

static void sync_sections(Map *map, Listener *listener) {
        const Snapshot *snapshot = map->snapshot;

        for (size_t i = 0; i < snapshot->n_spaces; i++) {
                const char *space = snapshot->spaces[i].space->name;
                const FlatView *view = snapshot->spaces[i].view;
                ViewCursor cursor;

                if (!follows(listener, space))
                        continue;
                for (const Section *section = flat_view_first(view, &cursor, 0); section;
                     section = flat_view_next(&cursor))
                        if (map->log_global || (section->flags & REGION_DIRTY_LOG))
                                listener->ops->log_sync(listener,
                                                        &(ListenerSection){*section, space, view});
        }
}

void map_log_sync(Map *map) {
        Listener *listener;

        cds_list_for_each_entry(listener, &map->listeners, link) {
                if (listener->ops->log_sync_global)
                        listener->ops->log_sync_global(listener);
                else if (listener->ops->log_sync)
                        sync_sections(map, listener);
        }
}
