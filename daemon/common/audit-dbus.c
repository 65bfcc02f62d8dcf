/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/names.h"
#include "daemon/common/audit-dbus.h"
#include "daemon/common/rights.h"
#include "lib/util/utf8.h"

#define WORD_MAX      160 /* a name of any object's fits */
#define ARGUMENTS_MAX 512

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

/* Below the VM: "space/memory". NULL: the VM itself, or the service. */
static const char *part_of_vm(const char *path) {
        const size_t prefix = strlen(GUESTMAP_PATH_VM "/");
        const char *part;

        if (strncmp(path, GUESTMAP_PATH_VM "/", prefix) != 0)
                return NULL;
        part = strchr(path + prefix, '/');
        return part ? part + 1 : NULL;
}

/* The VM's name may be "region", too. */
static char *read_region(sd_bus_message *call) {
        const char *text, *part = part_of_vm(sd_bus_message_get_path(call));
        char *region = NULL;

        if (part && strncmp(part, "region/", strlen("region/")) == 0)
                (void)sd_bus_path_decode_many(part - 1, "/region/%", &region);
        else if (names_region(call) && sd_bus_message_read(call, "s", &text) > 0)
                region = strdup(text);
        (void)sd_bus_message_rewind(call, 1);
        return region;
}

/* 0: it is none of those that are shown. */
static int show_word(sd_bus_message *call, char type, char word[static WORD_MAX]) {
        union {
                const char *text;
                uint64_t t;
                uint32_t u;
                int32_t i;
                int b;
        } value;
        int r;

        if (!strchr("sobitu", type))
                return 0;
        r = sd_bus_message_read_basic(call, type, &value);
        if (r <= 0)
                return r;
        if (type == 'b')
                return snprintf(word, WORD_MAX, "%s", value.b ? "true" : "false");
        if (type == 'i')
                return snprintf(word, WORD_MAX, "%" PRIi32, value.i);
        if (type == 't' || type == 'u')
                return snprintf(word, WORD_MAX, "%" PRIu64, type == 't' ? value.t : value.u);
        word[0] = '"';
        utf8_show(word + 1, WORD_MAX - 2, value.text);
        strcat(word, "\"");
        return (int)strlen(word);
}

/* What a property is set to is in a variant. */
static int read_word(sd_bus_message *call, char word[static WORD_MAX]) {
        const char *contents;
        char type;
        int r;

        r = sd_bus_message_peek_type(call, &type, &contents);
        if (r > 0 && type == 'v' && contents[1] == '\0') {
                r = sd_bus_message_enter_container(call, type, contents);
                type = contents[0];
        }
        return r <= 0 ? r : show_word(call, type, word);
}

/*
 * Behind them come options, bytes of memory, registers: what is long, or not for whoever may read
 * the journal.
 */
static void read_arguments(sd_bus_message *call, char text[static ARGUMENTS_MAX]) {
        const size_t room = ARGUMENTS_MAX - sizeof(" ...");
        char word[WORD_MAX];
        size_t n = 0;
        int r;

        text[0] = '\0';
        while ((r = read_word(call, word)) > 0 && n + 1 + (size_t)r <= room)
                n += (size_t)sprintf(text + n, "%s%s", n > 0 ? " " : "", word);
        if (r > 0)
                strcpy(text + n, " ...");
        (void)sd_bus_message_rewind(call, 1);
}

AuditSubject *audit_subject_new(sd_bus_message *call) {
        char arguments[ARGUMENTS_MAX];
        AuditSubject *subject;

        if (!log_is_journal() || !audit_wants(call) || sd_bus_message_rewind(call, 1) < 0)
                return NULL;
        read_arguments(call, arguments);
        subject = malloc(sizeof(*subject) + strlen(arguments) + 1);
        if (!subject)
                return NULL;
        strcpy(subject->arguments, arguments);
        subject->region = read_region(call);
        return subject;
}

AuditSubject *audit_subject_free(AuditSubject *subject) {
        if (subject)
                free(subject->region);
        free(subject);
        return NULL;
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
        const char *arguments = fields->arguments ?: "", *part = part_of_vm(fields->object);
        const AuditUser who = audit_user(fields->has_uid ? fields->uid : AUDIT_NOBODY);

        log_entry(level, fields, "%s: %s%s%s%s%.256s: %s", who.text, fields->member,
                  arguments[0] ? " " : "", arguments, part ? " on " : "", part ?: "", outcome);
}

void audit_log(AuditLimit *limit, const LogFields *who, sd_bus_message *call,
               const AuditSubject *subject, sd_bus_message *reply, const sd_bus_error *error) {
        LogFields fields = *who;

        if (!log_is_journal() || !audit_wants(call) || !audit_limit_pass(limit, who->uid))
                return;
        if (reply)
                error = sd_bus_message_get_error(reply);
        fields.object = sd_bus_message_get_path(call);
        fields.member = sd_bus_message_get_member(call);
        fields.region = subject ? subject->region : NULL;
        fields.arguments = subject && subject->arguments[0] ? subject->arguments : NULL;
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED)) {
                fields.message_id = MESSAGE_CALL_DENIED;
                fields.result = SD_BUS_ERROR_ACCESS_DENIED;
                log_fields(LOG_NOTICE, &fields, "denied");
                return;
        }
        fields.message_id = MESSAGE_CALL;
        fields.result = error ? error->name : "done";
        fields.has_generation = reply && !error && read_generation(call, reply, &fields.generation);
        log_fields(LOG_INFO, &fields, error && error->message ? error->message : fields.result);
}
