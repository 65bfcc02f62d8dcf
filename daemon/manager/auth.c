/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "daemon/common/rights.h"
#include "daemon/manager/audit.h"
#include "daemon/manager/auth.h"
#include "daemon/manager/error-dbus.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/question-dbus.h"
#include "daemon/manager/vm-dbus.h"
#include "lib/util/detail.h"

#define PATH_LENGTH_MAX 1024

typedef struct Matter Matter;

/* What a call is about. */
struct Matter {
        bool is_about_vm; /* even if about none that there is */
        VM *vm;
        const char *name; /* of the VM, also of one to be created; "" if it is about none */
};

/* About the call at the head of the caller's line. */
struct Authorization {
        Caller *caller;
        char vm_id[VM_ID_LENGTH + 1];
        uint32_t asked, granted; /* rights */
        Question *question;      /* NULL: the last one is answered */
        uint32_t right;          /* that this is about */
        Answer answer;
        Detail why; /* ANSWER_FAILED */
};

static Authorization *authorization_free(Authorization *authorization) {
        if (!authorization)
                return NULL;
        question_free(authorization->question);
        free(authorization);
        return NULL;
}
DEFINE_CLEANUP(Authorization *, authorization_free);

void auth_drop_caller(Caller *caller) {
        caller->authorization = authorization_free(caller->authorization);
}

static bool is_manager_call(sd_bus_message *m, const char *member) {
        return sd_bus_message_is_method_call(m, NULL, member) &&
               strcmp(sd_bus_message_get_path(m), GUESTMAP_PATH) == 0;
}

/* "" if it is none that a VM could have. */
static const char *read_name(sd_bus_message *m) {
        const char *name = "";
        int r;

        r = sd_bus_message_read(m, "s", &name);
        (void)sd_bus_message_rewind(m, 1);
        return r >= 0 && vm_name_is_valid(name) ? name : "";
}

static Matter find_matter(Manager *manager, sd_bus_message *m) {
        const char *path = sd_bus_message_get_path(m);
        size_t n = strlen(GUESTMAP_PATH_VM);
        Matter matter = {.name = ""};

        if (strncmp(path, GUESTMAP_PATH_VM, n) == 0 && path[n] == '/') {
                matter.is_about_vm = true;
                matter.vm = vm_from_path(manager, path);
                matter.name = matter.vm ? matter.vm->name : "";
        } else if (is_manager_call(m, "DestroyVM") || is_manager_call(m, "GetVM")) {
                matter.is_about_vm = true;
                matter.name = read_name(m);
                matter.vm = registry_find(&manager->registry, matter.name);
        } else if (is_manager_call(m, "CreateVM"))
                matter.name = read_name(m);
        return matter;
}

static bool is_exempt(const Caller *caller, const Matter *matter) {
        return caller->manager->settings.user || caller->uid == 0 ||
               (matter->vm && matter->vm->owner == caller->uid);
}

static bool is_about(const Authorization *authorization, const Matter *matter) {
        return strcmp(authorization->vm_id, matter->vm ? matter->vm->id : "") == 0;
}

static bool is_granted(const Authorization *authorization) {
        return authorization->answer == ANSWER_YES ||
               (authorization->answer == ANSWER_ABSENT &&
                authorization->right == GUESTMAP_RIGHT_INSPECT);
}

static void explain(const Authorization *authorization, const VM *vm, Detail *detail) {
        const char *action = right_action(authorization->right);

        switch (authorization->answer) {
        case ANSWER_CHALLENGE:
                detail_set(detail, 0, "%s needs authentication, which the call does not allow",
                           action);
                break;
        case ANSWER_FAILED:
                detail_set(detail, 0, "polkit can't be asked: %s", authorization->why.text);
                break;
        case ANSWER_ABSENT:
                if (vm)
                        detail_set(detail, 0, "only its owner %u and root may", vm->owner);
                else
                        detail_set(detail, 0, "only root may");
                break;
        default:
                detail_set(detail, 0, "polkit does not allow %s", action);
        }
}

static int refuse(const Authorization *authorization, const Matter *matter, sd_bus_message *m,
                  sd_bus_error *error) {
        const char *interface = sd_bus_message_get_interface(m), *name = matter->name;
        Detail why;

        explain(authorization, matter->vm, &why);
        return error_set(error, ERROR_ACCESS_DENIED, "%s.%s: uid %u may not %s %s%s%s, %s",
                         interface ? interface : "?", sd_bus_message_get_member(m),
                         authorization->caller->uid, right_verb(authorization->right),
                         name[0] ? "VM \"" : "VMs", name, name[0] ? "\"" : "", why.text);
}

static void on_answer(Answer answer, const char *why, void *userdata) {
        Authorization *authorization = userdata;

        authorization->question = NULL;
        authorization->answer = answer;
        if (is_granted(authorization))
                authorization->granted |= authorization->right;
        detail_set(&authorization->why, 0, "%s", why ? why : "");
        caller_go_on(authorization->caller);
}

/* Rights that the caller of OpenConnection is to have if it may, and nobody need be asked. */
static uint32_t rights_besides(sd_bus_message *m) {
        if (!sd_bus_message_is_method_call(m, NULL, "OpenConnection"))
                return GUESTMAP_RIGHT_NONE;
        return GUESTMAP_RIGHT_MODIFY | GUESTMAP_RIGHT_ACCESS_MEMORY | GUESTMAP_RIGHT_ADMIN;
}

static int authorization_new(Authorization **ret, Caller *caller, const Matter *matter) {
        Authorization *authorization = calloc(1, sizeof(*authorization));

        if (!authorization)
                return -ENOMEM;
        authorization->caller = caller;
        if (matter->vm)
                snprintf(authorization->vm_id, sizeof(authorization->vm_id), "%s", matter->vm->id);
        *ret = authorization;
        return 0;
}

/* Takes the authorization, also on failure. */
static int ask(Authorization *authorization, const Matter *matter, uint32_t right, bool interactive,
               sd_bus_message *m, sd_bus_error *error) {
        _cleanup_(authorization_freep) Authorization *owned = authorization;
        Caller *caller = authorization->caller;
        int r;

        authorization->right = right;
        authorization->asked |= right;
        r = question_ask(&authorization->question, caller, right_action(right), matter->name,
                         interactive, on_answer, authorization);
        if (r < 0)
                return r;
        r = caller_stop(caller, m, error);
        if (r < 0)
                return r;
        caller->authorization = TAKE_PTR(owned);
        return 1;
}

/* 0: the call may go on. 1: it waits for polkit's answer. */
static int check_polkit(Caller *caller, const Matter *matter, uint32_t right, sd_bus_message *m,
                        sd_bus_error *error) {
        _cleanup_(authorization_freep) Authorization *authorization =
                TAKE_PTR(caller->authorization);
        uint32_t open;
        int r;

        if (authorization && !is_about(authorization, matter))
                authorization = authorization_free(authorization);
        if (!authorization) {
                r = authorization_new(&authorization, caller, matter);
                if (r < 0)
                        return r;
        }
        if (!(authorization->asked & right))
                return ask(TAKE_PTR(authorization), matter, right,
                           sd_bus_message_get_allow_interactive_authorization(m) > 0, m, error);
        if (!(authorization->granted & right))
                return refuse(authorization, matter, m, error);
        open = rights_besides(m) & ~authorization->asked;
        if (open)
                return ask(TAKE_PTR(authorization), matter, open & -open, false, m, error);
        caller->rights = authorization->granted;
        return 0;
}

static int check_rights(Caller *caller, sd_bus_message *m, sd_bus_error *error) {
        Matter matter = find_matter(caller->manager, m);
        uint32_t right = call_right(sd_bus_message_get_path(m), sd_bus_message_get_interface(m),
                                    sd_bus_message_get_member(m));

        caller->rights = is_exempt(caller, &matter) ? GUESTMAP_RIGHTS_ALL : GUESTMAP_RIGHT_NONE;
        /* Where there is no VM there is nothing to guard: the handler says that there is none. */
        if ((right & ~caller->rights) == 0 || (matter.is_about_vm && !matter.vm)) {
                auth_drop_caller(caller);
                return 0;
        }
        return check_polkit(caller, &matter, right, m, error);
}

/*
 * No object has a path as long as that. sd-bus looks for each of a path's beginnings, which takes a
 * tenth of a second for one of 32 KiB; here it is refused before that.
 */
static int check_path(sd_bus_message *m, sd_bus_error *error) {
        size_t length = strlen(sd_bus_message_get_path(m));

        if (length <= PATH_LENGTH_MAX)
                return 0;
        return sd_bus_error_setf(error, SD_BUS_ERROR_UNKNOWN_OBJECT,
                                 "UnknownObject: no object has a path of %zu bytes", length);
}

/* Not by sd-bus, which would tell nobody. */
static int check_signature(sd_bus_message *m, sd_bus_error *error) {
        const char *interface = sd_bus_message_get_interface(m);
        const char *member = sd_bus_message_get_member(m);
        const char *signature = sd_bus_message_get_signature(m, 1);

        if (rights_take(interface, member, signature))
                return 0;
        return error_set(error, ERROR_INVALID_ARGS, "%s takes no arguments \"%s\"", member,
                         signature);
}

/* 1: it waits, and comes again. */
static int admit(Manager *manager, sd_bus_message *m, sd_bus_error *error) {
        Caller *caller;
        int r;

        r = check_path(m, error);
        if (r < 0)
                return r;
        r = callers_get(manager, sd_bus_message_get_sender(m), &caller);
        if (r < 0)
                return r;
        r = caller_stand_in_line(caller, m, error);
        if (r != 0)
                return r;
        r = check_rights(caller, m, error);
        return r != 0 ? r : check_signature(m, error);
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        if (!sd_bus_message_is_method_call(m, NULL, NULL))
                return 0;
        if (!sd_bus_message_get_sender(m)) /* no bus leaves it out */
                return error_set(error, ERROR_ACCESS_DENIED, "the call has no sender");
        return audit_failure(admit(userdata, m, error), userdata, m, error);
}

int auth_register(Manager *manager) {
        return sd_bus_add_filter(manager->bus, NULL, on_message, manager);
}
