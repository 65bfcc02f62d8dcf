/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "daemon/manager/process.h"

#define LISTEN_FD 3 /* where systemd puts the first passed descriptor, SD_LISTEN_FDS_START */

struct Process {
        int pidfd;
        sd_event_source *source;
        ProcessEnded ended;
        void *userdata;
};

/*
 * Reaps it, too, if it is a child. Without WNOHANG, since a process whose other threads are still
 * on their way out may be said to have ended a moment before it can be waited for.
 */
static void say_how(int pidfd, char *how, size_t size) {
        siginfo_t info = {};

        if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0)
                snprintf(how, size, "how is not known");
        else if (info.si_code == CLD_EXITED)
                snprintf(how, size, "exit status %d", info.si_status);
        else
                snprintf(how, size, "signal %d", info.si_status);
}

static int on_pidfd(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Process *process = userdata;
        char how[64];

        say_how(fd, how, sizeof(how));
        (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
        process->ended(process->userdata, how);
        return 0;
}

static int process_new(Process **ret, sd_event *event, int *pidfd, ProcessEnded ended,
                       void *userdata) {
        _cleanup_(process_freep) Process *process = NULL;
        int r;

        process = calloc(1, sizeof(*process));
        if (!process)
                return -ENOMEM;
        process->pidfd = TAKE_FD(*pidfd);
        process->ended = ended;
        process->userdata = userdata;
        r = sd_event_add_io(event, &process->source, process->pidfd, EPOLLIN, on_pidfd, process);
        if (r < 0)
                return r;
        /* What it wrote before its end is read first. */
        r = sd_event_source_set_priority(process->source, SD_EVENT_PRIORITY_IDLE);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(process);
        return 0;
}

Process *process_free(Process *process) {
        if (!process)
                return NULL;
        sd_event_source_disable_unref(process->source);
        safe_close(process->pidfd);
        free(process);
        return NULL;
}

/* guestmapd blocks the signals it handles; a program expects to start with none blocked. */
static void reset_signals(void) {
        sigset_t none;

        for (int i = 1; i < NSIG; i++)
                (void)signal(i, SIG_DFL);
        /* Standard error may be a pipe that is gone before the VM is. */
        (void)signal(SIGPIPE, SIG_IGN);
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int pass_listener(int listener) {
        char pid[16];

        if (listener == LISTEN_FD)
                (void)fcntl(listener, F_SETFD, 0);
        else if (dup2(listener, LISTEN_FD) < 0)
                return -errno;
        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", "1", 1);
        setenv("LISTEN_FDNAMES", "bus", 1);
        unsetenv("NOTIFY_SOCKET");
        unsetenv("WATCHDOG_PID");
        unsetenv("WATCHDOG_USEC");
        return close_range(LISTEN_FD + 1, ~0U, 0);
}

static _Noreturn void run_child(const char *program, int listener) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        reset_signals();
        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
                _exit(126);
        if (setsid() < 0 || chdir("/") < 0 || pass_listener(listener) < 0)
                _exit(126);
        execl(program, program, (char *)NULL);
        _exit(127);
}

int process_spawn(Process **ret, sd_event *event, const char *program, int listener,
                  ProcessEnded ended, void *userdata) {
        _cleanup_(closep) int pidfd = -1;
        pid_t pid;

        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                run_child(program, listener);
        /* A child is not reaped before us: the pid is still its own. */
        pidfd = pidfd_open(pid, 0);
        if (pidfd < 0)
                return -errno;
        return process_new(ret, event, &pidfd, ended, userdata);
}

int process_adopt(Process **ret, sd_event *event, int socket, ProcessEnded ended, void *userdata) {
        _cleanup_(closep) int pidfd = -1;
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;
        if (peer.pid <= 0 || peer.pid == getpid())
                return -ESRCH;
        pidfd = pidfd_open(peer.pid, 0);
        if (pidfd < 0)
                return -errno;
        return process_new(ret, event, &pidfd, ended, userdata);
}

void process_kill(Process *process) {
        (void)pidfd_send_signal(process->pidfd, SIGKILL, NULL, 0);
}
