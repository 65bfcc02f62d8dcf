/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "api/private.h"
#include "daemon/common/audit-dbus.h"
#include "daemon/common/load-dbus.h"
#include "daemon/common/log.h"
#include "daemon/manager/audit.h"
#include "daemon/manager/copy-dbus.h"
#include "daemon/manager/departure-dbus.h"
#include "daemon/manager/error-dbus.h"
#include "daemon/manager/forward.h"
#include "daemon/manager/held-dbus.h"
#include "daemon/manager/link-dbus.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/options-dbus.h"
#include "daemon/manager/quota.h"
#include "daemon/manager/vm-dbus.h"

typedef struct ForwardedCall ForwardedCall;

struct ForwardedCall {
        Caller *caller; /* NULL: it has left, and nobody waits for the answer but the audit */
        User *user;     /* whose call it is */
        VM *vm;
        struct cds_list_head siblings; /* in Caller.calls */
        LinkCall *sent;
        sd_bus_message *stub; /* the request without its body */
        size_t bytes;         /* of the body */
        AuditSubject *subject;
};

static void leave_caller(ForwardedCall *call) {
        cds_list_del(&call->siblings);
        call->caller->n_calls--;
        call->caller = NULL;
}

static void forwarded_call_free(ForwardedCall *call) {
        if (call->caller)
                leave_caller(call);
        call->user->n_calls--;
        call->user->n_bytes -= call->bytes;
        user_unref(call->user);
        sd_bus_message_unref(call->stub);
        audit_subject_free(call->subject);
        free(call);
}
DEFINE_CLEANUP(ForwardedCall *, forwarded_call_free);

static void note(VM *vm, const ForwardedCall *call, sd_bus_message *reply,
                 const sd_bus_error *error) {
        audit_answered(vm->manager, vm->name, call->user->uid, call->stub, call->subject, reply,
                       error);
}

void forward_drop_caller(Caller *caller) {
        ForwardedCall *call, *next;

        cds_list_for_each_entry_safe(call, next, &caller->calls, siblings) {
                if (log_is_journal() && audit_wants(call->stub)) {
                        leave_caller(call);
                        continue;
                }
                link_call_cancel(call->sent);
                forwarded_call_free(call);
        }
}

static int copy_reply(sd_bus_message *request, sd_bus_message *reply) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *copy = NULL;
        int r;

        if (sd_bus_message_is_method_error(reply, NULL))
                return sd_bus_reply_method_error(request, sd_bus_message_get_error(reply));
        r = sd_bus_message_new_method_return(request, &copy);
        if (r < 0)
                return r;
        r = message_copy(copy, reply);
        if (r < 0)
                return r;
        return sd_bus_message_send(copy);
}

static void tell_gone(VM *vm, const ForwardedCall *call) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        if (vm->destroyed)
                error_set(&error, GUESTMAP_ERROR_VM_GONE, "VM \"%s\" was destroyed during the call",
                          vm->name);
        else
                error_set(&error, GUESTMAP_ERROR_VM_GONE,
                          "VM \"%s\": the connection to its process ended during the call, and "
                          "whether that took effect is not known: read Generation",
                          vm->name);
        note(vm, call, NULL, &error);
        if (call->caller)
                (void)sd_bus_reply_method_error(call->stub, &error);
}

static void answer(const ForwardedCall *call, sd_bus_message *reply) {
        int r;

        r = copy_reply(call->stub, reply);
        if (r < 0)
                (void)sd_bus_reply_method_errno(call->stub, r, NULL);
}

static void on_done(VM *vm, sd_bus_message *reply, void *userdata) {
        _cleanup_(forwarded_call_freep) ForwardedCall *call = userdata;

        if (!reply) {
                tell_gone(vm, call);
                return;
        }
        note(vm, call, reply, NULL);
        if (call->caller)
                answer(call, reply);
        forward_held(vm);
}

static int copy_call(sd_bus_message **ret, VM *vm, sd_bus_message *m) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *copy = NULL;
        int r;

        r = sd_bus_message_rewind(m, 1);
        if (r < 0)
                return r;
        r = link_new_call(vm->link, &copy, sd_bus_message_get_path(m),
                          sd_bus_message_get_interface(m), sd_bus_message_get_member(m));
        if (r < 0)
                return r;
        r = message_copy(copy, m);
        if (r < 0)
                return r;
        r = sd_bus_message_set_sender(copy, sd_bus_message_get_sender(m));
        if (r < 0)
                return r;
        *ret = TAKE_PTR(copy);
        return 0;
}

/*
 * What a reply, if one is wanted, and its entry in the audit need of their call: its header. A call
 * may wait long, and its body and descriptors are not to lie here meanwhile.
 */
static int new_stub(sd_bus_message **ret, sd_bus_message *m) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *stub = NULL;
        uint64_t cookie;
        int r;

        r = sd_bus_message_get_cookie(m, &cookie);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_call(
                sd_bus_message_get_bus(m), &stub, NULL, sd_bus_message_get_path(m),
                sd_bus_message_get_interface(m), sd_bus_message_get_member(m));
        if (r < 0)
                return r;
        r = sd_bus_message_set_sender(stub, sd_bus_message_get_sender(m));
        if (r < 0)
                return r;
        r = sd_bus_message_set_expect_reply(stub, sd_bus_message_get_expect_reply(m));
        if (r < 0)
                return r;
        r = sd_bus_message_seal(stub, cookie, 0);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(stub);
        return 0;
}

/* Also one that wants no answer: as long as the process has it, it counts as its caller's. */
static int pass_and_remember(const HeldCall *held, sd_bus_message *copy) {
        _cleanup_(forwarded_call_freep) ForwardedCall *call = NULL;
        Caller *caller = held->caller;
        int r;

        call = calloc(1, sizeof(*call));
        if (!call)
                return -ENOMEM;
        call->caller = caller;
        call->user = user_ref(caller->user);
        call->vm = held->vm;
        cds_list_add_tail(&call->siblings, &caller->calls);
        caller->n_calls++;
        call->user->n_calls++;
        call->user->n_bytes += call->bytes = held->bytes;
        call->subject = audit_subject_new(held->call);
        r = new_stub(&call->stub, held->call);
        if (r < 0)
                return r;
        r = link_pass(held->vm->link, &call->sent, copy, held->bytes, on_done, call);
        if (r < 0)
                return r;
        TAKE_PTR(call);
        return 0;
}

static int check_room(Caller *caller, VM *vm, sd_bus_error *error) {
        LinkLoad backlog = link_backlog(vm->link);
        const struct {
                Quota quota;
                size_t used;
        } checks[] = {
                {QUOTA_CALLS_PER_CLIENT, caller->n_calls},
                {QUOTA_CALLS_PER_USER, caller->user->n_calls},
                {QUOTA_BYTES_PER_USER, caller->user->n_bytes},
                {QUOTA_CALLS_PER_VM, vm->held.n + backlog.calls},
                {QUOTA_BYTES_PER_VM, vm->held.bytes + backlog.bytes},
        };
        Detail detail;
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTS_OF(checks); i++)
                r = quota_check(&vm->manager->quotas, checks[i].quota, checks[i].used, &detail);
        if (r > 0)
                return error_set(error, GUESTMAP_ERROR_QUOTA_EXCEEDED, "VM \"%s\": %s", vm->name,
                                 detail.text);
        return 0;
}

static int measure(VM *vm, sd_bus_message *m, Load *ret, sd_bus_error *error) {
        const Quotas *quotas = &vm->manager->quotas;
        Detail detail;
        int r;

        r = load_measure(ret, m);
        if (r < 0)
                return r;
        if (quota_check_size(quotas, QUOTA_DESCRIPTORS, ret->descriptors, &detail) > 0 ||
            quota_check_size(quotas, QUOTA_MESSAGE_BYTES, ret->bytes, &detail) > 0)
                return error_set(error, GUESTMAP_ERROR_QUOTA_EXCEEDED, "VM \"%s\": %s", vm->name,
                                 detail.text);
        return 0;
}

static bool is_vm_call(VM *vm, sd_bus_message *m, const char *member) {
        const char *interface = sd_bus_message_get_interface(m);

        return strcmp(sd_bus_message_get_path(m), vm->path) == 0 &&
               strcmp(sd_bus_message_get_member(m), member) == 0 &&
               (!interface || strcmp(interface, GUESTMAP_INTERFACE_VM) == 0);
}

/* The process is told whose connection it shall be, and what he may. */
static int new_connect(sd_bus_message **ret, const HeldCall *held) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r;

        r = link_new_call(held->vm->link, &call, GUESTMAP_PATH_PRIVATE, GUESTMAP_INTERFACE_PRIVATE,
                          "Connect");
        if (r < 0)
                return r;
        r = sd_bus_message_append(call, "uu", held->caller->uid, held->rights);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(call);
        return 0;
}

static int send_call(const HeldCall *held) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *copy = NULL;
        VM *vm = held->vm;
        int r;

        r = caller_introduce(held->caller, vm);
        if (r < 0)
                return r;
        r = is_vm_call(vm, held->call, "OpenConnection") ? new_connect(&copy, held)
                                                         : copy_call(&copy, vm, held->call);
        if (r < 0)
                return r;
        r = pass_and_remember(held, copy);
        if (r < 0)
                return r;
        vm->n_forwarded++;
        return 0;
}

static void on_taken(VM *vm, sd_bus_message *reply, void *userdata) {
        vm->held.asks = false;
        if (reply)
                forward_held(vm);
}

/* What it was sent may all be calls that wait for something to happen, and are not answered. */
static void ask_whether_taken(VM *vm) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        if (vm->held.asks)
                return;
        r = link_new_call(vm->link, &m, GUESTMAP_PATH_PRIVATE, "org.freedesktop.DBus.Peer", "Ping");
        if (r >= 0)
                r = link_call(vm->link, NULL, m, LINK_NEVER, on_taken, NULL);
        vm->held.asks = r >= 0;
        if (r < 0)
                log_vm(LOG_ERR, vm->name, "can't ask what it has taken: %s", strerror(-r));
}

static void refuse(const HeldCall *held, int r) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        (void)audit_failure(r, held->vm->manager, held->call, &error);
        error_reply(held->call, &error);
}

/* The link may have failed already, and the VM be taken for LIVING until that is heard of. */
void forward_held(VM *vm) {
        HeldCall *held;
        int r;

        while (vm->phase != VM_RECOVERING && (held = held_next(vm))) {
                if (!link_has_room(vm->link)) {
                        ask_whether_taken(vm);
                        return;
                }
                r = send_call(held);
                if (r == -ENOTCONN || r == -ECONNRESET)
                        return;
                if (r < 0)
                        refuse(held, r);
                held_call_free(held);
        }
}

static int hold_and_forward(VM *vm, Caller *caller, sd_bus_message *m, size_t bytes) {
        int r;

        r = held_add(vm, caller, m, bytes);
        if (r < 0)
                return r;
        forward_held(vm);
        return 1;
}

static int open_connection(VM *vm, sd_bus_message *m, sd_bus_error *error) {
        Caller *caller = callers_of(vm->manager, m);
        int r;

        r = options_read_none(m, error);
        if (r < 0)
                return r;
        if (vm->phase == VM_RECOVERING)
                return error_set(error, GUESTMAP_ERROR_VM_GONE,
                                 "VM \"%s\": its process is not back yet", vm->name);
        r = check_room(caller, vm, error);
        return r < 0 ? r : hold_and_forward(vm, caller, m, 0);
}

static int forward(VM *vm, sd_bus_message *m, sd_bus_error *error) {
        Caller *caller = callers_of(vm->manager, m);
        Load load;
        int r;

        r = check_room(caller, vm, error);
        if (r < 0)
                return r;
        r = measure(vm, m, &load, error);
        return r < 0 ? r : hold_and_forward(vm, caller, m, load.bytes);
}

static int living_call(VM *vm, sd_bus_message *m, sd_bus_error *error) {
        int r;

        if (strcmp(sd_bus_message_get_path(m), vm->path) != 0)
                return forward(vm, m, error);
        if (is_vm_call(vm, m, "Destroy"))
                return departure_method(vm, m, error);
        if (is_vm_call(vm, m, "OpenConnection"))
                return open_connection(vm, m, error);
        r = vm_get_property(vm, m);
        return r != 0 ? r : forward(vm, m, error);
}

/* What of a crashed VM can still be shown or done is in vm-dbus.c's vtable. */
static bool is_left_by_crash(VM *vm, sd_bus_message *m) {
        const char *interface = sd_bus_message_get_interface(m);

        return strcmp(sd_bus_message_get_path(m), vm->path) == 0 &&
               (is_vm_call(vm, m, "Destroy") ||
                (interface && (strcmp(interface, "org.freedesktop.DBus.Properties") == 0 ||
                               strcmp(interface, "org.freedesktop.DBus.Introspectable") == 0)));
}

static int call_vm(Manager *manager, VM *vm, sd_bus_message *m, sd_bus_error *error) {
        const char *path = sd_bus_message_get_path(m);

        if ((!vm || !vm_is_visible(vm)) && manager->n_awaited > 0)
                return error_set(error, GUESTMAP_ERROR_VM_GONE,
                                 "no VM that was found again so far has the object %s; the call "
                                 "had no effect",
                                 path);
        if (!vm || !vm_is_visible(vm))
                return error_set(error, GUESTMAP_ERROR_NO_SUCH_VM, "no VM has the object %s", path);
        switch (vm->phase) {
        case VM_LIVING:
        case VM_RECOVERING:
                return living_call(vm, m, error);
        case VM_CRASHED:
                if (is_left_by_crash(vm, m))
                        return 0;
                if (vm->link && is_vm_call(vm, m, "GetBacking"))
                        return forward(vm, m, error);
                return error_set(error, GUESTMAP_ERROR_VM_GONE, "VM \"%s\" has crashed: %s",
                                 vm->name, vm->reason ?: "out of memory");
        default:
                return error_set(error, GUESTMAP_ERROR_VM_GONE, "VM \"%s\" is being destroyed",
                                 vm->name);
        }
}

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *path = sd_bus_message_get_path(m);

        if (strcmp(path, GUESTMAP_PATH_VM) == 0)
                return 0;
        return audit_failure(call_vm(userdata, vm_from_path(userdata, path), m, error), userdata, m,
                             error);
}

int forward_register(Manager *manager) {
        return sd_bus_add_fallback(manager->bus, NULL, GUESTMAP_PATH_VM, on_call, manager);
}
