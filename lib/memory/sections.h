/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Growing arrays of sections and of what they announce
 *
 * Source: this project.
 */

#include "lib/memory/flat-view.h"

typedef struct AnnouncedList AnnouncedList;
typedef struct Sections Sections;

struct Sections {
        Section *items;
        size_t n;
        size_t allocated;
};

struct AnnouncedList {
        Announced *items; /* references are borrowed */
        size_t n;
        size_t allocated;
};

/* Empties and frees. */
void sections_deinit(Sections *sections);
void announced_list_deinit(AnnouncedList *list);

/* Copies n items behind those there are. -ENOMEM: nothing has changed. */
int sections_append(Sections *sections, const Section *items, size_t n);
int announced_list_append(AnnouncedList *list, const Announced *items, size_t n);

/* Those of a view that begin in the window. */
int sections_append_view(Sections *sections, const FlatView *view, Range window);
int announced_list_append_view(AnnouncedList *list, const FlatView *view, Range window);
