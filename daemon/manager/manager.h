/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Manager: everything that guestmapd has
 *
 * One thread, one event loop. The bus comes and goes; the VMs do not depend on it. Nothing here
 * outlasts the process that cannot be asked back from the VMs' processes, but which of them are
 * durable: a guestmapd that starts first finds them (manager_start()), and owns its name when it
 * knows them all; or after a while, if one of them does not answer.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>
#include <urcu/list.h>

#include "daemon/common/audit-limit.h"
#include "daemon/common/status.h"
#include "daemon/manager/caller-dbus.h"
#include "daemon/manager/question-dbus.h"
#include "daemon/manager/quota.h"
#include "daemon/manager/registry.h"
#include "daemon/manager/rota.h"
#include "daemon/manager/stall-dbus.h"

typedef struct sd_bus sd_bus;
typedef struct Manager Manager;
typedef struct Settings Settings;

struct Settings {
        bool user;           /* the session bus: every client is the one user */
        bool units;          /* VMs are units of systemd; else children of this process */
        const char *address; /* of the bus; NULL: the usual one */
        const char *runtime_dir;
        const char *state_dir; /* where durable VMs are remembered */
        const char *vmd;       /* the program that serves a VM */
        const char *config;    /* the file to read; NULL: the usual ones */
};

struct Manager {
        Settings settings;
        Quotas quotas;
        sd_event *event;
        Status status;
        AuditLimit audit_limit;
        struct cds_list_head vms; /* all of them */
        Registry registry;        /* those that have a name */
        size_t n_awaited;         /* VMs that are not known yet; and the search for them */
        sd_event_source *search;  /* how long they are waited for */
        sd_event_source *sockets; /* units that somebody else starts */
        bool settled;             /* those of an earlier guestmapd are found again */

        uint64_t start_usec; /* when it began; CLOCK_REALTIME */

        sd_bus *bus;            /* NULL while there is none */
        bool owner;             /* no other guestmapd has the VMs, service-dbus.h */
        uint64_t n_buses;       /* how many it has had */
        bool named;             /* the name was had once: losing the bus is no reason to end */
        sd_event_source *drain; /* armed while signals are folded, relay-dbus.h */
        sd_event_source *reconnect;
        Stall stall;
        CallerTree callers;
        Rota rota;
        struct UserTree users;     /* of these callers */
        Questions questions;       /* to polkit */
        struct cds_list_head jobs; /* of systemd, unit-dbus.h */
        unsigned n_asked;          /* of them, and not answered */

        struct cds_list_head listings; /* GetManagedObjects, objects-dbus.h: to be answered next */
        bool listing;                  /* one is being answered */
};

int manager_new(Manager **ret, const Settings *settings);

/* VMs live on. */
Manager *manager_free(Manager *manager);
DEFINE_CLEANUP(Manager *, manager_free);

/* Goes to the bus; all else follows, if no other guestmapd is there. */
int manager_start(Manager *manager);

/* Finds the VMs that live, and asks for its name. Once. */
int manager_find(Manager *manager);

/* Reads the configuration again, and says so to whoever started this process. */
void manager_reload(Manager *manager);

/* No VM is awaited any more. */
void manager_settled(Manager *manager);
