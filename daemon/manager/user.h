/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * User: what all connections of one uid have under way together
 *
 * There while a caller of that uid is, or a call that it made, or a question about it.
 */

#include <stddef.h>
#include <stdint.h>

#include "daemon/manager/question-dbus.h"
#include "lib/util/cleanup.h"
#include "lib/util/tree.h"

typedef struct User User;
typedef struct UserTree UserTree;

RB_HEAD(UserTree, User);

struct User {
        struct UserTree *tree;
        RB_ENTRY(User) by_uid;
        uint32_t uid;
        size_t n_references;
        size_t n_calls; /* sent to VMs and not answered */
        size_t n_bytes; /* in them, about */
        QuestionLine questions;
};

/* The one of that uid, with a reference more. -ENOMEM. */
int users_get(struct UserTree *users, uint32_t uid, User **ret);

static inline User *user_ref(User *user) {
        user->n_references++;
        return user;
}

User *user_unref(User *user);
DEFINE_CLEANUP(User *, user_unref);
