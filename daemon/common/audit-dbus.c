/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <string.h>

#include "api/names.h"
#include "daemon/common/audit-dbus.h"
#include "daemon/common/rights.h"

const sd_bus_error audit_caller_left = SD_BUS_ERROR_MAKE_CONST(
        SD_BUS_ERROR_DISCONNECTED, "the caller left before the answer; it may have taken effect");

/* Of a client's own connection also that it was opened. */
bool audit_wants(sd_bus_message *call) {
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

        if (!log_is_journal() || !audit_wants(call))
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

static void log_fields(int level, const LogFields *fields, const char *outcome) {
        const char *region = fields->region, *quote = region ? "\"" : "";

        log_entry(level, fields, "uid %" PRIu32 ": %s%s%s%s%s: %s", fields->uid, fields->member,
                  region ? " " : "", quote, region ?: "", quote, outcome);
}

void audit_log(const LogFields *who, sd_bus_message *call, const char *region,
               sd_bus_message *reply, const sd_bus_error *error) {
        LogFields fields = *who;

        if (!log_is_journal() || !audit_wants(call))
                return;
        if (reply)
                error = sd_bus_message_get_error(reply);
        fields.member = sd_bus_message_get_member(call);
        fields.region = region;
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED)) {
                fields.message_id = MESSAGE_CALL_DENIED;
                fields.result = SD_BUS_ERROR_ACCESS_DENIED;
                log_fields(LOG_NOTICE, &fields, "denied");
                return;
        }
        fields.message_id = MESSAGE_CALL;
        fields.result = error ? error->name : "done";
        fields.has_generation =
                reply && !error && read_generation(call, reply, &fields.generation);
        log_fields(LOG_INFO, &fields, error && error->message ? error->message : fields.result);
}
