/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>
#include <systemd/sd-bus.h>

#include "daemon/common/log.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/unit-dbus.h"
#include "daemon/manager/unit-result-dbus.h"

#define SYSTEMD         "org.freedesktop.systemd1"
#define SYSTEMD_PATH    "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"

typedef struct UnitJob UnitJob;

/* What is asked of systemd, in line, asked, or answered and under way. */
struct UnitJob {
        struct cds_list_head siblings; /* in Manager.jobs, oldest first */
        VM *vm;
        UnitDone done;
        sd_bus_message *call; /* NULL: it was sent */
        sd_bus_message_handler_t on_reply;
        sd_bus_slot *question;
        bool asked;    /* and not answered */
        char *path;    /* NULL until systemd has answered */
        char *systemd; /* its unique name: others can send signals like its */
};

static void unit_job_answered(UnitJob *job) {
        job->vm->manager->n_asked -= job->asked;
        job->asked = false;
}

static UnitJob *unit_job_free(UnitJob *job) {
        unit_job_answered(job);
        cds_list_del(&job->siblings);
        sd_bus_message_unref(job->call);
        sd_bus_slot_unref(job->question);
        free(job->path);
        free(job->systemd);
        free(job);
        return NULL;
}

static void unit_job_finish(UnitJob *job, const char *result) {
        VM *vm = job->vm;
        UnitDone done = job->done;

        unit_job_free(job);
        done(vm, result);
}

static int read_job(UnitJob *job, sd_bus_message *reply) {
        const char *path;
        int r;

        r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return r;
        job->path = strdup(path);
        job->systemd = strdup(sd_bus_message_get_sender(reply));
        return job->path && job->systemd ? 0 : -ENOMEM;
}

static int on_queued(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        UnitJob *job = userdata;

        if (sd_bus_message_is_method_error(reply, NULL)) {
                log_vm(LOG_WARNING, job->vm->name, "%s", sd_bus_message_get_error(reply)->message);
                unit_job_finish(job, sd_bus_message_get_error(reply)->name);
                return 1;
        }
        if (read_job(job, reply) < 0)
                unit_job_finish(job, "no job");
        return 1;
}

/* What systemd has done by the time that it answers. */
static int on_done(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const sd_bus_error *failed = sd_bus_message_get_error(reply);
        UnitJob *job = userdata;

        if (failed)
                log_vm(LOG_WARNING, job->vm->name, "%s", failed->message);
        unit_job_finish(job, failed ? failed->name : "done");
        return 1;
}

static bool is_of_job(const UnitJob *job, sd_bus_message *m, const char *path) {
        return job->path && strcmp(job->path, path) == 0 &&
               strcmp(job->systemd, sd_bus_message_get_sender(m)) == 0;
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Manager *manager = userdata;
        const char *path, *result;
        UnitJob *job;

        if (sd_bus_message_read(m, "uoss", NULL, &path, NULL, &result) < 0)
                return 0;
        cds_list_for_each_entry(job, &manager->jobs, siblings)
                if (is_of_job(job, m, path)) {
                        unit_job_finish(job, result);
                        break;
                }
        return 0;
}

void unit_name(const VM *vm, const char *type, char unit[static UNIT_NAME_MAX]) {
        snprintf(unit, UNIT_NAME_MAX, "guestmap-vm@%s.%s", vm->instance, type);
}

void unit_directory(const VM *vm, char path[static PATH_MAX]) {
        snprintf(path, PATH_MAX, "%s/guestmap-vm/%s", vm->durable ? "/var/lib" : "/run",
                 vm->instance);
}

static UnitJob *next_to_ask(const Manager *manager) {
        UnitJob *job;

        cds_list_for_each_entry(job, &manager->jobs, siblings)
                if (job->call)
                        return job;
        return NULL;
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error);

static int unit_job_send(UnitJob *job) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = TAKE_PTR(job->call);
        int r;

        r = sd_bus_call_async(job->vm->manager->bus, &job->question, call, on_answer, job, 0);
        if (r < 0)
                return r;
        job->asked = true;
        job->vm->manager->n_asked++;
        return 0;
}

/* The bus refuses more calls than so many that are not answered, polkit's among them. */
static void ask_on(Manager *manager) {
        UnitJob *job;

        while (manager->n_asked < UNIT_CALLS_MAX && (job = next_to_ask(manager)))
                if (unit_job_send(job) < 0)
                        unit_job_finish(job, "not sent");
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        UnitJob *job = userdata;
        Manager *manager = job->vm->manager;
        int r;

        unit_job_answered(job);
        r = job->on_reply(reply, job, error);
        ask_on(manager);
        return r;
}

/* Takes the call, also on failure. */
static int unit_ask(VM *vm, UnitDone done, sd_bus_message_handler_t on_reply,
                    sd_bus_message *call) {
        UnitJob *job = calloc(1, sizeof(*job));
        int r;

        if (!job) {
                sd_bus_message_unref(call);
                return -ENOMEM;
        }
        *job = (UnitJob){.vm = vm, .done = done, .call = call, .on_reply = on_reply};
        cds_list_add_tail(&job->siblings, &vm->manager->jobs);
        r = vm->manager->n_asked < UNIT_CALLS_MAX ? unit_job_send(job) : 0;
        if (r < 0)
                unit_job_free(job);
        return r;
}

/* `on_reply` finishes the job, or leaves that to the end of what systemd has queued. */
static int manager_ask(VM *vm, UnitDone done, sd_bus_message_handler_t on_reply, const char *verb,
                       const char *types, ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        va_list arguments;
        int r;

        if (!vm->manager->bus)
                return -ENOTCONN;
        r = sd_bus_message_new_method_call(vm->manager->bus, &call, SYSTEMD, SYSTEMD_PATH,
                                           SYSTEMD_MANAGER, verb);
        if (r < 0)
                return r;
        va_start(arguments, types);
        r = sd_bus_message_appendv(call, types, arguments);
        va_end(arguments);
        return r < 0 ? r : unit_ask(vm, done, on_reply, TAKE_PTR(call));
}

int unit_stop(VM *vm, const char *type, UnitDone done) {
        char unit[UNIT_NAME_MAX];

        unit_name(vm, type, unit);
        return manager_ask(vm, done, on_queued, "StopUnit", "ss", unit, "replace");
}

static int start(VM *vm, UnitDone done) {
        char unit[UNIT_NAME_MAX];

        unit_name(vm, "service", unit);
        return manager_ask(vm, done, on_queued, "StartUnit", "ss", unit, "replace");
}

static int on_limited(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        UnitJob *job = userdata;
        VM *vm = job->vm;
        UnitDone done = job->done;

        if (sd_bus_message_is_method_error(reply, NULL))
                return on_done(reply, userdata, error);
        unit_job_free(job);
        if (start(vm, done) < 0)
                done(vm, "not sent");
        return 1;
}

int unit_start(VM *vm, UnitDone done) {
        uint64_t memory_max = vm->manager->quotas.limits[QUOTA_MEMORY_MAX];
        char unit[UNIT_NAME_MAX];

        unit_name(vm, "service", unit);
        return manager_ask(vm, done, on_limited, "SetUnitProperties", "sba(sv)", unit, 1, 1,
                           "MemoryMax", "t", memory_max);
}

/* A unit with a job is on its way to another state than the one that it is in. */
static const char *read_state(sd_bus_message *reply) {
        const char *state;
        uint32_t job;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        if (r >= 0)
                r = sd_bus_message_read(reply, "(ssssssouso)", NULL, NULL, NULL, &state, NULL, NULL,
                                        NULL, &job, NULL, NULL);
        if (r <= 0)
                return "unknown";
        return job == 0 ? state : "changing";
}

static int on_looked(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        bool failed = sd_bus_message_is_method_error(reply, NULL);

        unit_job_finish(userdata, failed ? "unknown" : read_state(reply));
        return 1;
}

int unit_look(VM *vm, UnitDone looked) {
        char unit[UNIT_NAME_MAX];

        unit_name(vm, "service", unit);
        return manager_ask(vm, looked, on_looked, "ListUnitsByNames", "as", 1, unit);
}

static int on_result(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Detail result = {"failed"};

        if (!sd_bus_message_is_method_error(reply, NULL))
                (void)unit_result_read(reply, &result);
        unit_job_finish(userdata, result.text);
        return 1;
}

int unit_ask_result(VM *vm, UnitDone told) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_(freep) char *path = NULL;
        char unit[UNIT_NAME_MAX];
        int r;

        if (!vm->manager->bus)
                return -ENOTCONN;
        unit_name(vm, "service", unit);
        r = sd_bus_path_encode(SYSTEMD_PATH "/unit", unit, &path);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_call(vm->manager->bus, &call, SYSTEMD, path,
                                           "org.freedesktop.DBus.Properties", "GetAll");
        if (r >= 0)
                r = sd_bus_message_append(call, "s", SYSTEMD ".Service");
        return r < 0 ? r : unit_ask(vm, told, on_result, TAKE_PTR(call));
}

/* systemd has forgotten most of them already, and says so. */
static int on_forgotten(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        unit_job_finish(userdata, "done");
        return 1;
}

int unit_forget(VM *vm, UnitDone done) {
        char unit[UNIT_NAME_MAX];

        unit_name(vm, "service", unit);
        return manager_ask(vm, done, on_forgotten, "ResetFailedUnit", "s", unit);
}

int unit_clean(VM *vm, UnitDone done) {
        char unit[UNIT_NAME_MAX];

        unit_name(vm, "service", unit);
        return manager_ask(vm, done, on_done, "CleanUnit", "sas", unit, 1, "state");
}

void unit_drop(VM *vm, const char *type) {
        char unit[UNIT_NAME_MAX];

        if (!vm->manager->bus)
                return;
        unit_name(vm, type, unit);
        (void)sd_bus_call_method_async(vm->manager->bus, NULL, SYSTEMD, SYSTEMD_PATH,
                                       SYSTEMD_MANAGER, "StopUnit", NULL, NULL, "ss", unit,
                                       "replace");
}

/* Of a VM, NULL: of all. */
static void drop_jobs(Manager *manager, const VM *vm) {
        UnitJob *job, *next;

        cds_list_for_each_entry_safe(job, next, &manager->jobs, siblings)
                if (!vm || job->vm == vm)
                        unit_job_free(job);
}

void unit_cancel(VM *vm) {
        drop_jobs(vm->manager, vm);
        if (vm->manager->bus)
                ask_on(vm->manager);
}

void units_cancel(Manager *manager) {
        drop_jobs(manager, NULL);
}

int units_register(Manager *manager) {
        return sd_bus_match_signal_async(manager->bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                         "JobRemoved", on_job_removed, NULL, manager);
}

void units_clear(Manager *manager) {
        while (!cds_list_empty(&manager->jobs))
                unit_job_finish(cds_list_first_entry(&manager->jobs, UnitJob, siblings),
                                "connection lost");
}
