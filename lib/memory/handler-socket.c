/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/memory/handler-socket.h"
#include "lib/memory/map-error.h"
#include "lib/util/patience.h"
#include "lib/util/turn.h"

typedef struct Asking Asking;
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
        Turn turn;   /* from a request to its reply; who has it has all that follows */
        bool broken; /* see I1 */
        size_t owed; /* bytes of the last reply that are still to come, see I2 */
        Reply reply;
        char region[];
};

/* An access: whose, and how long who makes it waits. */
struct Asking {
        Channel *channel;
        const Patience *patience;
        Detail *reason;
        uint64_t deadline; /* of the exchange; microseconds of the monotonic clock */
};

static Channel *as_channel(const Handler *handler) {
        return caa_container_of(handler, Channel, handler);
}

static int complain(const Asking *asking, int r, const char *why) {
        detail_set(asking->reason, 0, "handler: region \"%s\": %s", asking->channel->region, why);
        return r;
}

static int fail(const Asking *asking, int r, const char *why) {
        asking->channel->broken = true;
        return complain(asking, r, why);
}

static int fail_late(const Asking *asking) {
        char why[64];

        snprintf(why, sizeof(why), "no answer within %" PRIu64 " microseconds",
                 asking->channel->timeout_usec);
        return fail(asking, -ETIMEDOUT, why);
}

static int fail_size(const Asking *asking) {
        return fail(asking, -EPROTO, "its socket had a packet of a wrong size");
}

/* It was told to stop. The socket stays as it is. */
static int give_up(const Asking *asking, int r) {
        return complain(asking, r, "told to stop before there was an answer");
}

static int await(const Asking *asking, short events) {
        int r;

        r = patience_await(asking->patience, asking->channel->fd, events, asking->deadline);
        if (r == -ECANCELED)
                return give_up(asking, r);
        if (r == -ETIMEDOUT)
                return fail_late(asking);
        return r < 0 ? fail(asking, r, strerror(-r)) : 0;
}

/* After a call that failed. 0: once more. */
static int look_why(const Asking *asking, short events) {
        if (errno == EINTR)
                return 0;
        if (errno == EAGAIN)
                return await(asking, events);
        return fail(asking, -errno, strerror(errno));
}

/* What is said before it is asked is no reply. Nothing waits here. */
static int check_silent(const Asking *asking) {
        char first;

        if (recv(asking->channel->fd, &first, sizeof(first), MSG_PEEK | MSG_DONTWAIT) <= 0)
                return 0;
        return fail(asking, -EPROTO, "its socket had a reply that nobody waited for");
}

/* A unix socket takes so few bytes together or not at all. */
static int send_request(const Asking *asking, const Request *request) {
        ssize_t n = -1;
        int r = 0;

        while (r == 0 && n < 0) {
                n = send(asking->channel->fd, request, RECORD_SIZE, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0)
                        r = look_why(asking, POLLOUT);
        }
        return r == 0 && n < RECORD_SIZE ? fail_size(asking) : r;
}

/* All of the reply that is owed, which may be one that nobody has waited for. */
static int receive_owed(const Asking *asking) {
        Channel *channel = asking->channel;
        int flags = MSG_DONTWAIT | (channel->packets ? MSG_TRUNC : 0);
        int r = 0;

        while (r == 0 && channel->owed > 0) {
                char *at = (char *)&channel->reply + (RECORD_SIZE - channel->owed);
                ssize_t n = recv(channel->fd, at, channel->owed, flags);

                if (n == 0)
                        r = fail(asking, -EPIPE, "its socket was closed");
                else if (n < 0)
                        r = look_why(asking, POLLIN);
                else if (channel->packets && n != RECORD_SIZE)
                        r = fail_size(asking);
                else
                        channel->owed -= (size_t)n;
        }
        return r;
}

/* With the turn. */
static int exchange(const Asking *asking, const Request *request) {
        int r;

        if (asking->channel->broken)
                return fail(asking, -EPIPE, "its socket failed before");
        r = receive_owed(asking);
        if (r == 0)
                r = check_silent(asking);
        if (r == 0)
                r = send_request(asking, request);
        if (r < 0 || !(le32toh(request->info) & INFO_REPLY))
                return r;
        asking->channel->owed = RECORD_SIZE;
        r = receive_owed(asking);
        return r == -ECANCELED ? -EINTR : r;
}

static int ask(Asking *asking, uint32_t info, uint64_t offset, unsigned size, uint64_t data,
               uint64_t *ret) {
        Channel *channel = asking->channel;
        const Request request = {
                .info = htole32(info | (uint32_t)__builtin_ctz(size) << INFO_SIZE_SHIFT),
                .user_data = htole64(channel->user_data),
                .offset = htole64(offset),
                .data = htole64(data),
        };
        int r;

        r = turn_take(&channel->turn, asking->patience);
        if (r < 0)
                return give_up(asking, r);
        asking->deadline = monotonic_usec() + channel->timeout_usec;
        r = exchange(asking, &request);
        if (r == 0)
                *ret = le64toh(channel->reply.data);
        turn_leave(&channel->turn);
        return r;
}

static int socket_read(Handler *handler, uint64_t offset, unsigned size, uint64_t *ret,
                       const Patience *patience, Detail *reason) {
        Asking asking = {as_channel(handler), patience, reason};

        return ask(&asking, INFO_REPLY, offset, size, 0, ret);
}

static int socket_write(Handler *handler, uint64_t offset, unsigned size, uint64_t value,
                        const Patience *patience, Detail *reason) {
        Asking asking = {as_channel(handler), patience, reason};
        uint32_t info = INFO_WRITE | (asking.channel->posted_writes ? 0 : INFO_REPLY);
        uint64_t unused;

        return ask(&asking, info, offset, size, value, &unused);
}

/* Another socket is another handler, whatever is at its other end. */
static bool socket_same(const Handler *a, const Handler *b) {
        return false;
}

static void socket_free(Handler *handler) {
        Channel *channel = as_channel(handler);

        turn_deinit(&channel->turn);
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

int handler_new_socket(Handler **ret, const SocketSetup *setup, Detail *detail) {
        size_t length = strlen(setup->region) + 1;
        _cleanup_(freep) Channel *channel = NULL;
        _cleanup_(closep) int fd = -1;
        bool packets = false;
        int r;

        r = check_socket(setup->fd, &packets, detail);
        if (r != 0)
                return r;
        fd = fcntl(setup->fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return -errno;
        channel = calloc(1, sizeof(*channel) + length);
        if (!channel)
                return -ENOMEM;
        r = turn_init(&channel->turn);
        if (r < 0)
                return r;
        handler_init(&channel->handler, &socket_ops);
        channel->fd = TAKE_FD(fd);
        channel->packets = packets;
        channel->posted_writes = setup->posted_writes;
        channel->timeout_usec = setup->timeout_usec;
        channel->user_data = setup->user_data;
        memcpy(channel->region, setup->region, length);
        *ret = &TAKE_PTR(channel)->handler;
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
