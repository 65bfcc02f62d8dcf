/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Question: polkit is asked whether a caller may
 *
 * One question is one call. Nothing of an answer is kept: what an administrator takes away is gone
 * with the next call.
 *
 * A bus bounds how many calls one client may have unanswered; beyond that all its calls fail, also
 * those that have to do with no flood. So no more than QUESTIONS_MAX questions are under way, and
 * QUESTIONS_USER_MAX for one uid; the others wait, and the uids take turns, a question each.
 *
 * I1: `done` is called once for each question that is not freed before, when it is freed already.
 * I2: a question that is freed before it is answered is taken back: no dialogue stays on anybody's
 *     screen for a caller who has left. It has its place until polkit has replied all the same:
 *     until then the bus counts it.
 * I3: no question waits while there is a place for it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <urcu/list.h>

#include "lib/util/cleanup.h"

typedef enum Answer Answer;
typedef struct Caller Caller;
typedef struct Question Question;
typedef struct Questions Questions;
typedef struct QuestionLine QuestionLine;

enum {
        QUESTIONS_MAX = 64, /* half of what dbus-daemon lets a client have unanswered */
        QUESTIONS_USER_MAX = 16,
};

struct Questions {
        struct cds_list_head asked; /* of Question.siblings */
        struct cds_list_head lines; /* of QuestionLine.siblings: whose turn is next first */
        size_t n_asked;
        uint64_t last; /* its number */
};

/* A user's. */
struct QuestionLine {
        struct cds_list_head siblings; /* in Questions.lines, while any wait */
        struct cds_list_head waiting;  /* of Question.siblings */
        size_t n_asked;
};

enum Answer {
        ANSWER_YES,
        ANSWER_NO,
        ANSWER_CHALLENGE, /* it depends on who the user is, which must not be asked */
        ANSWER_ABSENT,    /* there is no polkit on this bus */
        ANSWER_FAILED,    /* there is, and it does not answer */
};

/* `why` is words for ANSWER_FAILED, else NULL. */
typedef void (*QuestionDone)(Answer answer, const char *why, void *userdata);

void questions_init(Questions *questions);
/* The bus is gone, and all callers. */
void questions_clear(Questions *questions);

void question_line_init(QuestionLine *line);

/*
 * Asks for an action on behalf of a client of the bus. `vm` is the name of the VM that it is about,
 * for rules and dialogues; "" if it is about none. If `interactive` the user may be asked to
 * authenticate, which may take as long as it does.
 */
int question_ask(Question **ret, const Caller *caller, const char *action, const char *vm,
                 bool interactive, QuestionDone done, void *userdata);
Question *question_free(Question *question);
DEFINE_CLEANUP(Question *, question_free);
