/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

#include "lib/util/cleanup.h"
#include "tests/bus/own-bus.h"
#include "tests/common/unit.h"

#define WAIT_USEC 10000000

static int on_driver_call(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        OwnBus *own = userdata;

        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", "Hello"))
                return sd_bus_reply_method_return(m, "s", ":1.1");
        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", "AddMatch"))
                return sd_bus_reply_method_return(m, NULL);
        if (!sd_bus_message_is_method_call(m, "org.freedesktop.DBus", "RequestName"))
                return 0;
        if (own->n_refusals > 0) {
                own->n_refusals--;
                return sd_bus_reply_method_return(m, "u", 3);
        }
        own->named = true;
        return sd_bus_reply_method_return(m, "u", 1);
}

static int listen_at(const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(fd, 1), 0);
        return fd;
}

static void write_config(const OwnBus *own, const char *config) {
        _cleanup_(fclosep) FILE *file = NULL;
        char path[96];

        snprintf(path, sizeof(path), "%s/conf", own->directory);
        file = fopen(path, "we");
        assert_non_null(file);
        fputs(config, file);
}

static pid_t run_daemon(const OwnBus *own, const char *guestmapd) {
        char address[128], runtime_dir[128], config[128];
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid != 0)
                return pid;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        unsetenv("SYSTEMD_EXEC_PID");
        snprintf(address, sizeof(address), "--address=unix:path=%s/bus", own->directory);
        snprintf(runtime_dir, sizeof(runtime_dir), "--runtime-dir=%s/run", own->directory);
        snprintf(config, sizeof(config), "--config=%s/conf", own->directory);
        execl(guestmapd, guestmapd, "--system", address, runtime_dir, config, NULL);
        _exit(127);
}

void own_bus_run_until(OwnBus *own, const bool *done) {
        while (!*done) {
                int r = sd_bus_process(own->bus, NULL);

                assert_true(r >= 0);
                if (r == 0)
                        assert_true(sd_bus_wait(own->bus, WAIT_USEC) > 0);
        }
}

static void serve(OwnBus *own, int fd, sd_bus_message_handler_t handler) {
        static const sd_id128_t id = SD_ID128_ARRAY(1, 2, 3, 4, 5, 6, 7, 8, 9, a, b, c, d, e, f, 0);

        assert_true(sd_bus_new(&own->bus) >= 0);
        assert_true(sd_bus_set_fd(own->bus, fd, fd) >= 0);
        assert_true(sd_bus_set_server(own->bus, 1, id) >= 0);
        assert_true(sd_bus_start(own->bus) >= 0);
        assert_true(sd_bus_add_filter(own->bus, NULL, on_driver_call, own) >= 0);
        assert_true(sd_bus_add_filter(own->bus, NULL, handler, own) >= 0);
}

int own_bus_listen(OwnBus *own, const char *config) {
        char path[96];

        *own = (OwnBus){.directory = "/tmp/guestmap-forward-XXXXXX"};
        assert_non_null(mkdtemp(own->directory));
        snprintf(path, sizeof(path), "%s/bus", own->directory);
        write_config(own, config);
        return listen_at(path);
}

int own_bus_listen_again(OwnBus *own) {
        char path[96];

        own->bus = sd_bus_close_unref(own->bus);
        own->named = false;
        snprintf(path, sizeof(path), "%s/bus", own->directory);
        assert_int_equal(unlink(path), 0);
        return listen_at(path);
}

void own_bus_accept(OwnBus *own, int listener, sd_bus_message_handler_t handler) {
        int fd;

        assert_int_equal(poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, 10000), 1);
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        assert_true(fd >= 0);
        close(listener);
        serve(own, fd, handler);
}

void own_bus_open(OwnBus *own, const char *guestmapd, const char *config,
                  sd_bus_message_handler_t handler) {
        int listener = own_bus_listen(own, config);

        own->daemon = run_daemon(own, guestmapd);
        own_bus_accept(own, listener, handler);
        own_bus_run_until(own, &own->named);
}

void own_bus_tell_gone(OwnBus *own, const char *name) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        assert_true(sd_bus_message_new_signal(own->bus, &m, "/org/freedesktop/DBus",
                                              "org.freedesktop.DBus", "NameOwnerChanged") >= 0);
        assert_true(sd_bus_message_set_sender(m, "org.freedesktop.DBus") >= 0);
        assert_true(sd_bus_message_append(m, "sss", name, name, "") >= 0);
        assert_true(sd_bus_send(own->bus, m, NULL) >= 0);
}

pid_t own_bus_vm(const OwnBus *own) {
        pid_t daemon = own->daemon > 0 ? own->daemon : getpid();
        char path[64];
        pid_t child = 0;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", daemon, daemon);
        file = fopen(path, "re");
        assert_non_null(file);
        if (fscanf(file, "%d", &child) != 1)
                child = 0;
        fclose(file);
        return child;
}

bool own_bus_close(OwnBus *own) {
        pid_t vm = own_bus_vm(own);
        char path[96];
        int status = 0;

        if (vm > 0)
                kill(vm, SIGKILL);
        if (own->daemon > 0) {
                kill(own->daemon, SIGTERM);
                waitpid(own->daemon, &status, 0);
        }
        sd_bus_close_unref(own->bus);
        snprintf(path, sizeof(path), "%s/bus", own->directory);
        unlink(path);
        snprintf(path, sizeof(path), "%s/conf", own->directory);
        unlink(path);
        /* guestmapd has nothing in its directory by now but the directory itself. */
        snprintf(path, sizeof(path), "%s/run", own->directory);
        rmdir(path);
        return rmdir(own->directory) == 0 && status == 0;
}
