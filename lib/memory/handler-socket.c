/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "lib/memory/handler-socket.h"
#include "lib/memory/map-error.h"

typedef struct Channel Channel;
typedef struct Reply Reply;
typedef struct Request Request;

enum {
        INFO_WRITE = 1,      /* bits 0 to 3: the command; 0 is a read */
        INFO_SIZE_SHIFT = 4, /* bits 4 and 5: the width's binary logarithm */
        INFO_REPLY = 1 << 6, /* a reply is waited for */
        RECORD_SIZE = 32,
};

/* All numbers are little-endian. */
struct Request {
        uint32_t info;
        uint32_t zero;
        uint64_t user_data;
        uint64_t offset; /* in the region */
        uint64_t data;   /* of a write */
};

struct Reply {
        uint64_t data; /* of a read */
        uint8_t ignored[24];
};

_Static_assert(sizeof(Request) == RECORD_SIZE && sizeof(Reply) == RECORD_SIZE, "records");

struct Channel {
        Handler handler;
        int fd;
        bool packets; /* not bytes */
        bool posted_writes;
        uint64_t timeout_usec;
        uint64_t user_data;
        pthread_mutex_t lock; /* from a request to its reply */
        bool broken;          /* under the lock, see I1 */
        char region[];
};

static Channel *as_channel(const Handler *handler) {
        return caa_container_of(handler, Channel, handler);
}

static uint64_t now_usec(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int fail(Channel *channel, int r, Detail *reason, const char *why) {
        channel->broken = true;
        detail_set(reason, 0, "handler: region \"%s\": %s", channel->region, why);
        return r;
}

static int fail_late(Channel *channel, Detail *reason) {
        char why[64];

        snprintf(why, sizeof(why), "no answer within %" PRIu64 " microseconds",
                 channel->timeout_usec);
        return fail(channel, -ETIMEDOUT, reason, why);
}

/* After a call that moved nothing and returned n; 0: once more. */
static int look_why(Channel *channel, ssize_t n, uint64_t deadline, Detail *reason) {
        if (n == 0)
                return fail(channel, -EPIPE, reason, "its socket was closed");
        if (errno == EINTR && now_usec() < deadline)
                return 0;
        if (errno == EAGAIN || errno == EINTR)
                return fail_late(channel, reason);
        return fail(channel, -errno, reason, strerror(errno));
}

/* The kernel's time limit counts from the last signal, the deadline from the request. */
static int transfer(Channel *channel, bool receive, void *record, uint64_t deadline,
                    Detail *reason) {
        size_t done = 0;
        int r = 0;

        while (r == 0 && done < RECORD_SIZE) {
                char *at = (char *)record + done;
                ssize_t n = receive ? recv(channel->fd, at, RECORD_SIZE - done, 0)
                                    : send(channel->fd, at, RECORD_SIZE - done, MSG_NOSIGNAL);

                if (n <= 0)
                        r = look_why(channel, n, deadline, reason);
                else if (channel->packets && n < RECORD_SIZE)
                        r = fail(channel, -EPROTO, reason,
                                 "its socket had a packet of a wrong size");
                else
                        done += (size_t)n;
        }
        return r;
}

static int exchange(Channel *channel, Request *request, Reply *reply, Detail *reason) {
        uint64_t deadline = now_usec() + channel->timeout_usec;
        int r;

        if (channel->broken)
                return fail(channel, -EPIPE, reason, "its socket failed before");
        r = transfer(channel, false, request, deadline, reason);
        if (r == 0 && le32toh(request->info) & INFO_REPLY)
                r = transfer(channel, true, reply, deadline, reason);
        return r;
}

static int call(Handler *handler, uint32_t info, uint64_t offset, unsigned size, uint64_t data,
                uint64_t *ret, Detail *reason) {
        Channel *channel = as_channel(handler);
        Request request = {
                .info = htole32(info | (uint32_t)__builtin_ctz(size) << INFO_SIZE_SHIFT),
                .user_data = htole64(channel->user_data),
                .offset = htole64(offset),
                .data = htole64(data),
        };
        Reply reply = {};
        int r;

        pthread_mutex_lock(&channel->lock);
        r = exchange(channel, &request, &reply, reason);
        pthread_mutex_unlock(&channel->lock);
        *ret = le64toh(reply.data);
        return r;
}

static int socket_read(Handler *handler, uint64_t offset, unsigned size, uint64_t *ret,
                       Detail *reason) {
        return call(handler, INFO_REPLY, offset, size, 0, ret, reason);
}

static int socket_write(Handler *handler, uint64_t offset, unsigned size, uint64_t value,
                        Detail *reason) {
        uint32_t info = INFO_WRITE | (as_channel(handler)->posted_writes ? 0 : INFO_REPLY);
        uint64_t unused;

        return call(handler, info, offset, size, value, &unused, reason);
}

/* Another socket is another handler, whatever is at its other end. */
static bool socket_same(const Handler *a, const Handler *b) {
        return false;
}

static void socket_free(Handler *handler) {
        Channel *channel = as_channel(handler);

        pthread_mutex_destroy(&channel->lock);
        safe_close(channel->fd);
        free(channel);
}

static const HandlerOps socket_ops = {
        .kind = "socket",
        .waits = true,
        .read = socket_read,
        .write = socket_write,
        .same = socket_same,
        .free = socket_free,
};

bool handler_is_socket(const Handler *handler) {
        return handler && handler->ops == &socket_ops;
}

static int check_socket(int fd, bool *ret_packets, Detail *detail) {
        int domain = -1, type = -1;
        socklen_t size = sizeof(int);
        struct sockaddr peer;

        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 || domain != AF_UNIX ||
            getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
            (type != SOCK_STREAM && type != SOCK_SEQPACKET))
                return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                                  "the descriptor is not of a unix socket, of bytes or packets");
        size = sizeof(peer);
        if (getpeername(fd, &peer, &size) < 0)
                return detail_set(detail, MAP_E_INVALID_ARGUMENT, "the socket is not connected");
        *ret_packets = type == SOCK_SEQPACKET;
        return 0;
}

/* Calls block, so long and no longer. */
static int limit_time(int fd, uint64_t usec) {
        struct timeval limit = {.tv_sec = (time_t)(usec / 1000000),
                                .tv_usec = (suseconds_t)(usec % 1000000)};
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
                return -errno;
        return 0;
}

int handler_new_socket(Handler **ret, const SocketSetup *setup, Detail *detail) {
        size_t length = strlen(setup->region) + 1;
        _cleanup_(closep) int fd = -1;
        bool packets = false;
        Channel *channel;
        int r;

        r = check_socket(setup->fd, &packets, detail);
        if (r == 0)
                r = limit_time(setup->fd, setup->timeout_usec);
        if (r != 0)
                return r;
        fd = fcntl(setup->fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return -errno;
        channel = calloc(1, sizeof(*channel) + length);
        if (!channel)
                return -ENOMEM;
        handler_init(&channel->handler, &socket_ops);
        channel->fd = TAKE_FD(fd);
        channel->packets = packets;
        channel->posted_writes = setup->posted_writes;
        channel->timeout_usec = setup->timeout_usec;
        channel->user_data = setup->user_data;
        pthread_mutex_init(&channel->lock, NULL);
        memcpy(channel->region, setup->region, length);
        *ret = &channel->handler;
        return 0;
}

SocketSetup handler_socket_setup(const Handler *handler) {
        const Channel *channel = as_channel(handler);

        return (SocketSetup){
                .fd = channel->fd,
                .region = channel->region,
                .timeout_usec = channel->timeout_usec,
                .user_data = channel->user_data,
                .posted_writes = channel->posted_writes,
        };
}
