/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <systemd/sd-bus.h>

#include "daemon/manager/manager.h"
#include "daemon/manager/question-dbus.h"

#define POLKIT           "org.freedesktop.PolicyKit1"
#define POLKIT_PATH      "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_AUTHORITY "org.freedesktop.PolicyKit1.Authority"

#define POLKIT_ALLOW_INTERACTION UINT32_C(1)

#define COOKIE_SIZE sizeof("guestmap-18446744073709551615")

struct Question {
        Manager *manager;
        sd_bus_slot *slot;
        char cookie[COOKIE_SIZE]; /* by which it is taken back */
        bool interactive;
        QuestionDone done;
        void *userdata;
};

/* Nobody waits for it any more; the reply to the question itself goes unheard, too. */
static void take_back(const Question *question) {
        (void)sd_bus_call_method_async(question->manager->bus, NULL, POLKIT, POLKIT_PATH,
                                       POLKIT_AUTHORITY, "CancelCheckAuthorization", NULL, NULL,
                                       "s", question->cookie);
}

Question *question_free(Question *question) {
        if (!question)
                return NULL;
        if (question->slot && question->manager->bus)
                take_back(question);
        sd_bus_slot_unref(question->slot);
        free(question);
        return NULL;
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

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        _cleanup_(question_freep) Question *question = userdata;
        const char *why = NULL;
        Answer answer;

        question->slot = sd_bus_slot_unref(question->slot);
        answer = read_answer(question, reply, &why);
        question->done(answer, answer == ANSWER_FAILED ? why : NULL, question->userdata);
        return 1;
}

static int append_check(const Question *question, sd_bus_message *m, const char *unique,
                        const char *action, const char *vm) {
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

int question_ask(Question **ret, Manager *manager, const char *unique, const char *action,
                 const char *vm, bool interactive, QuestionDone done, void *userdata) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_(question_freep) Question *question = NULL;
        int r;

        question = calloc(1, sizeof(*question));
        if (!question)
                return -ENOMEM;
        question->manager = manager;
        question->interactive = interactive;
        question->done = done;
        question->userdata = userdata;
        snprintf(question->cookie, COOKIE_SIZE, "guestmap-%" PRIu64, ++manager->n_questions);
        r = sd_bus_message_new_method_call(manager->bus, &m, POLKIT, POLKIT_PATH, POLKIT_AUTHORITY,
                                           "CheckAuthorization");
        if (r < 0)
                return r;
        r = append_check(question, m, unique, action, vm);
        if (r < 0)
                return r;
        /* 0: the bus' usual time-out. */
        r = sd_bus_call_async(manager->bus, &question->slot, m, on_reply, question,
                              interactive ? UINT64_MAX : 0);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(question);
        return 0;
}
