/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Question: polkit is asked whether a caller may
 *
 * One question is one call. Nothing of an answer is kept: what an administrator takes away is gone
 * with the next call.
 *
 * I1: `done` is called once for each question that is not freed before. It frees the question.
 * I2: a question that is freed before it is answered is taken back: no dialogue stays on anybody's
 *     screen for a caller who has left.
 */

#include <stdbool.h>

#include "lib/util/cleanup.h"

typedef enum Answer Answer;
typedef struct Manager Manager;
typedef struct Question Question;

enum Answer {
        ANSWER_YES,
        ANSWER_NO,
        ANSWER_CHALLENGE, /* it depends on who the user is, which must not be asked */
        ANSWER_ABSENT,    /* there is no polkit on this bus */
        ANSWER_FAILED,    /* there is, and it does not answer */
};

/* `why` is words for ANSWER_FAILED, else NULL. */
typedef void (*QuestionDone)(Answer answer, const char *why, void *userdata);

/*
 * Asks for an action on behalf of a client of the bus. `vm` is the name of the VM that it is about,
 * for rules and dialogues; "" if it is about none. If `interactive` the user may be asked to
 * authenticate, which may take as long as it does.
 */
int question_ask(Question **ret, Manager *manager, const char *unique, const char *action,
                 const char *vm, bool interactive, QuestionDone done, void *userdata);
Question *question_free(Question *question);
DEFINE_CLEANUP(Question *, question_free);
