/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "client/picture-words.h"
#include "lib/util/string-table.h"

const char *const look_names[LOOK_N] = {
        [LOOK_RAM] = "ram",   [LOOK_ROM] = "rom",           [LOOK_ROMD] = "romd",
        [LOOK_MMIO] = "mmio", [LOOK_RESERVED] = "reserved",
};

/* What a later service calls otherwise looks like a device. */
Look look_of_kind(const char *kind) {
        int look = string_table_find(look_names, LOOK_N, kind);

        return look < 0 ? LOOK_MMIO : (Look)look;
}

/*
 * Names may be of any script, and have marks that turn the direction of what follows them. Between
 * these two of Unicode's marks (FSI, PDI) a name keeps that to itself.
 */
static void write_name(FILE *out, const char *name) {
        bool plain = true;

        for (const char *c = name; *c; c++)
                plain = plain && !((unsigned char)*c & 0x80);
        fprintf(out, plain ? "%s" : "\u2068%s\u2069", name);
}

static bool is_alias(const Picture *picture, uint32_t path) {
        return *picture->paths[path].region->target_name;
}

static bool has_alias(const Picture *picture, uint32_t path) {
        while (path != PICTURE_NO_PATH && !is_alias(picture, path))
                path = picture->paths[path].before;
        return path != PICTURE_NO_PATH;
}

/* " via A, B": the aliases on the way from a path to a layer, the nearest first. */
static void write_via(FILE *out, const Picture *picture, const Layer *layer, uint32_t from,
                      bool others) {
        const char *before = " via ";

        for (uint32_t path = layer->path; path != from; path = picture->paths[path].before) {
                if (!is_alias(picture, path))
                        continue;
                fputs(before, out);
                write_name(out, picture->paths[path].region->name);
                before = ", ";
        }
        if (others && *before == ',')
                fputs(" and others", out);
}

/* Of the parts that are seen through aliases the first one's are named. */
static void write_seen_via(FILE *out, const Picture *picture, const Band *band) {
        const Layer *named = NULL;
        size_t n = 0;

        for (size_t i = 0; i < band->n_seen; i++) {
                const Layer *part = band_seen(picture, band, i);

                if (!has_alias(picture, part->path))
                        continue;
                named = named ? named : part;
                n++;
        }
        if (!named)
                return;
        fputs(n < band->n_seen ? " partly" : "", out);
        write_via(out, picture, named, PICTURE_NO_PATH, n > 1);
}

static void write_rank(FILE *out, Rank rank) {
        if (!rank.lower)
                return;
        if (rank.upper->priority == rank.lower->priority)
                fputs(" (placed later)", out);
        else
                fprintf(out, " (priority %" PRIi64 " over %" PRIi64 ")", rank.upper->priority,
                        rank.lower->priority);
}

static void write_below(FILE *out, const Picture *picture, const Band *band, size_t i) {
        const Layer *layer = band_layer(picture, band, i);
        Rank rank = picture_rank(picture, band, layer);

        fprintf(out, "%s%s ", range_equal(layer->range, band->range) ? "" : "partly ",
                rank.lower ? "over" : "inside");
        write_name(out, layer_region(picture, layer)->name);
        write_via(out, picture, layer, rank.path, layer->more_paths);
        write_rank(out, rank);
}

/* That ROM is read-only goes without saying. */
static void write_flags(FILE *out, Section section) {
        if (look_of_kind(section.kind) == LOOK_ROM)
                section.flags &= ~(uint32_t)GUESTMAP_SECTION_READONLY;
        fputs(section_flag_words(&section).text, out);
}

static void write_was(FILE *out, const Section *was) {
        fputs("was ", out);
        write_name(out, was->region);
        fprintf(out, " (%s)", was->kind);
}

/* Ends the phrase that has been written since the last one, if anything has. */
static void end_phrase(Phrases *phrases, FILE *out, PhraseRole role) {
        size_t end = ftell(out), begin = phrases->end;

        if (end == begin)
                return;
        fputc('\0', out);
        phrases->list[phrases->n++] = (Phrase){role, begin};
        phrases->end = end + 1;
}

static void write_section(Phrases *phrases, FILE *out, const Picture *picture, const Band *band) {
        write_name(out, band->now->region);
        end_phrase(phrases, out, PHRASE_NAME);
        write_seen_via(out, picture, band);
        end_phrase(phrases, out, PHRASE_VIA);
        write_flags(out, *band->now);
        end_phrase(phrases, out, PHRASE_FLAGS);
}

static void write_phrases(Phrases *phrases, FILE *out, const Picture *picture, const Band *band) {
        if (band->now)
                write_section(phrases, out, picture, band);
        if (band->change != CHANGE_NONE && band->was)
                write_was(out, band->was);
        end_phrase(phrases, out, PHRASE_WAS);
        for (size_t i = 1; i < band->n_layers; i++) {
                write_below(out, picture, band, i);
                end_phrase(phrases, out, PHRASE_BELOW);
        }
}

void phrases_init(Phrases *phrases, const Picture *picture, const Band *band) {
        size_t size;
        FILE *out;

        *phrases = (Phrases){};
        out = must(open_memstream(&phrases->text, &size));
        write_phrases(phrases, out, picture, band);
        fclose(out);
        must(phrases->text);
}

void phrases_deinit(Phrases *phrases) {
        free(phrases->text);
}
