/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Sections: a list of sections that has its own text
 *
 * What somebody keeps of a view, and what leads from one view to the next: the sections removed
 * and those added.
 *
 * I1: a list ascends by address. Those of a view do not overlap.
 */

#include <stdbool.h>
#include <stddef.h>

#include "client/section.h"

typedef struct Change Change;
typedef struct Sections Sections;

struct Sections {
        Section *items; /* region and kind of each are in one piece of memory, which is `region` */
        size_t n;
        size_t n_allocated;
};

/* What happened to one address space. */
struct Change {
        char *space;
        Sections removed;
        Sections added;
};

void sections_deinit(Sections *sections);
/* Copies the section behind the last one. */
void sections_add(Sections *sections, const Section *section);
/* Adds an array of them; 0, or a negative errno if there is none. */
int sections_read(sd_bus_message *message, Sections *sections);
json_object *sections_json(const Sections *sections);

/*
 * Makes the change in a view; true, or false if it does not fit: something that is removed is not
 * there, or something that is added would lie on something else. Then the view is as before.
 */
bool sections_apply(Sections *view, const Change *change);
/* Puts into `change` what leads from one view to the other. */
void sections_compare(const Sections *from, const Sections *to, Change *change);

void change_deinit(Change *change);
static inline bool change_is_empty(const Change *change) {
        return change->removed.n == 0 && change->added.n == 0;
}
