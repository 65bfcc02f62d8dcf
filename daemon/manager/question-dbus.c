/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "daemon/manager/manager.h"
#include "daemon/manager/question-dbus.h"

#define POLKIT           "org.freedesktop.PolicyKit1"
#define POLKIT_PATH      "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_AUTHORITY "org.freedesktop.PolicyKit1.Authority"

#define POLKIT_ALLOW_INTERACTION UINT32_C(1)

#define COOKIE_SIZE sizeof("guestmap-18446744073709551615")

struct Question {
        struct cds_list_head siblings; /* in Questions.asked, or in the user's line */
        Manager *manager;
        User *user;
        sd_bus_message *call;
        sd_bus_slot *slot;        /* NULL: it waits */
        char cookie[COOKIE_SIZE]; /* by which it is taken back */
        bool interactive;
        QuestionDone done; /* NULL: it was taken back */
        void *userdata;
};

/* Nobody waits for it any more; the reply to the question itself goes unheard, too. */
static void take_back(const Question *question) {
        (void)sd_bus_call_method_async(question->manager->bus, NULL, POLKIT, POLKIT_PATH,
                                       POLKIT_AUTHORITY, "CancelCheckAuthorization", NULL, NULL,
                                       "s", question->cookie);
}

void questions_init(Questions *questions) {
        CDS_INIT_LIST_HEAD(&questions->asked);
        CDS_INIT_LIST_HEAD(&questions->lines);
}

void question_line_init(QuestionLine *line) {
        CDS_INIT_LIST_HEAD(&line->waiting);
}

static void join_line(Question *question) {
        QuestionLine *line = &question->user->questions;

        if (cds_list_empty(&line->waiting))
                cds_list_add_tail(&line->siblings, &question->manager->questions.lines);
        cds_list_add_tail(&question->siblings, &line->waiting);
}

/* Whoever has more that wait is the last to have a turn again. */
static void leave_line(Question *question) {
        QuestionLine *line = &question->user->questions;

        cds_list_del_init(&question->siblings);
        cds_list_del(&line->siblings);
        if (!cds_list_empty(&line->waiting))
                cds_list_add_tail(&line->siblings, &question->manager->questions.lines);
}

static void leave_place(Question *question) {
        cds_list_del_init(&question->siblings);
        question->manager->questions.n_asked--;
        question->user->questions.n_asked--;
}

static void question_drop(Question *question) {
        if (question->slot)
                leave_place(question);
        else if (!cds_list_empty(&question->siblings))
                leave_line(question);
        sd_bus_slot_unref(question->slot);
        sd_bus_message_unref(question->call);
        user_unref(question->user);
        free(question);
}

Question *question_free(Question *question) {
        if (!question)
                return NULL;
        if (question->slot && question->manager->bus) {
                take_back(question);
                question->done = NULL;
        } else
                question_drop(question);
        return NULL;
}

void questions_clear(Questions *questions) {
        Question *question, *next;

        cds_list_for_each_entry_safe(question, next, &questions->asked, siblings)
                question_drop(question);
}

static void finish(Question *question, Answer answer, const char *why) {
        QuestionDone done = question->done;
        void *userdata = question->userdata;

        question_drop(question);
        if (done)
                done(answer, answer == ANSWER_FAILED ? why : NULL, userdata);
}

/* Only this error says that nobody owns the name and nobody could be started for it. */
static Answer answer_from_error(const sd_bus_error *error) {
        return sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ? ANSWER_ABSENT
                                                                          : ANSWER_FAILED;
}

static Answer read_answer(const Question *question, sd_bus_message *reply, const char **ret_why) {
        int r, is_authorized, is_challenge;

        if (sd_bus_message_is_method_error(reply, NULL)) {
                *ret_why = sd_bus_message_get_error(reply)->message;
                return answer_from_error(sd_bus_message_get_error(reply));
        }
        r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
        if (r >= 0)
                r = sd_bus_message_read(reply, "bb", &is_authorized, &is_challenge);
        if (r < 0) {
                *ret_why = "its answer is not in the form that was agreed on";
                return ANSWER_FAILED;
        }
        if (is_authorized)
                return ANSWER_YES;
        /* Where the user could have been asked there was nobody to ask him, or he did not want. */
        return is_challenge && !question->interactive ? ANSWER_CHALLENGE : ANSWER_NO;
}

static bool has_place(const Questions *questions, const QuestionLine *line) {
        return questions->n_asked < QUESTIONS_MAX && line->n_asked < QUESTIONS_USER_MAX;
}

static Question *next_to_ask(const Questions *questions) {
        QuestionLine *line;

        cds_list_for_each_entry(line, &questions->lines, siblings)
                if (has_place(questions, line))
                        return cds_list_first_entry(&line->waiting, Question, siblings);
        return NULL;
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error);

static int send_off(Question *question) {
        Questions *questions = &question->manager->questions;
        int r;

        /* 0: the bus' usual time-out. */
        r = sd_bus_call_async(question->manager->bus, &question->slot, question->call, on_reply,
                              question, question->interactive ? UINT64_MAX : 0);
        if (r < 0)
                return r;
        cds_list_add_tail(&question->siblings, &questions->asked);
        questions->n_asked++;
        question->user->questions.n_asked++;
        return 0;
}

static void ask_those_who_wait(const Questions *questions) {
        Question *question;
        int r;

        while ((question = next_to_ask(questions))) {
                leave_line(question);
                r = send_off(question);
                if (r < 0)
                        finish(question, ANSWER_FAILED, strerror(-r));
        }
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Question *question = userdata;
        const Questions *questions = &question->manager->questions;
        const char *why = NULL;
        Answer answer;

        answer = read_answer(question, reply, &why);
        finish(question, answer, why);
        ask_those_who_wait(questions);
        return 1;
}

static int append_check(const Question *question, const char *unique, const char *action,
                        const char *vm) {
        sd_bus_message *m = question->call;
        int r;

        r = sd_bus_message_append(m, "(sa{sv})s", "system-bus-name", 1, "name", "s", unique,
                                  action);
        if (r < 0)
                return r;
        r = vm[0] == '\0' ? sd_bus_message_append(m, "a{ss}", 0)
                          : sd_bus_message_append(m, "a{ss}", 1, "vm", vm);
        if (r < 0)
                return r;
        return sd_bus_message_append(m, "us", question->interactive ? POLKIT_ALLOW_INTERACTION : 0,
                                     question->cookie);
}

/* In no line, and with nothing to ask yet. */
static int question_new(Question **ret, const Caller *caller, bool interactive, QuestionDone done,
                        void *userdata) {
        _cleanup_(question_freep) Question *question = NULL;
        Manager *manager = caller->manager;
        int r;

        question = calloc(1, sizeof(*question));
        if (!question)
                return -ENOMEM;
        CDS_INIT_LIST_HEAD(&question->siblings);
        question->manager = manager;
        question->interactive = interactive;
        question->done = done;
        question->userdata = userdata;
        snprintf(question->cookie, COOKIE_SIZE, "guestmap-%" PRIu64, ++manager->questions.last);
        r = users_get(&manager->users, caller->uid, &question->user);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_call(manager->bus, &question->call, POLKIT, POLKIT_PATH,
                                           POLKIT_AUTHORITY, "CheckAuthorization");
        if (r < 0)
                return r;
        *ret = TAKE_PTR(question);
        return 0;
}

int question_ask(Question **ret, const Caller *caller, const char *action, const char *vm,
                 bool interactive, QuestionDone done, void *userdata) {
        _cleanup_(question_freep) Question *question = NULL;
        int r;

        r = question_new(&question, caller, interactive, done, userdata);
        if (r < 0)
                return r;
        r = append_check(question, caller->unique, action, vm);
        if (r < 0)
                return r;
        if (has_place(&caller->manager->questions, &question->user->questions)) {
                r = send_off(question);
                if (r < 0)
                        return r;
        } else
                join_line(question);
        *ret = TAKE_PTR(question);
        return 0;
}
