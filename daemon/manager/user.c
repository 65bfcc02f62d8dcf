/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>

#include "daemon/manager/user.h"

static int compare_uids(const User *a, const User *b) {
        return (a->uid > b->uid) - (a->uid < b->uid);
}

RB_GENERATE_STATIC(UserTree, User, by_uid, compare_uids);

int users_get(struct UserTree *users, uint32_t uid, User **ret) {
        User key = {.uid = uid}, *user = RB_FIND(UserTree, users, &key);

        if (!user) {
                user = calloc(1, sizeof(*user));
                if (!user)
                        return -ENOMEM;
                user->tree = users;
                user->uid = uid;
                question_line_init(&user->questions);
                RB_INSERT(UserTree, users, user);
        }
        user->n_references++;
        *ret = user;
        return 0;
}

User *user_unref(User *user) {
        if (!user || --user->n_references > 0)
                return NULL;
        RB_REMOVE(UserTree, user->tree, user);
        free(user);
        return NULL;
}
