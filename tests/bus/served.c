/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/bus/served.h"
#include "tests/common/unit.h"

static void make_socket(Served *served) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        served->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(served->socket >= 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket",
                 served->keeper->directory);
        assert_int_equal(bind(served->socket, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(served->socket, SOMAXCONN), 0);
}

static int connect_to(const Served *served) {
        struct sockaddr_un address;
        socklen_t size = sizeof(address);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(getsockname(served->socket, (struct sockaddr *)&address, &size), 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, size), 0);
        assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
        return fd;
}

/* In the new process: descriptors from 3 on, the socket first, and what they are. */
static void pass_and_run(const Served *served) {
        const Keeper *keeper = served->keeper;
        char number[16], directory[64], names[KEEPER_MAX * 16] = "bus";
        int base = 2 * KEEPER_MAX, n = (int)keeper->n;

        (void)dup2(served->socket, base);
        for (int i = 0; i < n; i++) {
                (void)dup2(keeper->files[i].fd, base + 1 + i);
                sprintf(names + strlen(names), ":%s", keeper->files[i].name);
        }
        for (int i = 0; i <= n; i++)
                (void)dup2(base + i, 3 + i);
        (void)close_range((unsigned)(4 + n), ~0u, 0);
        snprintf(number, sizeof(number), "%d", getpid());
        setenv("LISTEN_PID", number, true);
        snprintf(number, sizeof(number), "%d", n + 1);
        setenv("LISTEN_FDS", number, true);
        setenv("LISTEN_FDNAMES", names, true);
        snprintf(directory, sizeof(directory), "--directory=%s", keeper->directory);
        execl(served->program, served->program, directory, NULL);
        _exit(127);
}

void served_start(Served *served) {
        keeper_settle(served->keeper);
        served->pid = fork();
        assert_true(served->pid >= 0);
        if (served->pid == 0)
                pass_and_run(served);
        keeper_await_ready(served->keeper);
        served->rig = rig_new_remote(connect_to(served));
}

void served_end(Served *served, int number) {
        int status;

        assert_int_equal(kill(served->pid, number), 0);
        assert_int_equal(waitpid(served->pid, &status, 0), served->pid);
        if (number == SIGTERM)
                assert_int_equal(WEXITSTATUS(status), 75); /* until another goes on */
        served->rig = rig_free(served->rig);
}

void served_restart(Served *served, int number) {
        served_end(served, number);
        served_start(served);
}

Served *served_new(const char *program, const char *accelerator) {
        Served *served = calloc(1, sizeof(*served));

        assert_non_null(served);
        served->program = program;
        served->keeper = keeper_new(KEEPER_MAX / 2);
        make_socket(served);
        served_start(served);
        assert_string_equal(rig_call(served->rig, RIG_PRIVATE, "Private.Setup", "ssua{sv}", "test",
                                     "0123456789abcdef0123456789abcdef", UINT32_C(1000), 1,
                                     "accelerator", "s", accelerator),
                            "");
        return served;
}

static void unlink_in(const Served *served, const char *name) {
        char path[80];

        snprintf(path, sizeof(path), "%s/%s", served->keeper->directory, name);
        (void)unlink(path);
}

Served *served_free(Served *served) {
        if (!served)
                return NULL;
        served_end(served, SIGKILL);
        unlink_in(served, "journal");
        unlink_in(served, "facts");
        unlink_in(served, "vcpus");
        unlink_in(served, "socket");
        close(served->socket);
        keeper_free(served->keeper);
        free(served);
        return NULL;
}

const char *served_get(Served *served, const char *property) {
        return rig_get(served->rig, RIG_VM, "org.guestmap1.VM", property);
}

const char *served_write(Served *served, uint64_t at, const char *tag) {
        return rig_call(served->rig, RIG_MEMORY, "AddressSpace.Write", "tay", at, 8, tag[0], tag[1],
                        tag[2], tag[3], tag[4], tag[5], tag[6], tag[7]);
}

const char *served_read(Served *served, uint64_t at) {
        return rig_call(served->rig, RIG_MEMORY, "AddressSpace.Read", "tt", at, UINT64_C(8));
}
