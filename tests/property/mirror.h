/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Mirror: a listener that rebuilds the views from what it is told
 *
 * It keeps, per address space, the sections, ioeventfds and zones that were added and not deleted.
 * After each commit they must be those of the published views. On the way it checks that what is
 * deleted is there, that what is added is not, and that before the additions of a space there is
 * never an overlap: what a committer relies on.
 */

#include "lib/memory/listener.h"

typedef struct Mirror Mirror;
typedef struct MirrorSpace MirrorSpace;

enum { MIRROR_SPACES_MAX = 8 };

#define MIRROR_FAILURE "failed on purpose" /* the words of fail_apply */

struct MirrorSpace {
        char name[16];
        Sections sections;
        AnnouncedList announced;
};

struct Mirror {
        Listener listener; /* first: callbacks cast */
        MirrorSpace spaces[MIRROR_SPACES_MAX];
        size_t n_spaces;
        bool inside;        /* between begin and commit */
        const char *broken; /* what was wrong first, NULL if nothing was */
        /* To refuse the next prepare or fail the next apply. */
        bool refuse_prepare;
        bool fail_apply;
};

void mirror_init(Mirror *mirror, int priority);
void mirror_deinit(Mirror *mirror);
/* NULL, or what is wrong. */
const char *mirror_check(Mirror *mirror, Map *map);
