/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * draw: asks for the tree and the views of one generation, and has them drawn
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "client/draw.h"
#include "client/json-read.h"
#include "client/layout.h"
#include "client/out-file.h"
#include "client/verb.h"
#include "client/view.h"

enum { ATTEMPTS_MAX = 10 };

/* What a drawing borrows. */
typedef struct Scene {
        json_object *layout;
        RegionTree tree;
        Sections *now;
        Sections *was;
        Drawing drawing;
} Scene;

static void scene_deinit(Scene *scene) {
        Drawing *drawing = &scene->drawing;

        for (size_t i = 0; i < drawing->n_spaces; i++) {
                picture_free(drawing->spaces[i].picture);
                sections_deinit(&scene->now[i]);
                sections_deinit(&scene->was[i]);
        }
        free(drawing->spaces);
        free(scene->now);
        free(scene->was);
        region_tree_deinit(&scene->tree);
        json_object_put(scene->layout);
        *scene = (Scene){};
}

static int fetch_generation(Client *client, const char *vm_path, uint64_t *ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = client_method(client, &reply, vm_path, "org.freedesktop.DBus.Properties", "Get", "ss",
                          GUESTMAP_INTERFACE_VM, "Generation");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "v", "t", ret);
        return r < 0 ? client_cannot_read(r) : 0;
}

/* The spaces of the layout, or the one that is wanted. */
static int find_spaces(Scene *scene, const char *vm, const char *wanted) {
        json_object *list = json_get_list(scene->layout, "address-spaces");
        Drawing *drawing = &scene->drawing;
        size_t n = json_length(list);

        drawing->spaces = must(calloc(n + 1, sizeof(*drawing->spaces)));
        scene->now = must(calloc(n + 1, sizeof(*scene->now)));
        scene->was = must(calloc(n + 1, sizeof(*scene->was)));
        for (size_t i = 0; i < n; i++) {
                json_object *space = json_object_array_get_idx(list, i);
                const char *name = json_get_text(space, "name");

                if (wanted && strcmp(name, wanted) != 0)
                        continue;
                drawing->spaces[drawing->n_spaces++] = (DrawingSpace){
                        .name = name,
                        .root = region_tree_find(&scene->tree, json_get_text(space, "root")),
                };
        }
        if (wanted && drawing->n_spaces == 0)
                return fail("VM \"%s\" has no address space \"%s\"", vm, wanted);
        return 0;
}

static int fetch_space(Scene *scene, Client *client, const char *vm_path, size_t i) {
        Drawing *drawing = &scene->drawing;
        DrawingSpace *space = &drawing->spaces[i];
        Sections *now = &scene->now[i], *was = &scene->was[i];
        uint64_t generation;
        int r;

        r = view_fetch(client, vm_path, space->name, &generation, now);
        if (r < 0)
                return r;
        if (generation != drawing->generation)
                return -EAGAIN;
        if (drawing->compared) {
                r = view_fetch_older(client, vm_path, space->name, drawing->from, generation, now,
                                     was);
                if (r < 0)
                        return r;
        }
        space->sections = now;
        space->picture = picture_new(space->root, now, drawing->compared ? was : NULL);
        return 0;
}

static int check_from(const Drawing *drawing) {
        if (drawing->compared && drawing->from > drawing->generation)
                return fail("--from=%" PRIu64 ": VM \"%s\" is at generation %" PRIu64 " only",
                            drawing->from, drawing->vm, drawing->generation);
        return 0;
}

/* -EAGAIN if the map has changed meanwhile. */
static int fetch(Scene *scene, Client *client, const char *vm_path, const char *space) {
        Drawing *drawing = &scene->drawing;
        int r;

        r = fetch_generation(client, vm_path, &drawing->generation);
        if (r < 0)
                return r;
        r = check_from(drawing);
        if (r < 0)
                return r;
        r = layout_fetch(client, vm_path, &scene->layout);
        if (r < 0)
                return r;
        region_tree_init(&scene->tree, json_get_list(scene->layout, "regions"));
        r = find_spaces(scene, drawing->vm, space);
        for (size_t i = 0; r >= 0 && i < drawing->n_spaces; i++)
                r = fetch_space(scene, client, vm_path, i);
        if (r < 0)
                return r;
        drawing->tree = &scene->tree;
        drawing_group(drawing);
        return 0;
}

static int fetch_at_rest(Scene *ret, Client *client, char **arguments) {
        _cleanup_(freep) char *path = NULL;
        Drawing wanted = {.vm = arguments[0], .compared = client_given(client, OPTION_FROM)};
        int r = 0;

        if (wanted.compared)
                r = client_number(client->options[OPTION_FROM], "generation", &wanted.from);
        if (r >= 0)
                r = client_find_vm(client, arguments[0], &path);
        if (r < 0)
                return r;
        for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
                scene_deinit(ret);
                ret->drawing = wanted;
                r = fetch(ret, client, path, arguments[1]);
                if (r != -EAGAIN)
                        return r;
        }
        return fail("VM \"%s\" changes faster than its map can be read", arguments[0]);
}

static void print_svg(void *userdata, FILE *out) {
        draw_svg(userdata, out);
}

static void print_html(void *userdata, FILE *out) {
        draw_html(userdata, out);
}

static int draw(Client *client, Drawing *drawing) {
        Canvas canvas;
        int r = 0;

        canvas_init(&canvas, &client->output);
        if (client_given(client, OPTION_SVG))
                r = out_file_write(client->options[OPTION_SVG], print_svg, drawing);
        if (r >= 0 && client_given(client, OPTION_HTML))
                r = out_file_write(client->options[OPTION_HTML], print_html, drawing);
        if (client_given(client, OPTION_SVG) || client_given(client, OPTION_HTML))
                return r;
        draw_text(drawing, &canvas, stdout);
        return 0;
}

int verb_draw(Client *client, char **arguments) {
        _cleanup_(scene_deinit) Scene scene = {};
        int r;

        if (client->output.json != JSON_OFF)
                return fail("draw prints no JSON: flat and tree do");
        r = fetch_at_rest(&scene, client, arguments);
        return r < 0 ? r : draw(client, &scene.drawing);
}
