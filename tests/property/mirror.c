/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A listener that rebuilds the views from what it is told; see mirror.h. */

#include <stdlib.h>
#include <string.h>

#include "lib/memory/map-error.h"
#include "lib/memory/map.h"
#include "tests/property/mirror.h"

static void expect(Mirror *mirror, bool holds, const char *what) {
        if (!holds && !mirror->broken)
                mirror->broken = what;
}

static MirrorSpace *find_space(Mirror *mirror, const char *name) {
        MirrorSpace *space;

        for (size_t i = 0; i < mirror->n_spaces; i++)
                if (strcmp(mirror->spaces[i].name, name) == 0)
                        return &mirror->spaces[i];
        if (mirror->n_spaces == MIRROR_SPACES_MAX)
                abort();
        space = &mirror->spaces[mirror->n_spaces++];
        snprintf(space->name, sizeof(space->name), "%s", name);
        return space;
}

static size_t find_section(const Sections *sections, const Section *section) {
        for (size_t i = 0; i < sections->n; i++)
                if (section_same(&sections->items[i], section) &&
                    sections->items[i].flags == section->flags)
                        return i;
        return sections->n;
}

static int on_prepare(Listener *listener, const Commit *commit, Detail *detail) {
        Mirror *mirror = (Mirror *)listener;
        bool refuses = mirror->refuse_prepare;

        mirror->refuse_prepare = false;
        return refuses ? detail_set(detail, MAP_E_NO_MEMORY, "refused on purpose") : 0;
}

static int on_apply(Listener *listener, const Commit *commit, Detail *detail) {
        Mirror *mirror = (Mirror *)listener;
        bool fails = mirror->fail_apply;

        mirror->fail_apply = false;
        return fails ? detail_set(detail, MAP_E_KVM, MIRROR_FAILURE) : 0;
}

static void on_begin(Listener *listener) {
        Mirror *mirror = (Mirror *)listener;

        expect(mirror, !mirror->inside, "begin inside of a commit");
        mirror->inside = true;
}

static void on_commit(Listener *listener) {
        Mirror *mirror = (Mirror *)listener;

        expect(mirror, mirror->inside, "commit without begin");
        mirror->inside = false;
}

static void on_add(Listener *listener, const ListenerSection *told) {
        Mirror *mirror = (Mirror *)listener;
        MirrorSpace *space = find_space(mirror, told->space);
        Section added = told->section;

        for (size_t i = 0; i < space->sections.n; i++)
                expect(mirror, !range_overlaps(space->sections.items[i].range, added.range),
                       "region_add overlaps what is there");
        /* Logging is told by its own callback. */
        added.flags &= ~REGION_DIRTY_LOG;
        if (sections_append(&space->sections, &added, 1) < 0)
                abort();
}

static void on_del(Listener *listener, const ListenerSection *told) {
        Mirror *mirror = (Mirror *)listener;
        Sections *sections = &find_space(mirror, told->space)->sections;
        size_t i = 0;

        /* Who leaves is told first that logging ends; the snapshot still has the flag. */
        while (i < sections->n && !section_same(&sections->items[i], &told->section))
                i++;
        expect(mirror, i < sections->n, "region_del of what is not there");
        if (i < sections->n)
                sections->items[i] = sections->items[--sections->n];
}

static void set_log(Listener *listener, const ListenerSection *told, bool on) {
        Mirror *mirror = (Mirror *)listener;
        Sections *sections = &find_space(mirror, told->space)->sections;
        Section before = told->section;
        size_t i;

        before.flags &= ~REGION_DIRTY_LOG;
        if (!on)
                before.flags |= REGION_DIRTY_LOG;
        i = find_section(sections, &before);
        expect(mirror, i < sections->n, "log_start or log_stop of what is not there");
        if (i < sections->n)
                sections->items[i].flags ^= REGION_DIRTY_LOG;
}

static void on_log_start(Listener *listener, const ListenerSection *told, unsigned old,
                         unsigned new) {
        expect((Mirror *)listener, old == 0 && new == 1, "log_start from 0 to 1");
        set_log(listener, told, true);
}

static void on_log_stop(Listener *listener, const ListenerSection *told, unsigned old,
                        unsigned new) {
        expect((Mirror *)listener, old == 1 && new == 0, "log_stop from 1 to 0");
        set_log(listener, told, false);
}

static bool same_announced(const Announced *a, const Announced *b) {
        return range_equal(a->range, b->range) && a->region == b->region &&
               a->ioeventfd == b->ioeventfd && !a->coalesced == !b->coalesced;
}

static void announce(Listener *listener, const char *space, Announced announced, bool comes) {
        Mirror *mirror = (Mirror *)listener;
        AnnouncedList *list = &find_space(mirror, space)->announced;
        size_t i;

        if (comes) {
                if (announced_list_append(list, &announced, 1) < 0)
                        abort();
                return;
        }
        for (i = 0; i < list->n && !same_announced(&list->items[i], &announced); i++)
                ;
        expect(mirror, i < list->n, "eventfd_del or coalesced_del of what is not there");
        if (i < list->n)
                list->items[i] = list->items[--list->n];
}

static void announce_ioeventfd(Listener *listener, const ListenerSection *told,
                               const IOEventFD *ioeventfd, bool comes) {
        uint64_t first = told->section.range.first + (ioeventfd->offset - told->section.offset);
        uint64_t length = MAX_OF(ioeventfd->length, 1u);
        Announced announced = {.range = {first, first + length - 1},
                               .region = told->section.region,
                               .ioeventfd = (IOEventFD *)ioeventfd};

        announce(listener, told->space, announced, comes);
}

static void on_eventfd_add(Listener *listener, const ListenerSection *told,
                           const IOEventFD *ioeventfd) {
        announce_ioeventfd(listener, told, ioeventfd, true);
}

static void on_eventfd_del(Listener *listener, const ListenerSection *told,
                           const IOEventFD *ioeventfd) {
        announce_ioeventfd(listener, told, ioeventfd, false);
}

/* Which zone it is does not matter to who is told; any non-NULL pointer stands for it. */
static void announce_zone(Listener *listener, const ListenerSection *told, Range zone, bool comes) {
        Announced announced = {
                .range = zone, .region = told->section.region, .coalesced = (Coalesced *)listener};

        expect((Mirror *)listener, range_covers(told->section.range, zone),
               "a zone outside of its section");
        announce(listener, told->space, announced, comes);
}

static void on_coalesced_add(Listener *listener, const ListenerSection *told, Range zone) {
        announce_zone(listener, told, zone, true);
}

static void on_coalesced_del(Listener *listener, const ListenerSection *told, Range zone) {
        announce_zone(listener, told, zone, false);
}

static const ListenerOps mirror_ops = {
        .prepare = on_prepare,
        .apply = on_apply,
        .begin = on_begin,
        .region_add = on_add,
        .region_del = on_del,
        .log_start = on_log_start,
        .log_stop = on_log_stop,
        .eventfd_add = on_eventfd_add,
        .eventfd_del = on_eventfd_del,
        .coalesced_add = on_coalesced_add,
        .coalesced_del = on_coalesced_del,
        .commit = on_commit,
};

void mirror_init(Mirror *mirror, int priority) {
        *mirror = (Mirror){.listener = {.ops = &mirror_ops, .priority = priority}};
}

void mirror_deinit(Mirror *mirror) {
        for (size_t i = 0; i < mirror->n_spaces; i++) {
                sections_deinit(&mirror->spaces[i].sections);
                announced_list_deinit(&mirror->spaces[i].announced);
        }
}

static const char *check_space(const MirrorSpace *space, const FlatView *view) {
        const AnnouncedList *list = &space->announced;
        ViewCursor cursor;

        if (space->sections.n != flat_view_n_sections(view))
                return "the mirror has another number of sections";
        for (const Section *s = flat_view_first(view, &cursor, 0); s; s = flat_view_next(&cursor))
                if (find_section(&space->sections, s) == space->sections.n)
                        return "a section is not in the mirror";
        if (list->n != flat_view_n_announced(view))
                return "the mirror has another number of ioeventfds and zones";
        for (const Announced *a = flat_view_first_announced(view, &cursor, 0); a;
             a = flat_view_next_announced(&cursor)) {
                size_t j = 0;

                while (j < list->n && !same_announced(&list->items[j], a))
                        j++;
                if (j == list->n)
                        return "an ioeventfd or a zone is not in the mirror";
        }
        return NULL;
}

const char *mirror_check(Mirror *mirror, Map *map) {
        const Snapshot *snapshot = map_snapshot(map);
        static const FlatView nothing;
        const char *wrong;

        if (mirror->broken)
                return mirror->broken;
        if (mirror->inside)
                return "begin without commit";
        for (size_t i = 0; i < snapshot->n_spaces; i++)
                find_space(mirror, snapshot->spaces[i].space->name);
        for (size_t i = 0; i < mirror->n_spaces; i++) {
                const FlatView *view = snapshot_find(snapshot, mirror->spaces[i].name);

                wrong = check_space(&mirror->spaces[i], view ? view : &nothing);
                if (wrong)
                        return wrong;
        }
        return NULL;
}
