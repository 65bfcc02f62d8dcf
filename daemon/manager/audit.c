/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <string.h>

#include "api/names.h"
#include "daemon/common/log.h"
#include "daemon/common/rights.h"
#include "daemon/manager/audit.h"

/* Of a client's own connection that it was opened; what is done on it the VM's process logs. */
static bool is_wanted(sd_bus_message *call) {
        if (!log_is_journal())
                return false;
        return sd_bus_message_is_method_call(call, GUESTMAP_INTERFACE_VM, "OpenConnection") ||
               (method_right(sd_bus_message_get_interface(call), sd_bus_message_get_member(call)) &
                ~(uint32_t)GUESTMAP_RIGHT_INSPECT) != 0;
}

/* Verbs of a map name their region first, but those that are about something else. */
static bool names_region(sd_bus_message *call) {
        const char *member = sd_bus_message_get_member(call);

        return sd_bus_message_is_method_call(call, GUESTMAP_INTERFACE_MAP, NULL) &&
               !strstr(member, "AddressSpace") && !strstr(member, "Apply");
}

char *audit_region(sd_bus_message *call) {
        const char *text, *object = strstr(sd_bus_message_get_path(call), "/region/");
        char *region = NULL;

        if (!is_wanted(call))
                return NULL;
        if (object) {
                (void)sd_bus_path_decode_many(object, "/region/%", &region);
        } else if (names_region(call)) {
                if (sd_bus_message_rewind(call, 1) >= 0 &&
                    sd_bus_message_read(call, "s", &text) > 0)
                        region = strdup(text);
                (void)sd_bus_message_rewind(call, 1);
        }
        return region;
}

/* Verbs that commit answer with the generation. */
static bool read_generation(sd_bus_message *call, sd_bus_message *reply, uint64_t *ret) {
        bool read;

        if (!sd_bus_message_is_method_call(call, GUESTMAP_INTERFACE_MAP, NULL) &&
            !sd_bus_message_is_method_call(call, GUESTMAP_INTERFACE_TRANSACTION, "Commit"))
                return false;
        read = sd_bus_message_read(reply, "t", ret) > 0;
        (void)sd_bus_message_rewind(reply, 1);
        return read && *ret > 0; /* 0: staged */
}

/* Whoever has left since is known by its name on the bus alone. */
static LogFields fields_of(Manager *manager, const char *vm, sd_bus_message *call) {
        const Caller *caller = callers_of(manager, call);

        return (LogFields){
                .vm = vm,
                .caller = sd_bus_message_get_sender(call),
                .has_uid = caller,
                .uid = caller ? caller->uid : UINT32_MAX,
                .member = sd_bus_message_get_member(call),
        };
}

static void log_call(int level, const LogFields *fields, const char *outcome) {
        const char *region = fields->region, *quote = region ? "\"" : "";

        log_entry(level, fields, "uid %" PRIu32 ": %s%s%s%s%s: %s", fields->uid, fields->member,
                  region ? " " : "", quote, region ?: "", quote, outcome);
}

void audit_answered(Manager *manager, const char *vm, sd_bus_message *call, const char *region,
                    sd_bus_message *reply, const sd_bus_error *error) {
        LogFields fields = fields_of(manager, vm, call);

        if (!is_wanted(call))
                return;
        if (reply)
                error = sd_bus_message_get_error(reply);
        fields.message_id = MESSAGE_CALL;
        fields.region = region;
        fields.result = error ? error->name : "done";
        fields.has_generation =
                reply && !error && read_generation(call, reply, &fields.generation);
        log_call(LOG_INFO, &fields, error && error->message ? error->message : fields.result);
}

void audit_denied(const Caller *caller, const VM *vm, sd_bus_message *call) {
        LogFields fields = fields_of(caller->manager, vm ? vm->name : NULL, call);
        _cleanup_(freep) char *region = NULL;

        if (!is_wanted(call))
                return;
        region = audit_region(call);
        fields.message_id = MESSAGE_CALL_DENIED;
        fields.region = region;
        fields.result = SD_BUS_ERROR_ACCESS_DENIED;
        log_call(LOG_NOTICE, &fields, "denied");
}
