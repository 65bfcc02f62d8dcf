/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Durable VMs: those that are to be there again after a reboot
 *
 * What is in such a VM its own process keeps. guestmapd keeps, in its state directory, a file for
 * each that says who it is, INSTANCE.vm, and starts those that do not run. It is there from before
 * the VM is set up until it is destroyed: what ends it otherwise ends it for a while. Until the VM
 * has been set up, and while it is destroyed, the file says so, too: what comes back empty then is
 * not missed.
 *
 * Where guestmapd runs the processes itself, theirs is the directory INSTANCE beside that file.
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/manager/vm.h"

typedef struct DurableVM DurableVM;

struct DurableVM {
        char instance[VM_INSTANCE_MAX + 1];
        char name[VM_NAME_MAX + 1];
        char id[VM_ID_LENGTH + 1];
        uint32_t owner;
        bool unmade; /* not known to have been set up, or destroyed */
};

/* On disk when it returns; in place of what was said of that instance before. */
int durable_add(const char *dir, const VM *vm);
/* It has been set up: says so, if that was not known. */
int durable_confirm(const char *dir, VM *vm);
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
