/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Follow: the views of one VM, kept up to date without a gap
 *
 * Who watches subscribes first, takes the views as they are, and lets each Committed lead on from
 * one generation to the next. A signal that does not begin where the last one ended, that stands
 * for several commits, or has no room for its sections, is made up for: the spaces that changed are
 * asked for their net change, and where that is not known any more the whole view is fetched and
 * compared. So what is told leads from view to view, whatever was lost.
 *
 * Who receives no signals follows by the answers of WaitChanges, which are net changes, too.
 *
 * There is no bus here: what is asked, and what is told, is for the owner to do (FollowOps).
 *
 * I1: a space's view is that of its generation.
 * I2: no space is known for less than the generation of the VM, one that it may have besides
 *     included: what WaitChanges answers of one space tells nothing of new ones.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/sections.h"

typedef struct Answer Answer;
typedef struct Commit Commit;
typedef struct Follow Follow;
typedef struct FollowOps FollowOps;
typedef struct FollowedSpace FollowedSpace;
typedef struct SpaceList SpaceList;
typedef struct SpaceRow SpaceRow;

/* Committed, as it came. */
struct Commit {
        uint64_t generation;
        uint64_t previous;
        uint32_t edits;
        uint32_t slot_operations;
        char *transaction; /* "": a commit of a call's own */
        bool truncated;
        Change *changes;
        size_t n_changes;
};

/* What GetChanges and WaitChanges answer. */
struct Answer {
        uint64_t generation;
        bool complete; /* else `added` is the whole view, or empty where that is too large */
        Change change;
};

/* What ListAddressSpaces answers. */
struct SpaceRow {
        char *name;
        uint64_t generation; /* that changed it last */
};

struct SpaceList {
        uint64_t generation;
        SpaceRow *rows;
        size_t n;
};

struct FollowedSpace {
        char *name;
        uint64_t generation;
        bool is_lost;       /* the view is not what it should be */
        bool is_waited_for; /* by the owner, who calls WaitChanges, */
        uint64_t turn;      /* and when he did so last */
        Sections view;
};

/* `userdata` is the Follow's. What is asked returns a negative errno once it has said why. */
struct FollowOps {
        int (*list)(void *userdata, SpaceList *ret);
        int (*get_changes)(void *userdata, const char *space, uint64_t since, Answer *ret);
        int (*get_view)(void *userdata, const char *space, uint64_t *ret_generation, Sections *ret);

        /* A space as it is when it is first seen. */
        void (*tell_view)(void *userdata, const FollowedSpace *space);
        /* A commit, with the changes that were not told before. */
        void (*tell_commit)(void *userdata, const Commit *commit);
        /* What was not told commit by commit is told next, as net changes; a word for why. */
        void (*tell_gap)(void *userdata, uint64_t previous, uint64_t generation, const char *why);
        void (*tell_change)(void *userdata, const Change *change, uint64_t previous,
                            uint64_t generation);
};

struct Follow {
        const FollowOps *ops;
        void *userdata;
        const char *only; /* the one space that is of interest; NULL: all */
        bool has_begun;
        uint64_t generation;
        FollowedSpace *spaces;
        size_t n_spaces;
};

void follow_deinit(Follow *follow);
/*
 * Asks for what is not known: all views at first, then what has changed since. `why` is for
 * tell_gap(), NULL if there is nothing to be said of it.
 */
int follow_sync(Follow *follow, const char *why);
/* Goes on with a commit; changes that are no news are taken out of it. */
int follow_commit(Follow *follow, Commit *commit);
/* Goes on with what WaitChanges answers for a space, asked since a generation. */
int follow_answer(Follow *follow, const char *space, uint64_t since, Answer *answer);
/* NULL if there is none of that name. */
FollowedSpace *follow_find(const Follow *follow, const char *space);

void commit_deinit(Commit *commit);
void answer_deinit(Answer *answer);
void space_list_deinit(SpaceList *list);
