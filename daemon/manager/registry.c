/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "daemon/manager/registry.h"

static int compare_names(VM *a, VM *b) {
        return strcmp(a->name, b->name);
}

RB_GENERATE_STATIC(VMTree, VM, by_name, compare_names);

void registry_init(Registry *registry) {
        RB_INIT(&registry->by_name);
        registry->n = 0;
}

int registry_link(Registry *registry, VM *vm) {
        if (RB_INSERT(VMTree, &registry->by_name, vm))
                return -EEXIST;
        registry->n++;
        return 0;
}

void registry_unlink(Registry *registry, VM *vm) {
        RB_REMOVE(VMTree, &registry->by_name, vm);
        registry->n--;
}

VM *registry_find(Registry *registry, const char *name) {
        VM key = {.name = (char *)name};

        return RB_FIND(VMTree, &registry->by_name, &key);
}

VM *registry_first(Registry *registry) {
        return RB_MIN(VMTree, &registry->by_name);
}

VM *registry_next(VM *vm) {
        return RB_NEXT(VMTree, , vm);
}
