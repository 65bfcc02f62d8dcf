/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "api/private.h"
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
};

static int compare_uniques(Caller *a, Caller *b) {
        return strcmp(a->unique, b->unique);
}

RB_GENERATE_STATIC(CallerTree, Caller, by_name, compare_uniques);

void callers_init(CallerTree *callers) {
        RB_INIT(callers);
}

static void waiting_free(Waiting *waiting) {
        cds_list_del(&waiting->siblings);
        sd_bus_message_unref(waiting->call);
        free(waiting);
}

static void introduction_free(Introduction *introduction) {
        cds_list_del(&introduction->of_caller);
        cds_list_del(&introduction->of_vm);
        free(introduction);
}

/* Not introduced to anybody, and in no tree. */
static Caller *caller_free(Caller *caller) {
        Waiting *waiting, *next;

        if (!caller)
                return NULL;
        forward_drop_caller(caller);
        held_drop_caller(caller);
        cds_list_for_each_entry_safe(waiting, next, &caller->line, siblings)
                waiting_free(waiting);
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
        const sd_bus_error *error = sd_bus_message_get_error(reply);
        const char *why = error ? error->message : "the bus names no uid";
        Waiting *waiting;

        cds_list_for_each_entry(waiting, &caller->line, siblings)
                error_replyf(waiting->call, ERROR_ACCESS_DENIED, "who you are cannot be told: %s",
                             why);
}

static void play_line(Caller *caller) {
        Waiting *waiting, *next;
        int r;

        cds_list_for_each_entry_safe(waiting, next, &caller->line, siblings) {
                r = sd_bus_enqueue_for_read(caller->manager->bus, waiting->call);
                if (r >= 0)
                        continue;
                error_replyf(waiting->call, GUESTMAP_ERROR_QUOTA_EXCEEDED, "calls: %s",
                             strerror(-r));
                waiting_free(waiting);
                caller->n_line--;
        }
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
        caller->known = true;
        caller->question = sd_bus_slot_unref(caller->question);
        play_line(caller);
        return 1;
}

static int caller_new(Caller **ret, Manager *manager, const char *unique) {
        _cleanup_(caller_freep) Caller *caller = NULL;
        int r;

        caller = calloc(1, sizeof(*caller));
        if (!caller)
                return -ENOMEM;
        caller->manager = manager;
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

static bool is_next_in_line(Caller *caller, sd_bus_message *m) {
        Waiting *first;

        if (!caller->known || cds_list_empty(&caller->line))
                return caller->known;
        first = cds_list_first_entry(&caller->line, Waiting, siblings);
        if (first->call != m)
                return false;
        waiting_free(first);
        caller->n_line--;
        return true;
}

int caller_stand_in_line(Caller *caller, sd_bus_message *m, sd_bus_error *error) {
        Waiting *waiting;
        Detail detail;

        if (is_next_in_line(caller, m))
                return 0;
        if (quota_check(&caller->manager->quotas, QUOTA_CALLS_PER_CLIENT, caller->n_line, &detail) >
            0)
                return error_set(error, GUESTMAP_ERROR_QUOTA_EXCEEDED, "%s", detail.text);
        waiting = malloc(sizeof(*waiting));
        if (!waiting)
                return -ENOMEM;
        waiting->call = sd_bus_message_ref(m);
        cds_list_add_tail(&waiting->siblings, &caller->line);
        caller->n_line++;
        if (caller->known)
                (void)sd_bus_enqueue_for_read(caller->manager->bus, m);
        return 1;
}

static int tell_caller(Caller *caller, VM *vm, uint32_t rights) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = link_new_call(vm->link, &m, GUESTMAP_PATH_PRIVATE, GUESTMAP_INTERFACE_PRIVATE,
                          "Caller");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "suu", caller->unique, caller->uid, rights);
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

int caller_introduce(Caller *caller, VM *vm, uint32_t rights) {
        Introduction *introduction;
        int r;

        if (is_introduced(caller, vm))
                return 0;
        introduction = malloc(sizeof(*introduction));
        if (!introduction)
                return -ENOMEM;
        r = tell_caller(caller, vm, rights);
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
