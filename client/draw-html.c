/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The picture as a page: draw.html with the map in it, as JSON
 *
 * Where the page says @MAP@ there comes {"vm", "generation", "from", "regions", "spaces"}. A region
 * has its parent and target as positions in the list, -1 for none. A space has
 *
 *     "paths": [[region, path before], …]
 *     "bands": [[first, last, section now, section then, change, [layer, …], [layer, …]], …]
 *
 * with a section as [region, offset, kind, flags] or null. The first layers are the parts of what
 * is seen, the others are what it hides; a layer is [path, first, last]. Addresses are hexadecimal
 * strings: numbers of that size are not safe in a browser.
 */

#include <string.h>

#include "client/draw-page.h"
#include "client/draw.h"
#include "client/json-print.h"
#include "client/number.h"

static json_object *json_hex(uint64_t value) {
        return json_object_new_string(number_hex(value).text);
}

static int64_t index_of(const RegionNode *region) {
        return region ? (int64_t)region->index : -1;
}

static json_object *region_json(const RegionNode *region) {
        json_object *object = json_new_object();

        json_add_text(object, "name", region->name);
        json_add_text(object, "kind", region->kind);
        json_add_hex(object, "size", region->size);
        json_add_hex(object, "offset", region->offset);
        json_add_int(object, "priority", region->priority);
        json_add_int(object, "parent", index_of(region->parent));
        json_add_int(object, "target", index_of(region->target));
        json_add_hex(object, "targetOffset", region->target_offset);
        json_add_bool(object, "enabled", region->enabled);
        json_add_bool(object, "readonly", region->readonly);
        return object;
}

static json_object *paths_json(const Picture *picture) {
        json_object *paths = json_new_array();

        for (size_t i = 0; i < picture->n_paths; i++) {
                const Path *path = &picture->paths[i];
                json_object *pair = json_new_array();
                int64_t before = path->before == PICTURE_NO_PATH ? -1 : (int64_t)path->before;

                json_append(pair, json_object_new_int64(index_of(path->region)));
                json_append(pair, json_object_new_int64(before));
                json_append(paths, pair);
        }
        return paths;
}

/* What a band has of a section. A null of JSON is a NULL of json-c. */
static void append_section(json_object *row, const Section *section, uint64_t first) {
        json_object *list;

        if (!section) {
                json_object_array_add(row, NULL);
                return;
        }
        list = json_new_array();
        json_append(list, json_object_new_string(section->region));
        json_append(list, json_hex(section->offset + (first - section->first)));
        json_append(list, json_object_new_string(section->kind));
        json_append(list, json_object_new_string(section_flag_words(section).text));
        json_append(row, list);
}

static json_object *layer_json(const Layer *layer) {
        json_object *list = json_new_array();

        json_append(list, json_object_new_int64(layer->path));
        json_append(list, json_hex(layer->range.first));
        json_append(list, json_hex(layer->range.last));
        return list;
}

static json_object *seen_json(const Picture *picture, const Band *band) {
        json_object *seen = json_new_array();

        for (size_t i = 0; i < band->n_seen; i++)
                json_append(seen, layer_json(band_seen(picture, band, i)));
        return seen;
}

static json_object *hidden_json(const Picture *picture, const Band *band) {
        json_object *hidden = json_new_array();

        for (size_t i = 1; i < band->n_layers; i++)
                json_append(hidden, layer_json(band_layer(picture, band, i)));
        return hidden;
}

static json_object *bands_json(const Picture *picture) {
        static const char *const changes[] = {
                [CHANGE_NONE] = "",
                [CHANGE_ADDED] = "added",
                [CHANGE_REMOVED] = "removed",
                [CHANGE_REPLACED] = "replaced",
        };
        json_object *bands = json_new_array();

        for (size_t i = 0; i < picture->n_bands; i++) {
                const Band *band = &picture->bands[i];
                json_object *row = json_new_array();

                json_append(row, json_hex(band->range.first));
                json_append(row, json_hex(band->range.last));
                append_section(row, band->now, band->range.first);
                append_section(row, band->was, band->range.first);
                json_append(row, json_object_new_string(changes[band->change]));
                json_append(row, seen_json(picture, band));
                json_append(row, hidden_json(picture, band));
                json_append(bands, row);
        }
        return bands;
}

static json_object *drawing_json(const Drawing *drawing) {
        json_object *map = json_new_object();
        json_object *regions = json_new_array(), *spaces = json_new_array();

        json_add_text(map, "vm", drawing->vm);
        json_add_count(map, "generation", drawing->generation);
        if (drawing->compared)
                json_add_count(map, "from", drawing->from);
        for (size_t i = 0; i < drawing->tree->n; i++)
                json_append(regions, region_json(&drawing->tree->nodes[i]));
        for (size_t i = 0; i < drawing->n_spaces; i++) {
                const DrawingSpace *space = &drawing->spaces[i];
                json_object *object = json_new_object();

                json_add_text(object, "name", space->name);
                json_add_int(object, "root", index_of(space->root));
                json_add_bool(object, "partial", space->picture->partial);
                json_add(object, "paths", paths_json(space->picture));
                json_add(object, "bands", bands_json(space->picture));
                json_append(spaces, object);
        }
        json_add(map, "regions", regions);
        json_add(map, "spaces", spaces);
        return map;
}

/* In JSON these stand in strings only; as escapes they can end no element of HTML. */
static void put_json(FILE *out, const char *text) {
        for (; *text; text++) {
                if (strchr("<>&", *text))
                        fprintf(out, "\\u%04x", (unsigned)*text);
                else
                        fputc(*text, out);
        }
}

void draw_html(const Drawing *drawing, FILE *out) {
        static const char mark[] = "@MAP@";
        const char *page = (const char *)draw_page, *at = strstr(page, mark);
        json_object *map = drawing_json(drawing);

        fwrite(page, 1, at - page, out);
        put_json(out, must((void *)json_object_to_json_string_ext(map, JSON_C_TO_STRING_PLAIN)));
        fputs(at + strlen(mark), out);
        json_object_put(map);
}
