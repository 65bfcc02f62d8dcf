/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "lib/memory/map.h"
#include "lib/memory/tell.h"

/* Whom to call about one address space. */
typedef struct Audience {
        Map *map;
        Listener *only; /* NULL: all of the map's */
        const char *space;
        const FlatView *view;
} Audience;

static bool hears(const Audience *audience, const Listener *listener) {
        return (!audience->only || audience->only == listener) &&
               (!listener->space || strcmp(listener->space, audience->space) == 0);
}

static ListenerSection snapshot_of(const Audience *audience, const Section *section) {
        return (ListenerSection){*section, audience->space, audience->view};
}

/* Calls a callback of all who hear and have it: in ascending or in descending priority. */
#define TELL_UP(audience, callback, ...)                                                           \
        do {                                                                                       \
                Listener *listener_;                                                               \
                cds_list_for_each_entry(listener_, &(audience)->map->listeners, link)              \
                        if (listener_->ops->callback && hears(audience, listener_))                \
                                listener_->ops->callback(listener_, ##__VA_ARGS__);                \
        } while (0)

#define TELL_DOWN(audience, callback, ...)                                                         \
        do {                                                                                       \
                Listener *listener_;                                                               \
                cds_list_for_each_entry_reverse(listener_, &(audience)->map->listeners,            \
                                                link) if (listener_->ops->callback &&              \
                                                          hears(audience, listener_))              \
                        listener_->ops->callback(listener_, ##__VA_ARGS__);                        \
        } while (0)

static bool anybody_wants_nop(const Audience *audience) {
        Listener *listener;

        cds_list_for_each_entry(listener, &audience->map->listeners, link)
                if (hears(audience, listener) && listener->ops->region_nop)
                        return true;
        return false;
}

/* A section's zones in its view: all go or come with it. */
static void tell_zones(const Audience *audience, const Section *section, bool come) {
        const FlatView *view = audience->view;
        ListenerSection told = snapshot_of(audience, section);
        ViewCursor cursor;
        const Announced *zone = flat_view_first_announced(view, &cursor, section->range.first);

        for (; zone && zone->range.first <= section->range.last;
             zone = flat_view_next_announced(&cursor)) {
                if (!zone->coalesced)
                        continue;
                if (come)
                        TELL_UP(audience, coalesced_add, &told, zone->range);
                else
                        TELL_DOWN(audience, coalesced_del, &told, zone->range);
        }
}

/* A zone that goes or comes in a section that stays. */
static void tell_zone(const Audience *audience, const Announced *zone, bool come) {
        const Section *section = flat_view_find(audience->view, zone->range.first);
        ListenerSection told = snapshot_of(audience, section);

        if (come)
                TELL_UP(audience, coalesced_add, &told, zone->range);
        else
                TELL_DOWN(audience, coalesced_del, &told, zone->range);
}

/* The next zone in the list, from *i on, that starts below `limit` (NULL: any). */
static const Announced *next_zone(const AnnouncedList *list, size_t *i, const Section *limit) {
        while (*i < list->n && (!limit || list->items[*i].range.first < limit->range.first)) {
                const Announced *announced = &list->items[(*i)++];

                if (announced->coalesced)
                        return announced;
        }
        return NULL;
}

/* The zones of a section that goes or comes are told with it. */
static void skip_announced(const AnnouncedList *list, size_t *i, const Section *section) {
        while (*i < list->n && list->items[*i].range.first <= section->range.last)
                (*i)++;
}

static void tell_deletions(const Audience *audience, const Diff *diff) {
        const Announced *zone;
        size_t z = 0;

        for (size_t i = 0; i <= diff->removed.n; i++) {
                const Section *section = i < diff->removed.n ? &diff->removed.items[i] : NULL;

                while ((zone = next_zone(&diff->announced_removed, &z, section)))
                        tell_zone(audience, zone, false);
                if (!section)
                        break;
                skip_announced(&diff->announced_removed, &z, section);
                tell_zones(audience, section, false);
                ListenerSection told = snapshot_of(audience, section);
                TELL_DOWN(audience, region_del, &told);
        }
}

static void tell_added(const Audience *audience, const Section *section) {
        ListenerSection told = snapshot_of(audience, section);

        TELL_UP(audience, region_add, &told);
        tell_zones(audience, section, true);
        if (section->flags & REGION_DIRTY_LOG)
                TELL_UP(audience, log_start, &told, 0, 1);
}

static void tell_kept(const Audience *audience, const Section *section, const Relogged *relogged) {
        ListenerSection told = snapshot_of(audience, section);

        TELL_UP(audience, region_nop, &told);
        if (!relogged)
                return;
        if (relogged->new.flags & REGION_DIRTY_LOG)
                TELL_UP(audience, log_start, &told, 0, 1);
        else
                TELL_DOWN(audience, log_stop, &told, 1, 0);
}

/* Where the pass over the new view stands in each of the diff's lists. */
typedef struct Cursor {
        size_t added;
        size_t relogged;
        size_t zone;
} Cursor;

static const Section *added_at(const Diff *diff, const Cursor *at) {
        return at->added < diff->added.n ? &diff->added.items[at->added] : NULL;
}

static const Relogged *relogged_at(const Diff *diff, const Cursor *at) {
        return at->relogged < diff->n_relogged ? &diff->relogged[at->relogged] : NULL;
}

/* The zones below the limit that came to sections that stayed. */
static void tell_new_zones(const Audience *audience, const Diff *diff, Cursor *at,
                           const Section *limit) {
        const Announced *zone;

        while ((zone = next_zone(&diff->announced_added, &at->zone, limit)))
                tell_zone(audience, zone, true);
}

/* One section of the new view: it is new, or it stays. */
static void tell_section(const Audience *audience, const Diff *diff, Cursor *at,
                         const Section *section) {
        const Section *added = added_at(diff, at);
        const Relogged *relogged = relogged_at(diff, at);

        tell_new_zones(audience, diff, at, section);
        if (added && added->range.first == section->range.first) {
                at->added++;
                skip_announced(&diff->announced_added, &at->zone, section);
                tell_added(audience, section);
        } else if (relogged && relogged->new.range.first == section->range.first) {
                at->relogged++;
                tell_kept(audience, section, relogged);
        } else {
                tell_kept(audience, section, NULL);
        }
}

/* Of what is new and what was re-flagged the one that comes first; NULL at the end. */
static const Section *next_changed(const Diff *diff, const Cursor *at) {
        const Section *added = added_at(diff, at);
        const Relogged *relogged = relogged_at(diff, at);

        if (!relogged || (added && added->range.first < relogged->new.range.first))
                return added;
        return &relogged->new;
}

static void tell_additions(const Audience *audience, const Diff *diff) {
        const Section *section;
        ViewCursor cursor;
        Cursor at = {};

        if (anybody_wants_nop(audience))
                for (section = flat_view_first(audience->view, &cursor, 0); section;
                     section = flat_view_next(&cursor))
                        tell_section(audience, diff, &at, section);
        else
                while ((section = next_changed(diff, &at)))
                        tell_section(audience, diff, &at, section);
        tell_new_zones(audience, diff, &at, NULL);
}

void tell_space(Map *map, Listener *only, const SpaceChange *change) {
        tell_deletions(&(Audience){map, only, change->space, change->old}, change->diff);
        tell_additions(&(Audience){map, only, change->space, change->new}, change->diff);
}

static void tell_eventfds_gone(const Audience *audience, const AnnouncedList *removed) {
        for (size_t i = 0; i < removed->n; i++) {
                const Announced *gone = &removed->items[i];

                if (!gone->ioeventfd)
                        continue;
                ListenerSection told =
                        snapshot_of(audience, flat_view_find(audience->view, gone->range.first));
                TELL_DOWN(audience, eventfd_del, &told, gone->ioeventfd);
        }
}

static void tell_eventfds_come(const Audience *audience, const AnnouncedList *added) {
        for (size_t i = 0; i < added->n; i++) {
                const Announced *come = &added->items[i];

                if (!come->ioeventfd)
                        continue;
                ListenerSection told =
                        snapshot_of(audience, flat_view_find(audience->view, come->range.first));
                TELL_UP(audience, eventfd_add, &told, come->ioeventfd);
        }
}

void tell_eventfds(Map *map, Listener *only, const Commit *commit) {
        const SpaceChange *change;

        for (size_t i = 0; i < commit->n_changes; i++) {
                change = &commit->changes[i];
                tell_eventfds_gone(&(Audience){map, only, change->space, change->old},
                                   &change->diff->announced_removed);
        }
        for (size_t i = 0; i < commit->n_changes; i++) {
                change = &commit->changes[i];
                tell_eventfds_come(&(Audience){map, only, change->space, change->new},
                                   &change->diff->announced_added);
        }
}

void listeners_tell(const Commit *commit) {
        Map *map = commit->map;
        Listener *listener;

        cds_list_for_each_entry(listener, &map->listeners, link)
                if (listener->ops->begin)
                        listener->ops->begin(listener);
        for (size_t i = 0; i < commit->n_changes; i++)
                tell_space(map, NULL, &commit->changes[i]);
        tell_eventfds(map, NULL, commit);
        cds_list_for_each_entry(listener, &map->listeners, link)
                if (listener->ops->commit)
                        listener->ops->commit(listener);
}
