/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/bus/rig.h"
#include "tests/common/apply.h"
#include "tests/common/scene.h"
#include "tests/common/unit.h"

/* The text of one basic value; strings that are paths below the VM lose its path. */
static void write_basic(FILE *out, sd_bus_message *m, char type) {
        union {
                const char *s;
                uint64_t t;
                uint32_t u;
                int32_t i;
                uint8_t y;
                double d;
        } value = {};
        size_t prefix = strlen(RIG_VM);

        assert_true(sd_bus_message_read_basic(m, type, &value) > 0);
        switch (type) {
        case 's':
        case 'o':
        case 'g':
                fputs(strncmp(value.s, RIG_VM "/", prefix + 1) == 0 ? value.s + prefix : value.s,
                      out);
                break;
        case 't':
                fprintf(out, "%" PRIu64, value.t);
                break;
        case 'u':
                fprintf(out, "%" PRIu32, value.u);
                break;
        case 'i':
                fprintf(out, "%" PRIi32, value.i);
                break;
        case 'y':
                fprintf(out, "%u", value.y);
                break;
        case 'd':
                fprintf(out, "%g", value.d);
                break;
        case 'b':
                fputs(value.i ? "true" : "false", out);
                break;
        case 'h':
                fputs("fd", out);
                break;
        default:
                fail_msg("no text for type %c", type);
        }
}

static void write_values(FILE *out, sd_bus_message *m, const char *separator) {
        const char *contents;
        char type;

        for (bool first = true; sd_bus_message_peek_type(m, &type, &contents) > 0; first = false) {
                const char *open = "", *close = "", *within = " ";

                if (!first)
                        fputs(separator, out);
                if (!strchr("avre", type)) {
                        write_basic(out, m, type);
                        continue;
                }
                if (type == 'a') {
                        open = contents[0] == '{' ? "{" : "[";
                        close = contents[0] == '{' ? "}" : "]";
                        within = ", ";
                } else if (type == 'r') {
                        open = "(";
                        close = ")";
                } else if (type == 'e')
                        within = ": ";
                assert_true(sd_bus_message_enter_container(m, type, contents) > 0);
                fputs(open, out);
                write_values(out, m, within);
                fputs(close, out);
                assert_true(sd_bus_message_exit_container(m) >= 0);
        }
}

static char *message_text(sd_bus_message *m) {
        char *text = NULL;
        size_t length;
        FILE *out = open_memstream(&text, &length);

        assert_non_null(out);
        if (sd_bus_message_is_method_error(m, NULL))
                fputs(sd_bus_message_get_error(m)->message, out);
        else
                write_values(out, m, " ");
        fclose(out);
        assert_true(sd_bus_message_rewind(m, true) >= 0);
        return text;
}

static void log_line(Rig *rig, const char *line) {
        char *log;

        assert_true(asprintf(&log, "%s%s\n", rig->log ?: "", line) >= 0);
        free(rig->log);
        rig->log = log;
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *path = sd_bus_message_get_path(m);
        Rig *rig = userdata;
        char *line, *text;

        if (!sd_bus_message_is_signal(m, NULL, NULL) ||
            sd_bus_message_is_signal(m, "org.freedesktop.DBus.Local", NULL))
                return 0;
        text = message_text(m);
        if (strncmp(path, RIG_VM, strlen(RIG_VM)) == 0)
                path += strlen(RIG_VM);
        /* Of a new object the path will do: its properties have a test of their own. */
        if (strncmp(sd_bus_message_get_member(m), "Interfaces", 10) == 0 && !rig->verbose)
                text[strcspn(text, " ")] = '\0';
        assert_true(asprintf(&line, "%s%s%s %s", sd_bus_message_get_member(m), *path ? " @" : "",
                             path, text) >= 0);
        log_line(rig, line);
        free(line);
        free(text);
        return 0;
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Rig *rig = userdata;

        sd_bus_message_unref(rig->reply);
        rig->reply = sd_bus_message_ref(m);
        free(rig->text);
        rig->text = message_text(m);
        rig->answered = true;
        log_line(rig, "reply");
        return 0;
}

static void use_socket(Rig *rig, int fd) {
        assert_true(sd_bus_new(&rig->bus) >= 0);
        assert_true(sd_bus_set_fd(rig->bus, fd, fd) >= 0);
        assert_true(sd_bus_add_filter(rig->bus, NULL, on_signal, rig) >= 0);
        assert_true(sd_bus_start(rig->bus) >= 0);
        assert_true(sd_bus_attach_event(rig->bus, rig->event, 0) >= 0);
}

static void rig_connect(Rig *rig) {
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
                         0);
        assert_int_equal(service_attach(rig->service, pair[0]), 0);
        use_socket(rig, pair[1]);
}

void rig_reconnect(Rig *rig) {
        sd_bus *before = rig->bus;

        rig_connect(rig);
        rig_settle(rig);
        sd_bus_close_unref(before);
}

Rig *rig_new(void) {
        Rig *rig = calloc(1, sizeof(*rig));

        assert_non_null(rig);
        assert_true(sd_event_new(&rig->event) >= 0);
        assert_int_equal(service_new(&rig->service, rig->event), 0);
        rig_connect(rig);
        return rig;
}

Rig *rig_new_remote(int fd) {
        Rig *rig = calloc(1, sizeof(*rig));

        assert_non_null(rig);
        assert_true(sd_event_new(&rig->event) >= 0);
        use_socket(rig, fd);
        return rig;
}

Rig *rig_new_vm(void) {
        Rig *rig = rig_new();

        rig_call(rig, RIG_PRIVATE, "Private.Setup", "ssua{sv}", "test",
                 "0123456789abcdef0123456789abcdef", UINT32_C(1000), 1, "accelerator", "s", "none");
        assert_string_equal(rig->text, "");
        free(rig_log(rig));
        return rig;
}

Rig *rig_free(Rig *rig) {
        service_free(rig->service);
        sd_bus_message_unref(rig->reply);
        sd_bus_close_unref(rig->bus);
        sd_event_unref(rig->event);
        free(rig->text);
        free(rig->log);
        free(rig);
        return NULL;
}

static void send_call(Rig *rig, const char *path, const char *member, const char *types,
                      va_list arguments) {
        static const char *const ours[] = {"VM",     "Map",  "Transaction", "AddressSpace",
                                           "Region", "VCPU", "Private"};
        const char *dot = strchr(member, '.'), *prefix = "org.freedesktop.DBus.";
        sd_bus_message *m = NULL;
        char interface[64];

        for (size_t i = 0; i < ELEMENTS_OF(ours); i++)
                if (strncmp(member, ours[i], strlen(ours[i])) == 0 && ours[i][dot - member] == 0)
                        prefix = "org.guestmap1.";
        if (strncmp(member, "DBus.", strlen("DBus.")) == 0)
                prefix = "org.freedesktop.";
        snprintf(interface, sizeof(interface), "%s%.*s", prefix, (int)(dot - member), member);
        assert_true(sd_bus_message_new_method_call(rig->bus, &m, NULL, path, interface, dot + 1) >=
                    0);
        if (rig->sender)
                assert_true(sd_bus_message_set_sender(m, rig->sender) >= 0);
        assert_true(sd_bus_message_appendv(m, types, arguments) >= 0);
        rig->answered = false;
        /* A process may have been killed. */
        assert_true(sd_bus_call_async(rig->bus, NULL, m, on_reply, rig, UINT64_MAX) >= 0 ||
                    !rig->service);
        sd_bus_message_unref(m);
}

void rig_send(Rig *rig, const char *path, const char *member, const char *types, ...) {
        va_list arguments;

        va_start(arguments, types);
        send_call(rig, path, member, types, arguments);
        va_end(arguments);
        rig_settle(rig);
}

void rig_settle(Rig *rig) {
        while (sd_event_run(rig->event, 0) > 0)
                ;
}

const char *rig_wait(Rig *rig) {
        while (!rig->answered)
                assert_true(sd_event_run(rig->event, UINT64_C(20000000)) > 0);
        rig_settle(rig);
        return rig->text;
}

const char *rig_call(Rig *rig, const char *path, const char *member, const char *types, ...) {
        va_list arguments;

        va_start(arguments, types);
        send_call(rig, path, member, types, arguments);
        va_end(arguments);
        return rig_wait(rig);
}

char *rig_log(Rig *rig) {
        return TAKE_PTR(rig->log) ?: strdup("");
}

const char *rig_add(Rig *rig, const char *path, const char *name, const char *kind, uint64_t size,
                    const char *parent, uint64_t offset) {
        return rig_call(rig, path, "Map.AddRegion", "sststia{sv}", name, kind, size, parent, offset,
                        0, 0);
}

const char *rig_alias(Rig *rig, const char *path, const char *name, const char *target,
                      uint64_t target_offset, uint64_t size, const char *parent, uint64_t offset) {
        return rig_call(rig, path, "Map.AddAlias", "ssttstia{sv}", name, target, target_offset,
                        size, parent, offset, 0, 0);
}

void rig_add_many(Rig *rig, const char *name, unsigned n, uint64_t at) {
        char *document = NULL;
        size_t length;
        FILE *out = open_memstream(&document, &length);

        assert_non_null(out);
        fputs("{\"guestmap\": 1, \"edits\": [", out);
        for (unsigned i = 0; i < n; i++)
                fprintf(out,
                        "%s{\"add-region\": {\"name\": \"%s%05u\", \"kind\": \"mmio\", "
                        "\"size\": 4096, \"parent\": \"system\", \"offset\": %llu}}",
                        i ? "," : "", name, i, (unsigned long long)(at + 8192ull * i));
        fputs("]}", out);
        fclose(out);
        rig_call(rig, RIG_VM, "Map.Apply", "sa{sv}", document, 0);
        if (sd_bus_message_is_method_error(rig->reply, NULL))
                fail_msg("%s", rig->text);
        free(document);
}

const char *rig_remove(Rig *rig, const char *path, const char *name) {
        return rig_call(rig, path, "Map.RemoveRegion", "sa{sv}", name, 0);
}

const char *rig_enable(Rig *rig, const char *path, const char *name, bool enabled) {
        return rig_call(rig, path, "Map.EnableRegion", "sba{sv}", name, enabled, 0);
}

const char *rig_flat(Rig *rig, const char *space) {
        return rig_call(rig, space, "AddressSpace.GetFlatView", "");
}

const char *rig_get(Rig *rig, const char *path, const char *interface, const char *property) {
        return rig_call(rig, path, "Properties.Get", "ss", interface, property);
}

void rig_announce(Rig *rig, const char *sender, uint32_t uid) {
        const char *before = rig->sender;

        rig->sender = NULL;
        rig_call(rig, RIG_PRIVATE, "Private.Caller", "su", sender, uid);
        assert_string_equal(rig->text, "");
        rig->sender = before;
}

char *rig_state(Rig *rig) {
        const VM *vm = rig->service->vm;
        char *slots, *scene, *text;

        map_check_in(vm->map);
        scene = scene_text(vm->map);
        slots = report_text(report_slots, vm);
        assert_true(asprintf(&text, "%" PRIu64 "\n%s\n%s", vm->map->generation, scene, slots) >= 0);
        free(scene);
        free(slots);
        return text;
}
