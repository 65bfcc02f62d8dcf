/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Maps built by hand; see scene.h. */

#include <inttypes.h>

#include "lib/memory/commit.h"
#include "tests/common/scene.h"

static const char *const flag_words[] = {"readonly", "nonvolatile", "unmergeable", "romd",
                                         "dirty-log"};

static void must(int r, const char *what, const char *name, const Detail *detail) {
        if (r == 0)
                return;
        fprintf(stderr, "%s \"%s\": outcome %d: %s\n", what, name, r, detail->text);
        abort();
}

Map *scene_new_empty(void) {
        Map *map = NULL;

        must(map_new(&map, &map_limits_default), "map", "", &(Detail){});
        return map;
}

Map *scene_new(void) {
        Map *map = scene_new_empty();

        must_edit(map, add_region(REGION_CONTAINER, "system", SIZE_WHOLE, NULL, 0, 0));
        must_edit_commit(map, add_space("memory", "system"));
        return map;
}

void must_edit(Map *map, Edit edit) {
        Detail detail = {};

        must(map_edit(map, &edit, &detail), "edit of", edit.name, &detail);
}

void must_commit(Map *map) {
        _cleanup_(commit_freep) Commit *commit = NULL;
        Detail detail = {};

        must(commit_new(&commit, map, &detail), "commit", "prepare", &detail);
        must(commit_apply(commit, &detail), "commit", "apply", &detail);
}

void must_edit_commit(Map *map, Edit edit) {
        must_edit(map, edit);
        must_commit(map);
}

IOEventFD *must_ioeventfd(uint64_t offset, uint32_t length, bool match, uint64_t data) {
        IOEventFD *ioeventfd = NULL;

        must(ioeventfd_new(&ioeventfd, offset, length, match, data, -1), "ioeventfd", "",
             &(Detail){});
        return ioeventfd;
}

void must_add_ioeventfd(Map *map, const char *region, uint64_t offset, uint32_t length, bool match,
                        uint64_t data) {
        _cleanup_(ioeventfd_unrefp) IOEventFD *ioeventfd =
                must_ioeventfd(offset, length, match, data);

        must_edit(map, add_ioeventfd(region, ioeventfd));
}

void must_set_constant(Map *map, const char *region, uint64_t value) {
        _cleanup_(handler_unrefp) Handler *handler = NULL;

        must(handler_new_constant(&handler, value), "handler of", region, &(Detail){});
        must_edit(map, set_handler(region, handler));
}

void must_set_latch(Map *map, const char *region, uint64_t value) {
        _cleanup_(handler_unrefp) Handler *handler = NULL;

        must(handler_new_latch(&handler, value), "handler of", region, &(Detail){});
        must_edit(map, set_handler(region, handler));
}

Region *must_find(Map *map, const char *name) {
        Region *region = map_find_region(map, name);

        must(region ? 0 : MAP_E_NO_SUCH_REGION, "region", name, &(Detail){});
        return region;
}

static void print_flags(FILE *f, uint32_t flags) {
        for (size_t i = 0; i < ELEMENTS_OF(flag_words); i++)
                if (flags & (1U << i))
                        fprintf(f, " %s", flag_words[i]);
}

static void print_section(FILE *f, const Section *s) {
        fprintf(f, "%" PRIx64 "-%" PRIx64 " %s@%" PRIx64 " %s", s->range.first, s->range.last,
                s->region->name, s->offset, region_kind_to_string(s->kind));
        print_flags(f, s->flags);
        fputc('\n', f);
}

static void print_ioeventfd(FILE *f, const IOEventFD *ioeventfd) {
        fprintf(f, " length %u", ioeventfd->length);
        if (ioeventfd->match)
                fprintf(f, " data %" PRIx64, ioeventfd->data);
}

static void print_announced(FILE *f, const Announced *a) {
        fprintf(f, "%s %" PRIx64 "-%" PRIx64 " %s", a->ioeventfd ? "eventfd" : "coalesced",
                a->range.first, a->range.last, a->region->name);
        if (a->ioeventfd)
                print_ioeventfd(f, a->ioeventfd);
        fputc('\n', f);
}

static void print_view(FILE *f, const FlatView *view) {
        ViewCursor cursor;

        if (!view)
                return;
        for (const Section *s = flat_view_first(view, &cursor, 0); s; s = flat_view_next(&cursor))
                print_section(f, s);
        for (const Announced *a = flat_view_first_announced(view, &cursor, 0); a;
             a = flat_view_next_announced(&cursor))
                print_announced(f, a);
}

static void print_ioeventfds(FILE *f, const Region *region) {
        const IOEventFD *next = ioeventfds_first(&region->ioeventfds, 0);

        for (; next; next = ioeventfd_next(next)) {
                fprintf(f, "  ioeventfd at %" PRIx64, next->offset);
                print_ioeventfd(f, next);
                fputc('\n', f);
        }
}

static void print_zones(FILE *f, const Region *region) {
        const Coalesced *next = zones_first(&region->coalesced, 0);

        for (; next; next = coalesced_next(next))
                fprintf(f, "  zone %" PRIx64 "-%" PRIx64 "\n", next->range.first, next->range.last);
}

static void print_region(FILE *f, const Region *region) {
        const RegionState *s = &region->state;

        fprintf(f,
                "%s: %s size %" PRIx64 " in %s at %" PRIx64 " priority %d place %" PRIu64
                " target-offset %" PRIx64 " flags %x children %u aliases %u%s handler %p\n",
                region->name, region_kind_to_string(region->kind), s->size,
                s->parent ? s->parent->name : "nothing", s->offset, s->priority, s->place,
                s->target_offset, s->flags, region->n_children, region->n_aliases,
                region->view ? " root" : "", (void *)region->handler);
        print_ioeventfds(f, region);
        print_zones(f, region);
        for (Region *c = NULL; (c = region_child_any(region, c));)
                fprintf(f, "  child %s\n", c->name);
}

static void print_counters(FILE *f, const Map *map) {
        fprintf(f,
                "generation %" PRIu64 " regions %" PRIu64 " spaces %" PRIu64 " ioeventfds %" PRIu64
                " zones %" PRIu64 " ram %" PRIx64 " log %x\n",
                map->generation, map->n_regions, map->n_spaces, map->n_ioeventfds, map->n_coalesced,
                map->ram_bytes, map->log_global);
}

char *scene_sections_text(const Section *sections, size_t n) {
        char *text = NULL;
        size_t length;
        FILE *f = open_memstream(&text, &length);

        for (size_t i = 0; i < n; i++)
                print_section(f, &sections[i]);
        fclose(f);
        return text;
}

char *scene_announced_text(const Announced *announced, size_t n) {
        char *text = NULL;
        size_t length;
        FILE *f = open_memstream(&text, &length);

        for (size_t i = 0; i < n; i++)
                print_announced(f, &announced[i]);
        fclose(f);
        return text;
}

char *scene_view_text(const FlatView *view) {
        char *text = NULL;
        size_t length;
        FILE *f = open_memstream(&text, &length);

        print_view(f, view);
        fclose(f);
        return text;
}

const FlatView *scene_published(Map *map, const char *space) {
        return snapshot_find(map_snapshot(map), space);
}

char *scene_view(Map *map, const char *space) {
        return scene_view_text(scene_published(map, space));
}

char *scene_text(Map *map) {
        char *text = NULL;
        size_t length;
        FILE *f = open_memstream(&text, &length);
        AddressSpace *space;

        print_counters(f, map);
        for (Region *r = map_next_region(map, ""); r; r = map_next_region(map, r->name))
                print_region(f, r);
        RB_FOREACH(space, AddressSpaces, &map->spaces) {
                fprintf(f, "space %s root %s since %" PRIu64 "\n", space->name,
                        space->view->root->name, space->generation);
                print_view(f, scene_published(map, space->name));
        }
        fclose(f);
        return text;
}
