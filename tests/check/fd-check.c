/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * No descriptor is left
 *
 * Preloaded into every program that a test run starts. In those whose binary lies below
 * $FD_CHECK_PROGRAMS it remembers which descriptors were open at the start, and at a regular end
 * writes a file $FD_CHECK_LOG.PID that names each one that is open beyond those.
 *
 * What libsystemd keeps for the whole life of a process, its socket to the journal, does not count.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        FD_MAX = 4096,
};

static bool inherited[FD_MAX];

static bool program_is_ours(void) {
        const char *folder = getenv("FD_CHECK_PROGRAMS");
        char path[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

        if (!folder || n < 0)
                return false;
        path[n] = '\0';
        return strncmp(path, folder, strlen(folder)) == 0;
}

/* A datagram socket that nobody can have got from us: the journal's. */
static bool is_journal_socket(int fd) {
        int type = 0;
        socklen_t length = sizeof(type);

        return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_DGRAM;
}

static void report(int fd) {
        const char *log = getenv("FD_CHECK_LOG");
        char link[64], target[PATH_MAX], path[PATH_MAX];
        ssize_t n;
        FILE *file;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, target, sizeof(target) - 1);
        target[n < 0 ? 0 : n] = '\0';
        snprintf(path, sizeof(path), "%s.%d", log ? log : "fd-check", (int)getpid());
        file = fopen(path, "ae");
        if (!file)
                return;
        fprintf(file, "%s: descriptor %d left: %s\n", program_invocation_name, fd, target);
        fclose(file);
}

__attribute__((constructor)) static void remember_inherited(void) {
        for (int fd = 0; fd < FD_MAX; fd++)
                inherited[fd] = fcntl(fd, F_GETFD) >= 0;
}

__attribute__((destructor)) static void report_left(void) {
        if (!program_is_ours())
                return;
        for (int fd = 0; fd < FD_MAX; fd++)
                if (!inherited[fd] && fcntl(fd, F_GETFD) >= 0 && !is_journal_socket(fd))
                        report(fd);
}
