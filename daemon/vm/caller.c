/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/vm/caller.h"

static int caller_compare(const Caller *a, const Caller *b) {
        return strcmp(a->name, b->name);
}

RB_GENERATE_STATIC(Callers, Caller, by_name, caller_compare)

static Caller *callers_get(struct Callers *callers, const char *name) {
        Caller *caller = RB_ROOT(callers);

        while (caller) {
                int r = strcmp(name, caller->name);

                if (r == 0)
                        break;
                caller = r < 0 ? RB_LEFT(caller, by_name) : RB_RIGHT(caller, by_name);
        }
        return caller;
}

int callers_set(struct Callers *callers, const char *name, uint32_t uid) {
        Caller *caller = callers_get(callers, name);

        if (!caller) {
                size_t size = strlen(name) + 1;

                caller = malloc(sizeof(*caller) + size);
                if (!caller)
                        return -ENOMEM;
                memcpy(caller->name, name, size);
                RB_INSERT(Callers, callers, caller);
        }
        caller->uid = uid;
        return 0;
}

const Caller *callers_find(struct Callers *callers, const char *name) {
        return callers_get(callers, name);
}

void callers_remove(struct Callers *callers, const char *name) {
        Caller *caller = callers_get(callers, name);

        if (caller) {
                RB_REMOVE(Callers, callers, caller);
                free(caller);
        }
}

void callers_clear(struct Callers *callers) {
        Caller *caller, *next;

        RB_FOREACH_SAFE(caller, Callers, callers, next) {
                RB_REMOVE(Callers, callers, caller);
                free(caller);
        }
}
