/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "api/private.h"
#include "daemon/common/load-dbus.h"
#include "daemon/vm/audit-dbus.h"
#include "daemon/vm/dump-dbus.h"
#include "daemon/vm/gate-dbus.h"
#include "daemon/vm/open-transaction.h"
#include "daemon/vm/service-dbus.h"
#include "daemon/vm/share.h"

typedef struct FreeCall FreeCall;
typedef struct Waiting Waiting;

#define PROPERTIES "org.freedesktop.DBus.Properties"

struct Waiting {
        struct cds_list_head link; /* in Gate.line */
        sd_bus_message *m;
        Load load;
        uint32_t uid;       /* whose call it is */
        bool is_on_its_way; /* among the connection's messages read */
};

/* A call that is answered from what is published. */
struct FreeCall {
        const char *interface;
        const char *member;                                         /* NULL: any */
        bool (*is_free)(const Service *service, sd_bus_message *m); /* NULL: always */
};

static bool is_below(const char *path, const char *prefix) {
        size_t n = strlen(prefix);

        return strncmp(path, prefix, n) == 0 && path[n] == '/';
}

/* Whatever is called on a region or a transaction: to see whether there is one is to look. */
static bool is_in_tree(const Service *service, sd_bus_message *m) {
        const char *path = sd_bus_message_get_path(m);

        return is_below(path, service->region_prefix) ||
               is_below(path, service->transaction_prefix);
}

static bool is_dump_without_tree(const Service *service, sd_bus_message *m) {
        const char *what = "";

        if (sd_bus_message_read(m, "s", &what) < 0)
                return false;
        (void)sd_bus_message_rewind(m, true);
        return !dump_needs_tree(what);
}

static const FreeCall free_calls[] = {
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "Find"},
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetChanges"},
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetFlatView"},
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetFlatViewFrom"},
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetMemoryTable"},
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "Read"},
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "WaitChanges"},
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "Write"},
        {GUESTMAP_INTERFACE_MAP, "FindFree"},
        {GUESTMAP_INTERFACE_VCPU, NULL},
        {GUESTMAP_INTERFACE_VM, "AddVCPU"},
        {GUESTMAP_INTERFACE_VM, "Cancel"},
        {GUESTMAP_INTERFACE_VM, "Destroy"},
        {GUESTMAP_INTERFACE_VM, "Dump", is_dump_without_tree},
        {GUESTMAP_INTERFACE_VM, "GetAddressSpace"},
        {GUESTMAP_INTERFACE_VM, "GetMetrics"},
        {GUESTMAP_INTERFACE_VM, "GetSlots"},
        {GUESTMAP_INTERFACE_VM, "ListAddressSpaces"},
        {GUESTMAP_INTERFACE_VM, "ListVCPUs"},
        {GUESTMAP_INTERFACE_VM, "OpenConnection"},
        {GUESTMAP_INTERFACE_VM, "Pause"},
        {GUESTMAP_INTERFACE_VM, "RemoveVCPU"},
        {GUESTMAP_INTERFACE_VM, "Resume"},
        {"org.freedesktop.DBus.Peer", "GetMachineId"},
        {"org.freedesktop.DBus.Peer", "Ping"},
        {PROPERTIES, "Get"},
        {PROPERTIES, "GetAll"},
        {GUESTMAP_INTERFACE_PRIVATE, "Caller"},
        {GUESTMAP_INTERFACE_PRIVATE, "Connect"},
        {GUESTMAP_INTERFACE_PRIVATE, "Describe"},
        {GUESTMAP_INTERFACE_PRIVATE, "LimitRAM"},
        {GUESTMAP_INTERFACE_PRIVATE, "Quit"},
};

/* A call need not name its interface. */
static bool is_call_of(sd_bus_message *m, const FreeCall *call) {
        const char *interface = sd_bus_message_get_interface(m);

        if (!call->member)
                return interface && strcmp(call->interface, interface) == 0;
        return strcmp(call->member, sd_bus_message_get_member(m)) == 0 &&
               (!interface || strcmp(call->interface, interface) == 0);
}

static bool needs_tree(const Service *service, sd_bus_message *m) {
        if (is_in_tree(service, m))
                return true;
        for (size_t i = 0; i < ELEMENTS_OF(free_calls); i++)
                if (is_call_of(m, &free_calls[i]))
                        return free_calls[i].is_free && !free_calls[i].is_free(service, m);
        return true;
}

/* guestmapd's own messages have no order among those of callers. */
static bool is_private(sd_bus_message *m) {
        return strcmp(sd_bus_message_get_path(m), GUESTMAP_PATH_PRIVATE) == 0;
}

static bool is_same_caller(const char *a, const char *b) {
        return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Whether a call of the same caller has to be answered before. */
static bool is_behind_itself(const Gate *gate, sd_bus_message *m) {
        const char *sender = sender_of(gate->service, m);
        const Waiting *waiting;

        if (is_private(m))
                return false;
        if (gate->is_lent && !gate->borrower_left && is_same_caller(gate->borrower, sender))
                return true;
        cds_list_for_each_entry(waiting, &gate->line, link)
                if (!is_private(waiting->m) &&
                    is_same_caller(sender_of(gate->service, waiting->m), sender))
                        return true;
        return false;
}

static Waiting *find_waiting(const Gate *gate, sd_bus_message *m) {
        Waiting *waiting;

        cds_list_for_each_entry(waiting, &gate->line, link)
                if (waiting->m == m)
                        return waiting;
        return NULL;
}

static void waiting_free(Gate *gate, Waiting *waiting) {
        cds_list_del(&waiting->link);
        gate->n_line--;
        sd_bus_message_unref(waiting->m);
        free(waiting);
}

/* What is counted of calls in line. */
enum { CALLS, BYTES, DESCRIPTORS, N_COUNTS };

#define WAIT "wait for a long one to end"

static const Share shares[N_COUNTS] = {
        [CALLS] = {WAIT, NULL, GATE_LINE_MAX, GATE_LINE_RESERVED, GATE_LINE_USER_MAX},
        [BYTES] = {WAIT, "bytes of calls", GATE_BYTES_MAX, GATE_BYTES_RESERVED,
                   GATE_BYTES_USER_MAX},
        [DESCRIPTORS] = {WAIT, "descriptors of calls", GATE_DESCRIPTORS_MAX,
                         GATE_DESCRIPTORS_RESERVED, GATE_DESCRIPTORS_USER_MAX},
};

static void count(size_t counts[static N_COUNTS], const Waiting *waiting) {
        counts[CALLS]++;
        counts[BYTES] += waiting->load.bytes;
        counts[DESCRIPTORS] += waiting->load.descriptors;
}

static int check_room(const Gate *gate, uint32_t uid, Detail *detail) {
        size_t all[N_COUNTS] = {}, user[N_COUNTS] = {};
        const Waiting *other;
        int r = 0;

        cds_list_for_each_entry(other, &gate->line, link) {
                count(all, other);
                if (other->uid == uid)
                        count(user, other);
        }
        for (size_t i = 0; r == 0 && i < N_COUNTS; i++)
                r = share_check(&shares[i], gate->service->vm, all[i], uid, user[i], detail);
        return r;
}

/* What cannot be played back is refused: its caller is not to wait for ever. */
static void play(Gate *gate, Waiting *waiting) {
        int r;

        r = sd_bus_enqueue_for_read(sd_bus_message_get_bus(waiting->m), waiting->m);
        waiting->is_on_its_way = r >= 0;
        if (r >= 0)
                return;
        answer_error(gate->service, waiting->m, r, NULL);
        waiting_free(gate, waiting);
}

static int join_line(Gate *gate, sd_bus_message *m, Detail *detail) {
        uint32_t uid = service_caller_uid(gate->service, m);
        Waiting *waiting;
        Load load;
        int r;

        r = is_private(m) ? 0 : check_room(gate, uid, detail);
        if (r != 0)
                return r;
        r = load_measure(&load, m);
        if (r < 0)
                return r;
        waiting = calloc(1, sizeof(*waiting));
        if (!waiting)
                return -ENOMEM;
        waiting->m = sd_bus_message_ref(m);
        waiting->load = load;
        waiting->uid = uid;
        cds_list_add_tail(&waiting->link, &gate->line);
        gate->n_line++;
        /* If the tree is back the line is on its way: behind it. */
        if (!gate->is_lent)
                play(gate, waiting);
        return 0;
}

int gate_hold(Gate *gate, sd_bus_message *m, bool *ret_held, Detail *detail) {
        Waiting *waiting;
        int r;

        *ret_held = false;
        if (!gate->is_lent && gate->n_line == 0)
                return 0;
        waiting = find_waiting(gate, m);
        if (!waiting && !needs_tree(gate->service, m) && !is_behind_itself(gate, m))
                return 0;
        if (!waiting) {
                r = join_line(gate, m, detail);
                *ret_held = r == 0;
                return r;
        }
        *ret_held = gate->is_lent || gate->line.next != &waiting->link;
        waiting->is_on_its_way = false;
        if (!*ret_held)
                waiting_free(gate, waiting);
        else if (!gate->is_lent)
                play(gate, waiting); /* the tree was lent again meanwhile, which has mixed them */
        return 0;
}

void gate_forget(Gate *gate, sd_bus_message *m) {
        Waiting *waiting = find_waiting(gate, m);

        if (waiting)
                waiting_free(gate, waiting);
}

/* Whose call none is. */
static const char nobody[] = "";

int gate_lend(Gate *gate, sd_bus_message *m) {
        const char *sender = m ? sender_of(gate->service, m) : nobody;
        char *borrower = NULL;

        if (sender) {
                borrower = strdup(sender);
                if (!borrower)
                        return -ENOMEM;
        }
        gate->borrower = borrower;
        gate->is_lent = true;
        return 0;
}

void gate_take_back(Gate *gate) {
        Waiting *waiting, *next;

        if (!gate->is_lent)
                return;
        gate->is_lent = false;
        free(gate->borrower);
        gate->borrower = NULL;
        gate->borrower_left = false;
        open_transactions_drop(gate->service);
        cds_list_for_each_entry_safe(waiting, next, &gate->line, link)
                if (!waiting->is_on_its_way)
                        play(gate, waiting);
}

int gate_start_job(Gate *gate, Job **ret, sd_bus_message *m, JobRun run, JobDone done,
                   void *userdata, Detail *detail) {
        int r;

        r = gate_lend(gate, m);
        if (r < 0)
                return r;
        r = job_start(&gate->service->jobs, ret, run, done, userdata, detail);
        if (r != 0)
                gate_take_back(gate);
        else if (m)
                audit_wait(gate->service, m);
        return r;
}

void gate_run(Gate *gate, sd_bus_message *m, bool waits, JobRun run, JobDone done, void *userdata,
              Detail *detail) {
        int r;

        r = waits ? gate_start_job(gate, NULL, m, run, done, userdata, detail)
                  : run(NULL, userdata);
        if (!waits || r != 0)
                done(r, userdata);
}

void gate_disconnect(Gate *gate, const char *caller) {
        bool is_borrower = caller ? gate->borrower && strcmp(gate->borrower, caller) == 0
                                  : !gate->borrower || !sender_is_connection(gate->borrower);
        Waiting *waiting, *next;

        cds_list_for_each_entry_safe(waiting, next, &gate->line, link)
                if (sender_is(gate->service, waiting->m, caller)) {
                        answer_caller_left(gate->service, waiting->m);
                        waiting_free(gate, waiting);
                }
        open_transactions_abandon(gate->service, caller);
        if (!gate->is_lent)
                open_transactions_drop(gate->service);
        else if (is_borrower)
                gate->borrower_left = true;
}

void gate_init(Gate *gate, Service *service) {
        *gate = (Gate){.service = service};
        CDS_INIT_LIST_HEAD(&gate->line);
}
