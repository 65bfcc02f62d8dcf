/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Durable VMs: those that are to be there again after a reboot
 *
 * What is in such a VM its own process keeps. guestmapd keeps, in its state directory, a file for
 * each that says who it is, INSTANCE.vm, and starts those that do not run. It is there from before
 * the VM is set up until it is destroyed: what ends it otherwise ends it for a while.
 *
 * Where guestmapd runs the processes itself, theirs is the directory INSTANCE beside that file.
 */

#include <stdint.h>

#include "daemon/manager/vm.h"

typedef struct DurableVM DurableVM;

struct DurableVM {
        char instance[VM_INSTANCE_MAX + 1];
        char name[VM_NAME_MAX + 1];
        char id[VM_ID_LENGTH + 1];
        uint32_t owner;
};

/* On disk when it returns. */
int durable_add(const char *dir, const DurableVM *vm);
/* Its process' directory goes, too. */
void durable_remove(const char *dir, const char *instance);

/* Whether there is one of that instance. */
bool durable_has(const char *dir, const char *instance);

/*
 * Calls `found` for each; stops with what it returns if that is negative. A file that does not say
 * what it should is passed over, with a word in the log.
 */
int durable_scan(const char *dir, int (*found)(const DurableVM *vm, void *userdata),
                 void *userdata);
