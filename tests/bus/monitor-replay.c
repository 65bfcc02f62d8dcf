/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <string.h>

#include "tests/bus/monitor-replay.h"
#include "tests/common/unit.h"

void replay_init(Replay *replay) {
        *replay = (Replay){.views = json_object_new_object(), .past = json_object_new_object()};
}

void replay_deinit(Replay *replay) {
        json_object_put(replay->views);
        json_object_put(replay->past);
        *replay = (Replay){};
}

void replay_forget(Replay *replay) {
        json_object_put(replay->views);
        json_object_put(replay->past);
        replay->views = json_object_new_object();
        replay->past = json_object_new_object();
}

void replay_remember(Replay *replay, uint64_t generation, json_object *views) {
        char key[24];

        snprintf(key, sizeof(key), "%" PRIu64, generation);
        json_object_object_add(replay->past, key, views);
}

static json_object *views_at(const Replay *replay, uint64_t generation) {
        char key[24];

        snprintf(key, sizeof(key), "%" PRIu64, generation);
        return json_object_object_get(replay->past, key);
}

static json_object *view_of(Replay *replay, const char *space) {
        json_object *view = NULL;

        if (json_object_object_get_ex(replay->views, space, &view))
                return view;
        view = json_object_new_object();
        json_object_object_add(replay->views, space, view);
        return view;
}

static const char *key_of(json_object *section) {
        return json_object_get_string(json_object_object_get(section, "first"));
}

static void apply_change(Replay *replay, json_object *event, const char *space) {
        json_object *removed = json_object_object_get(event, "removed");
        json_object *added = json_object_object_get(event, "added");
        json_object *view = view_of(replay, space);

        for (size_t i = 0; i < json_object_array_length(removed); i++) {
                json_object *section = json_object_array_get_idx(removed, i);

                assert_true(
                        json_object_equal(json_object_object_get(view, key_of(section)), section));
                json_object_object_del(view, key_of(section));
        }
        for (size_t i = 0; i < json_object_array_length(added); i++) {
                json_object *section = json_object_array_get_idx(added, i);

                assert_null(json_object_object_get(view, key_of(section)));
                json_object_object_add(view, key_of(section), json_object_get(section));
        }
}

static void begin_with(Replay *replay, json_object *sections, const char *space) {
        json_object *view = json_object_new_object();

        for (size_t i = 0; i < json_object_array_length(sections); i++) {
                json_object *section = json_object_array_get_idx(sections, i);

                json_object_object_add(view, key_of(section), json_object_get(section));
        }
        json_object_object_add(replay->views, space, view);
}

/* A view that nobody has asked for at that time is of a commit by whose time it was not known. */
static void check(Replay *replay, const char *space, uint64_t at) {
        json_object *views, *view, *nothing = json_object_new_object();

        views = views_at(replay, at);
        assert_non_null(views);
        if (!json_object_object_get_ex(views, space, &view))
                view = nothing;
        if (!json_object_equal(view, view_of(replay, space)))
                fail_msg("%s at generation %" PRIu64 ": %s instead of %s", space, at,
                         json_object_to_json_string(view_of(replay, space)),
                         json_object_to_json_string(view));
        json_object_put(nothing);
        replay->n_checked++;
}

static void take_changes(Replay *replay, json_object *event, uint64_t at) {
        json_object_object_foreach(json_object_object_get(event, "changes"), space, change) {
                apply_change(replay, change, space);
                check(replay, space, at);
        }
        replay->n_commits++;
}

static void take_event(Replay *replay, json_object *event) {
        const char *what = json_object_get_string(json_object_object_get(event, "event"));
        const char *space = json_object_get_string(json_object_object_get(event, "space"));
        uint64_t at = json_object_get_uint64(json_object_object_get(event, "generation"));

        if (strcmp(what, "view") == 0) {
                begin_with(replay, json_object_object_get(event, "sections"), space);
                check(replay, space, at);
        } else if (strcmp(what, "committed") == 0)
                take_changes(replay, event, at);
        else if (strcmp(what, "resynchronised") == 0)
                replay->n_gaps++;
        else if (strcmp(what, "changed") == 0) {
                apply_change(replay, event, space);
                check(replay, space, at);
                replay->n_changes++;
        }
}

void replay_take_lines(Replay *replay, FILE *lines) {
        static char line[1 << 20];
        long begin = ftell(lines);

        clearerr(lines);
        while (fgets(line, sizeof(line), lines) && strchr(line, '\n')) {
                json_object *event = json_tokener_parse(line);

                assert_non_null(event);
                take_event(replay, event);
                json_object_put(event);
                begin = ftell(lines);
        }
        fseek(lines, begin, SEEK_SET);
}

bool replay_is_at(const Replay *replay, uint64_t generation) {
        json_object *views = views_at(replay, generation), *nothing = json_object_new_object();
        bool is_same = true;

        json_object_object_foreach(replay->views, space, view) is_same &=
                json_object_equal(view, json_object_object_get_ex(views, space, NULL)
                                                ? json_object_object_get(views, space)
                                                : nothing);
        json_object_object_foreach(views, name, known) is_same &=
                json_object_object_length(known) == 0 ||
                json_object_object_get_ex(replay->views, name, NULL);
        json_object_put(nothing);
        return is_same;
}
