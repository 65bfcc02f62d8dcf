/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "lib/util/cleanup.h"
#include "tests/common/keeper.h"
#include "tests/common/unit.h"

enum { SETTLE_USEC = 20000000 };

/* The value of KEY= in a message, which is cut into lines; "": there is none. */
static const char *value_of(const char *message, size_t size, const char *key) {
        size_t n = strlen(key);

        for (const char *line = message; line < message + size; line += strlen(line) + 1)
                if (strncmp(line, key, n) == 0 && line[n] == '=')
                        return line + n + 1;
        return "";
}

static bool has(const char *message, size_t size, const char *key) {
        return strcmp(value_of(message, size, key), "1") == 0;
}

static bool is_kept(const Keeper *keeper, int fd) {
        pid_t self = getpid();

        for (size_t i = 0; i < keeper->n; i++)
                if (syscall(SYS_kcmp, self, self, KCMP_FILE, keeper->files[i].fd, fd) == 0)
                        return true;
        return false;
}

static void keep(Keeper *keeper, const char *name, int fd) {
        struct KeptFile *file = &keeper->files[keeper->n];

        if (keeper->n == keeper->n_max || is_kept(keeper, fd)) {
                close(fd);
                return;
        }
        snprintf(file->name, sizeof(file->name), "%s", name);
        file->fd = fd;
        keeper->n++;
}

static void forget(Keeper *keeper, const char *name) {
        size_t n = 0;

        for (size_t i = 0; i < keeper->n; i++)
                if (strcmp(keeper->files[i].name, name) == 0)
                        close(keeper->files[i].fd);
                else
                        keeper->files[n++] = keeper->files[i];
        keeper->n = n;
}

static void end_barrier(Keeper *keeper, int fd) {
        unsigned char error = (unsigned char)keeper->refusal;

        keeper->n_barriers++;
        if (error > 0)
                (void)send(fd, &error, sizeof(error), MSG_NOSIGNAL);
        if (keeper->holds)
                keeper->held = fd;
        else
                close(fd);
}

/* False: this was the end. */
static bool obey(Keeper *keeper, const char *message, size_t size, int fd) {
        const char *name = value_of(message, size, "FDNAME");

        if (has(message, size, "FDSTORE"))
                keep(keeper, name, fd);
        else if (has(message, size, "BARRIER"))
                end_barrier(keeper, fd);
        else
                safe_close(fd);
        if (has(message, size, "FDSTOREREMOVE"))
                forget(keeper, name);
        if (has(message, size, "READY"))
                keeper->is_ready = true;
        return !has(message, size, "X_END");
}

static int passed_fd(struct msghdr *header) {
        struct cmsghdr *control;
        int fd = -1;

        for (control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control))
                if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS)
                        memcpy(&fd, CMSG_DATA(control), sizeof(fd));
        return fd;
}

static void *keeper_main(void *data) {
        Keeper *keeper = data;
        bool goes_on = true;

        while (goes_on) {
                char message[4096], control[CMSG_SPACE(sizeof(int)) * 4];
                struct iovec iovec = {message, sizeof(message) - 1};
                struct msghdr header = {
                        .msg_iov = &iovec,
                        .msg_iovlen = 1,
                        .msg_control = control,
                        .msg_controllen = sizeof(control),
                };
                ssize_t n = recvmsg(keeper->fd, &header, MSG_CMSG_CLOEXEC);

                if (n < 0)
                        return NULL;
                message[n] = '\0';
                for (ssize_t i = 0; i < n; i++)
                        if (message[i] == '\n')
                                message[i] = '\0';
                pthread_mutex_lock(&keeper->lock);
                goes_on = obey(keeper, message, (size_t)n, passed_fd(&header));
                pthread_cond_broadcast(&keeper->changed);
                pthread_mutex_unlock(&keeper->lock);
        }
        return NULL;
}

static void make_socket(Keeper *keeper) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        strcpy(keeper->directory, "/tmp/guestmap-keeper-XXXXXX");
        assert_non_null(mkdtemp(keeper->directory));
        snprintf(keeper->path, sizeof(keeper->path), "%s/notify", keeper->directory);
        keeper->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_true(keeper->fd >= 0);
        strcpy(address.sun_path, keeper->path);
        assert_int_equal(bind(keeper->fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

Keeper *keeper_new(size_t max) {
        Keeper *keeper = calloc(1, sizeof(*keeper));
        char number[16];

        assert_non_null(keeper);
        assert_true(max <= KEEPER_MAX);
        keeper->n_max = max;
        keeper->held = -1;
        pthread_mutex_init(&keeper->lock, NULL);
        pthread_cond_init(&keeper->changed, NULL);
        make_socket(keeper);
        snprintf(number, sizeof(number), "%zu", max);
        assert_int_equal(setenv("NOTIFY_SOCKET", keeper->path, true), 0);
        assert_int_equal(setenv("FDSTORE", number, true), 0);
        assert_int_equal(pthread_create(&keeper->thread, NULL, keeper_main, keeper), 0);
        return keeper;
}

Keeper *keeper_free(Keeper *keeper) {
        if (!keeper)
                return NULL;
        keeper_hold(keeper, false);
        (void)sd_notify(false, "X_END=1");
        pthread_join(keeper->thread, NULL);
        keeper_clear(keeper);
        close(keeper->fd);
        unlink(keeper->path);
        rmdir(keeper->directory);
        unsetenv("NOTIFY_SOCKET");
        unsetenv("FDSTORE");
        free(keeper);
        return NULL;
}

char *keeper_names(Keeper *keeper) {
        char *names = calloc(KEEPER_MAX + 1, sizeof(keeper->files[0].name));

        assert_non_null(names);
        keeper_settle(keeper);
        pthread_mutex_lock(&keeper->lock);
        for (size_t i = 0; i < keeper->n; i++)
                sprintf(names + strlen(names), "%s%s", i > 0 ? " " : "", keeper->files[i].name);
        pthread_mutex_unlock(&keeper->lock);
        return names;
}

int keeper_find(Keeper *keeper, const char *name) {
        int fd = -1;

        keeper_settle(keeper);
        pthread_mutex_lock(&keeper->lock);
        for (size_t i = 0; i < keeper->n; i++)
                if (strcmp(keeper->files[i].name, name) == 0)
                        fd = keeper->files[i].fd;
        pthread_mutex_unlock(&keeper->lock);
        return fd;
}

void keeper_hold(Keeper *keeper, bool hold) {
        pthread_mutex_lock(&keeper->lock);
        keeper->holds = hold;
        if (!hold)
                keeper->held = safe_close(keeper->held);
        pthread_mutex_unlock(&keeper->lock);
}

void keeper_refuse(Keeper *keeper, int error) {
        pthread_mutex_lock(&keeper->lock);
        keeper->refusal = error;
        pthread_mutex_unlock(&keeper->lock);
}

void keeper_await_barriers(Keeper *keeper, unsigned n) {
        pthread_mutex_lock(&keeper->lock);
        while (keeper->n_barriers < n)
                pthread_cond_wait(&keeper->changed, &keeper->lock);
        pthread_mutex_unlock(&keeper->lock);
}

void keeper_await_ready(Keeper *keeper) {
        pthread_mutex_lock(&keeper->lock);
        while (!keeper->is_ready)
                pthread_cond_wait(&keeper->changed, &keeper->lock);
        keeper->is_ready = false;
        pthread_mutex_unlock(&keeper->lock);
}

void keeper_settle(Keeper *keeper) {
        if (keeper->holds)
                return;
        assert_true(sd_notify_barrier(false, SETTLE_USEC) >= 0);
}

void keeper_clear(Keeper *keeper) {
        pthread_mutex_lock(&keeper->lock);
        while (keeper->n > 0)
                close(keeper->files[--keeper->n].fd);
        pthread_mutex_unlock(&keeper->lock);
}
