/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
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
static void wait_for(int pidfd, char *how, size_t size) {
        siginfo_t info = {};

        if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0)
                snprintf(how, size, "how is not known");
        else
                snprintf(how, size, "%s %d",
                         info.si_code == CLD_EXITED ? "exit status" : "signal", info.si_status);
}

static int on_pidfd(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Process *process = userdata;
        char how[64];

        wait_for(fd, how, sizeof(how));
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

static int set_number(const char *variable, unsigned number) {
        char text[16];

        snprintf(text, sizeof(text), "%u", number);
        return setenv(variable, text, 1);
}

/* They are in each other's places: out of the way first. */
static int place_passed(const ProcessStart *start) {
        int end = LISTEN_FD + (int)start->n_passed;
        int at[FD_STORE_MAX + 1];

        for (size_t i = 0; i < start->n_passed; i++) {
                at[i] = fcntl(start->passed[i].fd, F_DUPFD, end);
                if (at[i] < 0)
                        return -errno;
        }
        for (size_t i = 0; i < start->n_passed; i++)
                if (dup2(at[i], LISTEN_FD + (int)i) < 0)
                        return -errno;
        return close_range((unsigned)end, ~0U, 0);
}

static int set_names(const ProcessStart *start) {
        char *names = NULL;
        size_t size;
        FILE *out;
        int r;

        out = open_memstream(&names, &size);
        if (!out)
                return -ENOMEM;
        for (size_t i = 0; i < start->n_passed; i++)
                fprintf(out, "%s%s", i > 0 ? ":" : "", start->passed[i].name);
        if (fclose(out) < 0)
                return -ENOMEM;
        r = setenv("LISTEN_FDNAMES", names, 1);
        free(names);
        return r;
}

/* What guestmapd was told of itself, and is not said anew, is unsaid. */
static int set_environment(const ProcessStart *start) {
        unsetenv("WATCHDOG_PID");
        unsetenv("WATCHDOG_USEC");
        unsetenv("STATE_DIRECTORY");
        if (set_number("LISTEN_PID", (unsigned)getpid()) < 0 ||
            set_number("LISTEN_FDS", (unsigned)start->n_passed) < 0 ||
            set_number("FDSTORE", FD_STORE_MAX) < 0 ||
            setenv("NOTIFY_SOCKET", start->notify_socket, 1) < 0 ||
            setenv("RUNTIME_DIRECTORY", start->runtime_directory, 1) < 0 ||
            (start->state_directory && setenv("STATE_DIRECTORY", start->state_directory, 1) < 0))
                return -errno;
        return set_names(start);
}

static _Noreturn void run_child(const ProcessStart *start) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        reset_signals();
        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
                _exit(126);
        if (setsid() < 0 || chdir("/") < 0 || set_environment(start) < 0 || place_passed(start) < 0)
                _exit(126);
        execl(start->program, start->program, (char *)NULL);
        _exit(127);
}

/* A child is not reaped before us: the pid is still its own. */
static int watch_child(Process **ret, sd_event *event, pid_t pid, ProcessEnded ended,
                       void *userdata) {
        _cleanup_(closep) int pidfd = pidfd_open(pid, 0);

        return pidfd < 0 ? -errno : process_new(ret, event, &pidfd, ended, userdata);
}

int process_spawn(Process **ret, sd_event *event, const ProcessStart *start, ProcessEnded ended,
                  void *userdata) {
        pid_t pid;
        int r;

        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                run_child(start);
        r = watch_child(ret, event, pid, ended, userdata);
        if (r < 0) {
                /* What nobody watches would be nobody's. */
                (void)kill(pid, SIGKILL);
                (void)waitpid(pid, NULL, 0);
        }
        return r;
}

/* Whether nobody is at the other end any more. */
static bool is_hung_up(int socket) {
        struct pollfd poll_fd = {.fd = socket};

        return poll(&poll_fd, 1, 0) < 0 || (poll_fd.revents & (POLLHUP | POLLERR));
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
        /* It has the other end until it ends, and only then may the pid be another's. */
        if (is_hung_up(socket))
                return -ESRCH;
        return process_new(ret, event, &pidfd, ended, userdata);
}

void process_kill(Process *process) {
        (void)pidfd_send_signal(process->pidfd, SIGKILL, NULL, 0);
}
