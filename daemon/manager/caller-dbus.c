/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "api/private.h"
#include "daemon/common/load-dbus.h"
#include "daemon/manager/audit.h"
#include "daemon/manager/auth.h"
#include "daemon/manager/caller-dbus.h"
#include "daemon/manager/error-dbus.h"
#include "daemon/manager/forward.h"
#include "daemon/manager/held-dbus.h"
#include "daemon/manager/link-dbus.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/quota.h"

typedef struct Introduction Introduction;
typedef struct Waiting Waiting;

struct Introduction {
        Caller *caller;
        VM *vm;
        struct cds_list_head of_caller;
        struct cds_list_head of_vm;
};

struct Waiting {
        struct cds_list_head siblings;
        sd_bus_message *call;
        size_t bytes;
        bool is_on_its_way; /* among the bus' messages read */
};

static int compare_uniques(Caller *a, Caller *b) {
        return strcmp(a->unique, b->unique);
}

RB_GENERATE_STATIC(CallerTree, Caller, by_name, compare_uniques);

size_t callers_count(CallerTree *callers, size_t *ret_line) {
        size_t n = 0, n_line = 0;
        Caller *caller;

        RB_FOREACH(caller, CallerTree, callers) {
                n++;
                n_line += caller->n_line;
        }
        if (ret_line)
                *ret_line = n_line;
        return n;
}

void callers_init(CallerTree *callers) {
        RB_INIT(callers);
}

/* What waits counts as the user's, as soon as it is known who that is. */
static void count_line(Caller *caller, ssize_t calls, ssize_t bytes) {
        caller->n_line += (size_t)calls;
        caller->line_bytes += (size_t)bytes;
        if (caller->user) {
                caller->user->n_calls += (size_t)calls;
                caller->user->n_bytes += (size_t)bytes;
        }
}

static void waiting_free(Caller *caller, Waiting *waiting) {
        cds_list_del(&waiting->siblings);
        count_line(caller, -1, -(ssize_t)waiting->bytes);
        sd_bus_message_unref(waiting->call);
        free(waiting);
}

/* Nothing comes of the calls that wait. Those on their way are seen once more, and refused. */
static void end_line(Caller *caller, const sd_bus_error *error) {
        Waiting *waiting, *next;

        cds_list_for_each_entry_safe(waiting, next, &caller->line, siblings) {
                if (!waiting->is_on_its_way)
                        audit_call(caller->manager, caller->uid, waiting->call, error);
                waiting_free(caller, waiting);
        }
}

static void introduction_free(Introduction *introduction) {
        cds_list_del(&introduction->of_caller);
        cds_list_del(&introduction->of_vm);
        free(introduction);
}

/* Not introduced to anybody, nobody in line, and in no tree. */
static Caller *caller_free(Caller *caller) {
        if (!caller)
                return NULL;
        rota_leave(caller);
        auth_drop_caller(caller);
        sd_bus_slot_unref(caller->question);
        user_unref(caller->user);
        free(caller->unique);
        free(caller);
        return NULL;
}
DEFINE_CLEANUP(Caller *, caller_free);

/* If it can't be told the connection is at its end, which says the same. */
static void tell_gone(Introduction *introduction) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        Link *link = introduction->vm->link;

        if (link_new_call(link, &m, GUESTMAP_PATH_PRIVATE, GUESTMAP_INTERFACE_PRIVATE,
                          "CallerGone") >= 0 &&
            sd_bus_message_append(m, "s", introduction->caller->unique) >= 0)
                (void)link_tell(link, m);
}

static void caller_leave(Caller *caller) {
        Introduction *introduction, *next;

        end_line(caller, &audit_never_sent);
        forward_drop_caller(caller);
        held_drop_caller(caller);
        cds_list_for_each_entry_safe(introduction, next, &caller->introductions, of_caller) {
                tell_gone(introduction);
                introduction_free(introduction);
        }
        RB_REMOVE(CallerTree, &caller->manager->callers, caller);
        caller_free(caller);
}

static Caller *callers_find(Manager *manager, const char *unique) {
        Caller key = {.unique = (char *)unique};

        return RB_FIND(CallerTree, &manager->callers, &key);
}

void callers_gone(Manager *manager, const char *unique) {
        Caller *caller = callers_find(manager, unique);

        if (caller)
                caller_leave(caller);
}

void callers_clear(Manager *manager) {
        Caller *caller;

        while ((caller = RB_MIN(CallerTree, &manager->callers)))
                caller_leave(caller);
}

Caller *callers_of(Manager *manager, sd_bus_message *m) {
        return callers_find(manager, sd_bus_message_get_sender(m));
}

/* Whoever cannot be named gets no answer but this. Mostly it has left, and nobody hears it. */
static void refuse_line(Caller *caller, sd_bus_message *reply) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        const sd_bus_error *failure = sd_bus_message_get_error(reply);
        Waiting *waiting;

        error_set(&error, ERROR_ACCESS_DENIED, "who you are cannot be told: %s",
                  failure ? failure->message : "the bus names no uid");
        cds_list_for_each_entry(waiting, &caller->line, siblings)
                error_reply(waiting->call, &error);
        end_line(caller, &error);
}

static bool is_first(const Caller *caller, const Waiting *waiting) {
        return caller->line.next == &waiting->siblings;
}

/* What cannot be played back is refused: nobody is to wait for ever. */
static void play(Caller *caller, Waiting *waiting) {
        int r;

        r = sd_bus_enqueue_for_read(caller->manager->bus, waiting->call);
        waiting->is_on_its_way = r >= 0;
        if (r >= 0)
                return;
        error_replyf(waiting->call, GUESTMAP_ERROR_QUOTA_EXCEEDED, "calls: %s", strerror(-r));
        if (is_first(caller, waiting))
                auth_drop_caller(caller);
        waiting_free(caller, waiting);
}

void caller_go_on(Caller *caller) {
        Waiting *waiting, *next;

        caller->is_stopped = false;
        cds_list_for_each_entry_safe(waiting, next, &caller->line, siblings) {
                if (!rota_pass(caller))
                        break;
                if (!waiting->is_on_its_way)
                        play(caller, waiting);
        }
}

bool caller_play_next(Caller *caller) {
        Waiting *first;

        if (caller->is_stopped || cds_list_empty(&caller->line))
                return false;
        first = cds_list_first_entry(&caller->line, Waiting, siblings);
        if (!first->is_on_its_way)
                play(caller, first);
        return caller->n_line > 1;
}

static int on_identity(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Caller *caller = userdata;

        if (sd_bus_message_is_method_error(reply, NULL) ||
            sd_bus_message_read(reply, "u", &caller->uid) < 0 ||
            users_get(&caller->manager->users, caller->uid, &caller->user) < 0) {
                refuse_line(caller, reply);
                caller_leave(caller);
                return 1;
        }
        caller->user->n_calls += caller->n_line;
        caller->user->n_bytes += caller->line_bytes;
        caller->question = sd_bus_slot_unref(caller->question);
        caller_go_on(caller);
        return 1;
}

static int caller_new(Caller **ret, Manager *manager, const char *unique) {
        _cleanup_(caller_freep) Caller *caller = NULL;
        int r;

        caller = calloc(1, sizeof(*caller));
        if (!caller)
                return -ENOMEM;
        caller->manager = manager;
        caller->uid = AUDIT_NOBODY;
        caller->is_stopped = true;
        CDS_INIT_LIST_HEAD(&caller->line);
        CDS_INIT_LIST_HEAD(&caller->introductions);
        CDS_INIT_LIST_HEAD(&caller->calls);
        CDS_INIT_LIST_HEAD(&caller->held);
        caller->unique = strdup(unique);
        if (!caller->unique)
                return -ENOMEM;
        r = sd_bus_call_method_async(manager->bus, &caller->question, "org.freedesktop.DBus",
                                     "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                     "GetConnectionUnixUser", on_identity, caller, "s", unique);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(caller);
        return 0;
}

int callers_get(Manager *manager, const char *unique, Caller **ret) {
        Caller *caller = callers_find(manager, unique);
        int r;

        if (!caller) {
                r = caller_new(&caller, manager, unique);
                if (r < 0)
                        return r;
                RB_INSERT(CallerTree, &manager->callers, caller);
        }
        *ret = caller;
        return 0;
}

static Waiting *find_waiting(const Caller *caller, sd_bus_message *m) {
        Waiting *waiting;

        cds_list_for_each_entry(waiting, &caller->line, siblings)
                if (waiting->call == m)
                        return waiting;
        return NULL;
}

static int check_room(const Caller *caller, const Load *load, sd_bus_error *error) {
        const Quotas *quotas = &caller->manager->quotas;
        const User *user = caller->user;
        Detail detail;

        if (quota_check(quotas, QUOTA_CALLS_PER_CLIENT, caller->n_line, &detail) > 0 ||
            quota_check(quotas, QUOTA_CALLS_PER_USER, user ? user->n_calls : 0, &detail) > 0 ||
            quota_check(quotas, QUOTA_BYTES_PER_USER, user ? user->n_bytes : caller->line_bytes,
                        &detail) > 0 ||
            quota_check_size(quotas, QUOTA_DESCRIPTORS, load->descriptors, &detail) > 0 ||
            quota_check_size(quotas, QUOTA_MESSAGE_BYTES, load->bytes, &detail) > 0)
                return error_set(error, GUESTMAP_ERROR_QUOTA_EXCEEDED, "%s", detail.text);
        return 0;
}

/* In no line yet, but counted. */
static int waiting_new(Waiting **ret, Caller *caller, sd_bus_message *m, sd_bus_error *error) {
        Waiting *waiting;
        Load load;
        int r;

        r = load_measure(&load, m);
        if (r < 0)
                return r;
        r = check_room(caller, &load, error);
        if (r < 0)
                return r;
        waiting = calloc(1, sizeof(*waiting));
        if (!waiting)
                return -ENOMEM;
        waiting->call = sd_bus_message_ref(m);
        waiting->bytes = load.bytes;
        count_line(caller, 1, (ssize_t)load.bytes);
        *ret = waiting;
        return 0;
}

static int join_line(Caller *caller, sd_bus_message *m, sd_bus_error *error) {
        Waiting *waiting;
        int r;

        r = waiting_new(&waiting, caller, m, error);
        if (r < 0)
                return r;
        cds_list_add_tail(&waiting->siblings, &caller->line);
        if (!caller->is_stopped && rota_pass(caller))
                play(caller, waiting);
        return 0;
}

int caller_stand_in_line(Caller *caller, sd_bus_message *m, sd_bus_error *error) {
        Waiting *waiting = find_waiting(caller, m);
        int r;

        if (!waiting) {
                if (!caller->is_stopped && cds_list_empty(&caller->line) && rota_pass(caller))
                        return 0;
                r = join_line(caller, m, error);
                return r < 0 ? r : 1;
        }
        waiting->is_on_its_way = false;
        if (caller->is_stopped)
                return 1;
        if (is_first(caller, waiting)) {
                waiting_free(caller, waiting);
                return 0;
        }
        if (!caller->place.is_taken)
                play(caller, waiting); /* the line stood still meanwhile, which has mixed it */
        return 1;
}

int caller_stop(Caller *caller, sd_bus_message *m, sd_bus_error *error) {
        Waiting *waiting;
        int r;

        r = waiting_new(&waiting, caller, m, error);
        if (r < 0)
                return r;
        cds_list_add(&waiting->siblings, &caller->line);
        caller->is_stopped = true;
        rota_leave(caller);
        return 0;
}

static int tell_caller(Caller *caller, VM *vm) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = link_new_call(vm->link, &m, GUESTMAP_PATH_PRIVATE, GUESTMAP_INTERFACE_PRIVATE,
                          "Caller");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "su", caller->unique, caller->uid);
        if (r < 0)
                return r;
        return link_tell(vm->link, m);
}

/* Callers talk to few VMs, and mostly to the one that they talked to before. */
static bool is_introduced(Caller *caller, VM *vm) {
        Introduction *introduction;

        cds_list_for_each_entry(introduction, &caller->introductions, of_caller)
                if (introduction->vm == vm) {
                        cds_list_move(&introduction->of_caller, &caller->introductions);
                        return true;
                }
        return false;
}

int caller_introduce(Caller *caller, VM *vm) {
        Introduction *introduction;
        int r;

        if (is_introduced(caller, vm))
                return 0;
        introduction = malloc(sizeof(*introduction));
        if (!introduction)
                return -ENOMEM;
        r = tell_caller(caller, vm);
        if (r < 0) {
                free(introduction);
                return r;
        }
        introduction->caller = caller;
        introduction->vm = vm;
        cds_list_add(&introduction->of_caller, &caller->introductions);
        cds_list_add(&introduction->of_vm, &vm->introductions);
        return 0;
}

void callers_forget_vm(VM *vm) {
        Introduction *introduction, *next;

        cds_list_for_each_entry_safe(introduction, next, &vm->introductions, of_vm)
                introduction_free(introduction);
}
