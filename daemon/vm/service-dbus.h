/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Service: a VM on its connections
 *
 * Everything that one guestmap-vmd has, on one sd_event loop: the VM, who is connected, who calls,
 * what transactions are open, what has been told. One connection at most is guestmapd's, and is the
 * one that signals go to; the VM does not mind being without. A message without a sender there is
 * guestmapd's own: it counts as the owner, with all rights.
 *
 * I1: objects of the VM are on all connections iff there is a VM.
 * I2: who looks at the tree for a call has checked in what was checked out: the find function of
 *     region objects does it, so that handlers there need not.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <urcu/list.h>

#include "daemon/common/status.h"
#include "daemon/vm/access-teller-dbus.h"
#include "daemon/vm/announcer-dbus.h"
#include "daemon/vm/audit-dbus.h"
#include "daemon/vm/caller.h"
#include "daemon/vm/change.h"
#include "daemon/vm/connection-dbus.h"
#include "daemon/vm/gate-dbus.h"
#include "daemon/vm/history.h"
#include "daemon/vm/job.h"
#include "daemon/vm/map-dbus.h"
#include "daemon/vm/metrics-dbus.h"
#include "daemon/vm/preparation-dbus.h"
#include "daemon/vm/ration-dbus.h"
#include "daemon/vm/recovery.h"
#include "daemon/vm/salvage-dbus.h"
#include "daemon/vm/vm.h"
#include "daemon/vm/watch-dbus.h"

typedef struct OpenTransaction OpenTransaction;
typedef struct Service Service;
typedef struct VtableCopy VtableCopy;

struct Service {
        sd_event *event;
        struct cds_list_head connections; /* of Connection.link, oldest first */
        uint64_t last_connection;
        sd_bus *bus;      /* guestmapd's connection; NULL: it is not connected */
        VM *vm;           /* NULL until Setup is done */
        Salvage *salvage; /* in place of a VM that could not be recovered; else NULL */
        Status status;
        bool is_setting_up;
        bool is_destroyed;  /* the VM ends with the process, for good */
        bool was_destroyed; /* with an earlier process */
        Places places;      /* borrowed; set before a VM is */
        FDStore *store;     /* of the VM; borrowed, set before there is one; NULL: there is none */
        RationAsker ration;
        Jobs jobs;
        Jobs preparing;                    /* jobs that take long, and no part of the tree */
        struct cds_list_head preparations; /* of Preparation.link, oldest first */
        sd_event_source *preparations_tick;

        char *path; /* of the VM object, and of the nodes below it */
        char *transaction_prefix;
        char *space_prefix;
        char *region_prefix;
        char *vcpu_prefix;

        MapTarget map_target; /* the VM itself */
        struct Callers callers;
        Gate gate;
        sd_event_source *compaction; /* on when the journal may have become too long */
        History history;
        Announcer announcer;
        struct cds_list_head transactions; /* of OpenTransaction.link, oldest first */
        uint64_t last_transaction;
        struct Watches watches;           /* that wait; by address space */
        struct cds_list_head watches_due; /* of Watch.due */
        size_t n_watches;
        struct cds_list_head dumps; /* of DumpCall.link */
        size_t n_dumps;
        VtableCopy *vtables; /* that connections have */
        Audit audit;
        struct cds_list_head vcpu_calls; /* of VCPUCall.link, oldest first */
        sd_event_source *vcpu_ended;
        AccessTeller access_teller;
        uint64_t start_usec; /* when there was a VM to serve; CLOCK_REALTIME */
        TreeFigures figures; /* as GetMetrics has told them last */
};

int service_new(Service **ret, sd_event *event);
Service *service_free(Service *service);
DEFINE_CLEANUP(Service *, service_free);

/* guestmapd is at the other end of a connected stream socket; takes over fd, also on failure. */
int service_attach(Service *service, int fd);
/* This connection is guestmapd's from now on. One that was is closed. */
void service_give_to_guestmapd(Service *service, Connection *connection);
/* Ends guestmapd's connection: all callers that it forwards for are gone. */
void service_detach(Service *service);
/* A connection has ended, which was called so. */
void service_connection_gone(Service *service, sd_bus *bus, const char *name);

/* The VM is complete: serves it from now on. Takes it over, also on failure. */
int service_take_vm(Service *service, VM *vm);

/*
 * Carries a change out that was prepared, remembers it, and has it told once the caller has been
 * answered. `transaction` is the object's path if it was one, else NULL. On success
 * *ret_generation is the one in force. Any outcome of change_apply().
 */
int service_commit(Service *service, Change *change, const char *transaction,
                   uint64_t *ret_generation, Detail *detail);

/* Answers a call that was to change the map with why it has not. */
void service_refuse(Service *service, sd_bus_message *call, int outcome, const Detail *detail);

/* The service that the vtable in use was registered for, where userdata is what was found. */
static inline Service *service_current(sd_bus *bus) {
        return sd_bus_slot_get_userdata(sd_bus_get_current_slot(bus));
}

/* Whose uid a call counts as: the owner's for guestmapd's own calls. */
uint32_t service_caller_uid(Service *service, sd_bus_message *m);
/* Whether the caller may see what belongs to uid: it is its own, or it is root. NULL: ourselves. */
bool service_caller_sees(Service *service, sd_bus_message *m, uint32_t uid);
/* A caller left the bus. */
void service_caller_gone(Service *service, const char *name);
