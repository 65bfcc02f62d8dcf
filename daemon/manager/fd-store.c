/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <linux/kcmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "daemon/manager/fd-store.h"
#include "lib/util/array.h"

enum { TEXT_MAX = 4096, SENT_MAX = 253, FD_NAME_MAX = 255 };

typedef struct Notice Notice;

struct FDStore {
        int socket;
        sd_event_source *source;
        NamedFD *kept;
        size_t n_kept, n_allocated;
};

/* One message; its descriptors, but those that were taken. */
struct Notice {
        char text[TEXT_MAX + 1];
        int fds[SENT_MAX];
        size_t n_fds;
};

static void notice_deinit(Notice *notice) {
        for (size_t i = 0; i < notice->n_fds; i++)
                safe_close(notice->fds[i]);
}

static void take_descriptors(Notice *notice, struct msghdr *header) {
        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                notice->n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                memcpy(notice->fds, CMSG_DATA(c), notice->n_fds * sizeof(int));
        }
}

/* -EAGAIN: there is none. */
static int notice_receive(Notice *notice, int fd) {
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(notice->fds))];
        } control;
        struct iovec data = {notice->text, TEXT_MAX};
        struct msghdr header = {
                .msg_iov = &data,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        ssize_t n;

        notice->n_fds = 0;
        n = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0)
                return -errno;
        notice->text[n] = '\0';
        take_descriptors(notice, &header);
        return 0;
}

/* What stands behind `key`, which ends with "=", in a line of the message. */
static bool notice_get(const Notice *notice, const char *key, char *value, size_t size) {
        size_t n = strlen(key);

        for (const char *line = notice->text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, key, n) != 0)
                        continue;
                snprintf(value, size, "%.*s", (int)strcspn(line + n, "\n"), line + n);
                return true;
        }
        return false;
}

static bool notice_says(const Notice *notice, const char *key) {
        char value[2];

        return notice_get(notice, key, value, sizeof(value)) && strcmp(value, "1") == 0;
}

static bool is_same_file(int a, int b) {
        return syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b) == 0;
}

static bool is_kept(const FDStore *store, int fd) {
        for (size_t i = 0; i < store->n_kept; i++)
                if (is_same_file(store->kept[i].fd, fd))
                        return true;
        return false;
}

/* What can't be kept for want of memory is lost as what there is no room for is. */
static void keep(FDStore *store, const char *name, int *fd) {
        char *copy;

        if (store->n_kept == FD_STORE_MAX || is_kept(store, *fd) ||
            array_reserve(&store->kept, &store->n_allocated, store->n_kept, 1) < 0)
                return;
        copy = strdup(name);
        if (copy)
                store->kept[store->n_kept++] = (NamedFD){TAKE_FD(*fd), copy};
}

static void forget(FDStore *store, const char *name) {
        size_t n = 0;

        for (size_t i = 0; i < store->n_kept; i++) {
                NamedFD *kept = &store->kept[i];

                if (strcmp(kept->name, name) != 0) {
                        store->kept[n++] = *kept;
                        continue;
                }
                safe_close(kept->fd);
                free(kept->name);
        }
        store->n_kept = n;
}

/* Names are handed over in a list with colons between them. */
static bool read_name(const Notice *notice, char *name, size_t size) {
        return notice_get(notice, "FDNAME=", name, size) && *name && !strchr(name, ':');
}

static void on_notice(FDStore *store, Notice *notice) {
        char name[FD_NAME_MAX + 1];

        if (!read_name(notice, name, sizeof(name)))
                return;
        if (notice_says(notice, "FDSTOREREMOVE="))
                forget(store, name);
        else if (notice_says(notice, "FDSTORE="))
                for (size_t i = 0; i < notice->n_fds; i++)
                        keep(store, name, &notice->fds[i]);
}

/* A barrier is a descriptor whose other end its sender watches: what is not kept is closed. */
static int receive(FDStore *store) {
        Notice notice;
        int r;

        r = notice_receive(&notice, store->socket);
        if (r < 0)
                return r;
        on_notice(store, &notice);
        notice_deinit(&notice);
        return 0;
}

void fd_store_drain(FDStore *store) {
        while (receive(store) >= 0)
                ;
}

static int on_socket(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        fd_store_drain(userdata);
        return 0;
}

static int listen_at(const char *path, int *ret) {
        _cleanup_(closep) int fd = -1;
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, path, strlen(path) + 1);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        (void)unlink(path);
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

int fd_store_new(FDStore **ret, sd_event *event, const char *path) {
        _cleanup_(fd_store_freep) FDStore *store = NULL;
        int r;

        store = calloc(1, sizeof(*store));
        if (!store)
                return -ENOMEM;
        store->socket = -1;
        r = listen_at(path, &store->socket);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &store->source, store->socket, EPOLLIN, on_socket, store);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(store);
        return 0;
}

FDStore *fd_store_free(FDStore *store) {
        if (!store)
                return NULL;
        sd_event_source_disable_unref(store->source);
        safe_close(store->socket);
        for (size_t i = 0; i < store->n_kept; i++) {
                safe_close(store->kept[i].fd);
                free(store->kept[i].name);
        }
        free(store->kept);
        free(store);
        return NULL;
}

const NamedFD *fd_store_list(const FDStore *store, size_t *ret_n) {
        *ret_n = store->n_kept;
        return store->kept;
}
