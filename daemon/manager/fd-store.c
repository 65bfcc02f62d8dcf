/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "daemon/common/log.h"
#include "daemon/common/open-file.h"
#include "daemon/manager/fd-store.h"
#include "lib/util/array.h"

enum { TEXT_MAX = 4096, SENT_MAX = 253, FD_NAME_MAX = 255 };

typedef struct Notice Notice;

struct FDStore {
        struct sockaddr_un address;
        int socket;
        int spare;  /* given up for a barrier's descriptor where there is no other */
        int failed; /* -errno: why something was not kept since the last barrier */
        bool told;  /* of failures, in the log; until a barrier succeeds */
        sd_event_source *source;
        NamedFD *kept;
        size_t n_kept, n_allocated;
};

/* One message; its descriptors, but those that were taken. */
struct Notice {
        char text[TEXT_MAX + 1];
        int fds[SENT_MAX];
        size_t n_fds;
        bool is_cut; /* there were more, for which this process has no room */
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

/* -EAGAIN: there is none. With MSG_PEEK without the descriptors, else with them. */
static int notice_receive(Notice *notice, int fd, int flags) {
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(notice->fds))];
        } control;
        struct iovec data = {notice->text, TEXT_MAX};
        struct msghdr header = {
                .msg_iov = &data,
                .msg_iovlen = 1,
                .msg_control = flags & MSG_PEEK ? NULL : &control,
                .msg_controllen = flags & MSG_PEEK ? 0 : sizeof(control),
        };
        ssize_t n;

        notice->n_fds = 0;
        n = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | flags);
        if (n < 0)
                return -errno;
        notice->text[n] = '\0';
        notice->is_cut = header.msg_flags & MSG_CTRUNC;
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

static bool is_kept(const FDStore *store, int fd) {
        for (size_t i = 0; i < store->n_kept; i++)
                if (open_files_compare(store->kept[i].fd, fd) == 0)
                        return true;
        return false;
}

static int keep(FDStore *store, const char *name, int *fd) {
        char *copy;

        if (is_kept(store, *fd))
                return 0;
        if (store->n_kept == FD_STORE_MAX)
                return -ENOSPC;
        if (array_reserve(&store->kept, &store->n_allocated, store->n_kept, 1) < 0)
                return -ENOMEM;
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        store->kept[store->n_kept++] = (NamedFD){TAKE_FD(*fd), copy};
        return 0;
}

static void note_failure(FDStore *store, int error) {
        store->failed = error;
        if (!store->told)
                log_warning("%s: can't keep a descriptor: %s", store->address.sun_path,
                            strerror(-error));
        store->told = true;
}

static void keep_all(FDStore *store, const char *name, Notice *notice) {
        int r = notice->is_cut ? -EMFILE : 0;

        for (size_t i = 0; r == 0 && i < notice->n_fds; i++)
                r = keep(store, name, &notice->fds[i]);
        if (r < 0)
                note_failure(store, r);
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
                keep_all(store, name, notice);
}

/* A barrier is a descriptor whose other end its sender watches; it falls when it is closed. */
static void on_barrier(FDStore *store, const Notice *notice) {
        unsigned char error = (unsigned char)-store->failed;

        store->told = store->told && error > 0;
        store->failed = 0;
        if (error == 0 || notice->n_fds == 0)
                return;
        (void)send(notice->fds[0], &error, sizeof(error), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int make_spare(FDStore *store) {
        store->spare = fcntl(store->socket, F_DUPFD_CLOEXEC, 0);
        return store->spare < 0 ? -errno : 0;
}

/* For want of a descriptor a barrier would fall before it was looked at. */
static int receive_barrier(FDStore *store, Notice *notice) {
        int r;

        safe_close(store->spare);
        r = notice_receive(notice, store->socket, 0);
        if (r >= 0) {
                on_barrier(store, notice);
                notice_deinit(notice);
        }
        (void)make_spare(store);
        return r;
}

static int receive(FDStore *store) {
        Notice notice;
        int r;

        r = notice_receive(&notice, store->socket, MSG_PEEK);
        if (r < 0)
                return r;
        if (notice_says(&notice, "BARRIER="))
                return receive_barrier(store, &notice);
        r = notice_receive(&notice, store->socket, 0);
        if (r < 0)
                return r;
        on_notice(store, &notice);
        notice_deinit(&notice);
        return 0;
}

static void receive_all(FDStore *store) {
        while (receive(store) >= 0)
                ;
}

/* No barrier follows any more. */
void fd_store_drain(FDStore *store) {
        receive_all(store);
        store->failed = 0;
}

static int on_socket(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        receive_all(userdata);
        return 0;
}

static int listen_at(FDStore *store, const char *path) {
        struct sockaddr_un *address = &store->address;

        if (strlen(path) >= sizeof(address->sun_path))
                return -ENAMETOOLONG;
        address->sun_family = AF_UNIX;
        memcpy(address->sun_path, path, strlen(path) + 1);
        store->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (store->socket < 0)
                return -errno;
        (void)unlink(path);
        if (bind(store->socket, (struct sockaddr *)address, sizeof(*address)) < 0)
                return -errno;
        return make_spare(store);
}

int fd_store_new(FDStore **ret, sd_event *event, const char *path) {
        _cleanup_(fd_store_freep) FDStore *store = NULL;
        int r;

        store = calloc(1, sizeof(*store));
        if (!store)
                return -ENOMEM;
        store->socket = -1;
        store->spare = -1;
        r = listen_at(store, path);
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
        safe_close(store->spare);
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
