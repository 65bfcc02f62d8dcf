/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/forward-client.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"
#define WAIT_USEC  25000000

static const char *bus_kind;
static char *program; /* also for who is elsewhere */

void forward_take_arguments(int argc, char *argv[]) {
        if (argc != 3)
                exit(2);
        bus_kind = argv[1];
        program = realpath(argv[2], NULL);
        if (world_has(bus_kind))
                return;
        printf("1..0 # SKIP no %s here\n", bus_kind);
        exit(0);
}

bool forward_open_world(World *world, const char *mode) {
        return world_open(world, bus_kind, program, mode);
}

sd_bus_message *must_call(sd_bus *bus, const char *path, const char *interface, const char *member,
                          const char *types, ...) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        va_list arguments;
        int r;

        va_start(arguments, types);
        r = sd_bus_call_methodv(bus, GUESTMAP_SERVICE, path, interface, member, &error, &reply,
                                types, arguments);
        va_end(arguments);
        if (r < 0)
                fail_msg("%s: %s: %s", member, error.name, error.message);
        return reply;
}

void must_refuse(sd_bus *bus, const char *name, const char *part, const char *path,
                 const char *interface, const char *member, const char *types, ...) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        va_list arguments;
        int r;

        va_start(arguments, types);
        r = sd_bus_call_methodv(bus, GUESTMAP_SERVICE, path, interface, member, &error, NULL, types,
                                arguments);
        va_end(arguments);
        if (r >= 0)
                fail_msg("%s is not refused: no \"%s\"", member, part);
        if (strcmp(error.name, name) != 0 || !strstr(error.message, part))
                fail_msg("%s: %s: \"%s\" lacks \"%s\"", member, error.name, error.message, part);
}

void must_create(sd_bus *bus, const char *name) {
        sd_bus_message_unref(must_call(bus, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM",
                                       "sa{sv}", name, 1, "accelerator", "s", "none"));
}

void must_destroy(sd_bus *bus, const char *name) {
        sd_bus_message_unref(must_call(bus, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM",
                                       "sa{sv}", name, 0));
}

uint64_t must_get_generation(sd_bus *bus, const char *vm) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint64_t generation;

        reply = must_call(bus, vm, PROPERTIES, "Get", "ss", GUESTMAP_INTERFACE_VM, "Generation");
        assert_true(sd_bus_message_read(reply, "v", "t", &generation) > 0);
        return generation;
}

char *must_get_text(sd_bus *bus, const char *vm, const char *property) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *text;

        reply = must_call(bus, vm, PROPERTIES, "Get", "ss", GUESTMAP_INTERFACE_VM, property);
        assert_true(sd_bus_message_read(reply, "v", "s", &text) > 0);
        return strdup(text);
}

sd_bus *must_open_connection(sd_bus *bus, const char *vm) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        sd_bus *own;
        int fd;

        reply = must_call(bus, vm, GUESTMAP_INTERFACE_VM, "OpenConnection", "a{sv}", 0);
        assert_true(sd_bus_message_read(reply, "h", &fd) > 0);
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        assert_true(fd >= 0);
        assert_true(sd_bus_new(&own) >= 0);
        assert_true(sd_bus_set_fd(own, fd, fd) >= 0);
        assert_true(sd_bus_set_bus_client(own, 1) >= 0);
        assert_true(sd_bus_start(own) >= 0);
        return own;
}

void must_process(sd_bus *bus) {
        int r = sd_bus_process(bus, NULL);

        assert_true(r >= 0);
        if (r == 0)
                assert_true(sd_bus_wait(bus, WAIT_USEC) > 0);
}

static long read_status(pid_t pid, const char *key) {
        _cleanup_(fclosep) FILE *file = NULL;
        char path[64], line[256];
        long kib = -1;

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        file = fopen(path, "re");
        assert_non_null(file);
        while (kib < 0 && fgets(line, sizeof(line), file))
                if (strncmp(line, key, strlen(key)) == 0)
                        kib = atol(line + strlen(key));
        assert_true(kib >= 0);
        return kib * 1024;
}

long process_memory(pid_t pid) {
        return read_status(pid, "VmRSS:");
}

long process_peak(pid_t pid) {
        return read_status(pid, "VmHWM:");
}

void process_forget_peak(pid_t pid) {
        _cleanup_(fclosep) FILE *file = NULL;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/clear_refs", pid);
        file = fopen(path, "we");
        assert_non_null(file);
        fputs("5", file);
}

unsigned process_descriptors(pid_t pid) {
        unsigned n = 0;
        char path[64];
        DIR *stream;

        snprintf(path, sizeof(path), "/proc/%d/fd", pid);
        stream = opendir(path);
        assert_non_null(stream);
        while (readdir(stream))
                n++;
        closedir(stream);
        return n;
}

void processes_keep_no_freed_memory(void) {
        const char *options = getenv("ASAN_OPTIONS");
        char text[1024];

        snprintf(text, sizeof(text), "%s%squarantine_size_mb=0:thread_local_quarantine_size_kb=0",
                 options ? options : "", options ? ":" : "");
        setenv("ASAN_OPTIONS", text, 1);
}
