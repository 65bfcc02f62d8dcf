/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Cancel: a request to stop, from one thread to another
 *
 * Long work looks at it between its steps and ends with -ECANCELED. It is never taken back. NULL
 * stands for work that nobody stops. Where no thread is left to request it, the work asks itself.
 *
 * Source: this project.
 */

#include <stdbool.h>
#include <stddef.h>

typedef struct Cancel Cancel;

struct Cancel {
        bool requested;              /* atomic */
        bool (*ask)(void *userdata); /* between steps, by any thread of the work; NULL: nobody */
        void *userdata;
};

static inline void cancel_request(Cancel *cancel) {
        __atomic_store_n(&cancel->requested, true, __ATOMIC_RELAXED);
}

static inline bool cancel_is_requested(const Cancel *cancel) {
        if (!cancel)
                return false;
        return __atomic_load_n(&cancel->requested, __ATOMIC_RELAXED) ||
               (cancel->ask && cancel->ask(cancel->userdata));
}
