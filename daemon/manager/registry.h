/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Registry: the VMs by name
 *
 * Holds no reference: a VM is in it from vm_set_identity() to vm_free().
 */

#include <stddef.h>

#include "daemon/manager/vm.h"

typedef struct Registry Registry;

RB_HEAD(VMTree, VM);

struct Registry {
        struct VMTree by_name;
        size_t n;
};

void registry_init(Registry *registry);

/* -EEXIST if the name is taken. */
int registry_link(Registry *registry, VM *vm);
void registry_unlink(Registry *registry, VM *vm);

VM *registry_find(Registry *registry, const char *name);

/* In order of names; NULL at the end. */
VM *registry_first(Registry *registry);
VM *registry_next(VM *vm);
