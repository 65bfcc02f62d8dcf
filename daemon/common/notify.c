/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "daemon/common/notify.h"
#include "lib/util/cleanup.h"

#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)

void notify_deinit(Notify *notify) {
        if (notify->connected)
                safe_close(notify->socket);
        *notify = (Notify){};
}

/* 0: there is none. "@" stands for the zero that begins an abstract one. */
static socklen_t find_address(struct sockaddr_un *address) {
        const char *text = getenv("NOTIFY_SOCKET");
        size_t n = text ? strlen(text) : 0;

        if (n < 2 || n >= sizeof(address->sun_path) || !strchr("/@", *text))
                return 0;
        address->sun_family = AF_UNIX;
        memcpy(address->sun_path, text, n + 1);
        if (*text == '@')
                address->sun_path[0] = '\0';
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

/* Only of a socket that is connected does poll() say whether the other side has room. */
static int connect_to_manager(Notify *notify) {
        _cleanup_(closep) int fd = -1;
        struct sockaddr_un address;
        socklen_t size;

        size = find_address(&address);
        if (size == 0)
                return -EDESTADDRREQ;
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *)&address, size) < 0)
                return -errno;
        *notify = (Notify){.connected = true, .socket = TAKE_FD(fd)};
        return 0;
}

static int send_connected(const Notify *notify, const char *message, int fd) {
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(fd))];
        } control = {};
        struct iovec text = {(char *)message, strlen(message)};
        struct msghdr header = {.msg_iov = &text, .msg_iovlen = 1};

        if (fd >= 0) {
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(sizeof(fd));
                memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
                header.msg_control = &control;
                header.msg_controllen = sizeof(control);
        }
        return sendmsg(notify->socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int notify_send(Notify *notify, const char *message, int fd) {
        int r;

        r = notify->connected ? send_connected(notify, message, fd) : -ENOTCONN;
        if (r == 0 || r == -EAGAIN)
                return r;
        /* A manager that has started again listens at the same address. */
        notify_deinit(notify);
        r = connect_to_manager(notify);
        return r < 0 ? r : send_connected(notify, message, fd);
}

unsigned notify_fds_max(void) {
        const char *text = getenv("FDSTORE");
        unsigned long n = text && getenv("NOTIFY_SOCKET") ? strtoul(text, NULL, 10) : 0;

        return n > UINT32_MAX ? 0 : (unsigned)n;
}

uint64_t notify_deadline(uint64_t usec) {
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000 + usec;
}

static int wait_for(int fd, short events, uint64_t deadline) {
        struct pollfd poll_fd = {.fd = fd, .events = events};
        uint64_t now;
        int r;

        do {
                now = notify_deadline(0);
                if (now >= deadline)
                        return -ETIMEDOUT;
                r = poll(&poll_fd, 1, (int)((deadline - now) / USEC_PER_MSEC) + 1);
        } while (r == 0 || (r < 0 && errno == EINTR));
        return r < 0 ? -errno : 0;
}

int notify_wait(const Notify *notify, uint64_t deadline) {
        return wait_for(notify->socket, POLLOUT, deadline);
}

static int send_barrier(Notify *notify, int fd, uint64_t deadline) {
        int r;

        while ((r = notify_send(notify, "BARRIER=1", fd)) == -EAGAIN) {
                r = notify_wait(notify, deadline);
                if (r < 0)
                        return r;
        }
        return r;
}

static int read_answer(int fd) {
        unsigned char error;
        ssize_t n;

        n = read(fd, &error, sizeof(error));
        if (n < 0)
                return -errno;
        return n == 0 ? 0 : -(int)error;
}

int notify_barrier(Notify *notify, uint64_t deadline) {
        _cleanup_(closep) int ours = -1, theirs = -1;
        int pair[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        ours = pair[0];
        theirs = pair[1];
        r = send_barrier(notify, theirs, deadline);
        if (r < 0)
                return r;
        theirs = safe_close(theirs);
        r = wait_for(ours, POLLIN, deadline);
        return r < 0 ? r : read_answer(ours);
}
