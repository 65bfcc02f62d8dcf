/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * VM: what guestmapd knows of one
 *
 * Its life here, whichever process serves it:
 *
 *   STARTING ─▶ LIVING ◀─▶ RECOVERING ─▶ CRASHED ─▶ LEAVING ─▶ gone
 *       └──────────┴────────────┴───────────────────▲ │
 *       └◀───────────── STOPPED ◀─────────────────────┘ if it is durable and not destroyed
 *
 * I1: clients see a VM, by its object and in lists, unless it is STARTING or STOPPED; then it only
 *     keeps its name from being taken.
 * I2: `link` is there while the process can be talked to: always when LIVING. While it is
 *     RECOVERING there may be one, to ask who is there; when CRASHED, to a process that has the
 *     memory.
 * I3: the numbers below are the last that the process told. While it lives it is asked instead;
 *     they stand for it when it has died.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>
#include <urcu/list.h>

#include "daemon/manager/counts-dbus.h"
#include "daemon/manager/fd-store.h"
#include "daemon/manager/held-dbus.h"
#include "daemon/manager/process.h"
#include "daemon/manager/ration-dbus.h"
#include "lib/util/tree.h"

#define VM_NAME_MAX     63
#define VM_INSTANCE_MAX 28
#define VM_ID_LENGTH    32

typedef struct sd_bus_message sd_bus_message;
typedef struct Link Link;
typedef struct Manager Manager;
typedef struct VM VM;

typedef enum VMPhase {
        VM_STARTING,
        VM_LIVING,
        VM_RECOVERING,
        VM_CRASHED,
        VM_LEAVING,
        VM_STOPPED,
} VMPhase;

struct VM {
        Manager *manager;
        struct cds_list_head siblings; /* in Manager.vms */
        RB_ENTRY(VM) by_name;          /* in Registry, once it has a path */
        VMPhase phase;
        bool awaited;   /* what this one is was not known since guestmapd has started */
        bool announced; /* VMNew was sent, or was by an earlier guestmapd */

        char *name;
        char *path;     /* its object */
        char *instance; /* of its units, and the file name of its socket */
        char *id;       /* 32 hexadecimal digits */
        uint32_t owner;
        int durable; /* a boolean of D-Bus: it outlives its process' end by order, durable.h */
        bool unmade; /* durable, but not known to have been set up; or destroyed */

        Process *process; /* NULL: a unit, a process not known by pid, or none any more */
        FDStore *store;   /* of a process that is no unit */
        bool unoffered;   /* the store is newer than the process, which is to fill it again */
        Link *link;
        struct cds_list_head introductions; /* callers that the process knows, caller-dbus.h */

        Ration ration;
        HeldCalls held;
        sd_event_source *retry; /* RECOVERING, or found and STARTING: when to look for it again */
        unsigned attempts;      /* how often it was looked for since it was there */
        bool started;           /* its unit was, since it did not run: once is enough */

        sd_bus_message *request; /* STARTING, LEAVING: what waits for that, if a client does */
        uint32_t requester;      /* of it: the uid of that client, which may have left */
        sd_bus_message *answer;  /* LEAVING: what is sent when it is gone, if a client waits */
        sd_event_source *timer;  /* STARTING, LEAVING: how long its process may take for that */
        unsigned jobs;           /* LEAVING: what systemd is doing for it */
        unsigned step;           /* LEAVING: how far that has come */
        bool destroyed;          /* by a client: what is durable of it goes, too */

        char *state;
        char *reason; /* CRASHED: what for */
        char *accelerator;
        uint64_t generation, regions, ram_bytes, trapped_bytes;
        uint32_t slots_used, slots_max;
        Counts slot_stats, pause_usec;
        char **lost;              /* words; NULL at the end, or altogether */
        sd_event_source *refresh; /* these numbers are asked for again when it fires */

        uint64_t n_forwarded;  /* calls of clients that were sent to its process */
        uint64_t n_recoveries; /* how often a process has come back */
        uint64_t n_folded;     /* signals about commits that were left out */

        uint64_t told; /* the last generation that was signalled */
        bool folding;  /* signals were left out since then */
};

/* [A-Za-z0-9][A-Za-z0-9_.-]{0,62} */
bool vm_name_is_valid(const char *name);

/* What a VM's socket may be called. */
bool vm_instance_is_valid(const char *instance);

/* A nameless one. */
int vm_new(VM **ret, Manager *manager);

/* An earlier guestmapd had it: until it is LIVING, CRASHED or gone it is not known what it is. */
void vm_await(VM *vm);

void vm_free_words(char **words);

/* Ends nothing: its process lives on and can be found again. Takes it out of the registry. */
VM *vm_free(VM *vm);
DEFINE_CLEANUP(VM *, vm_free);

/*
 * Names it and enters it into the registry; -EEXIST if the name is taken. Its instance is the name
 * or, where systemd could not make a user name of that, a part of the id; -EINVAL if it has another
 * already.
 */
int vm_set_identity(VM *vm, const char *name, const char *id);
/* It has one, which was made up, and is to be given its own. Its instance stays. */
void vm_forget_identity(VM *vm);

int vm_set_state(VM *vm, const char *state);
/* Where there is no memory for the words, there are none. */
void vm_set_reason(VM *vm, const char *reason);
void vm_set_phase(VM *vm, VMPhase phase);

/* A durable one has left: who it is stays. */
void vm_rest(VM *vm);

/* Whether clients may know of it (I1). */
static inline bool vm_is_visible(const VM *vm) {
        return vm->phase != VM_STARTING && vm->phase != VM_STOPPED;
}
