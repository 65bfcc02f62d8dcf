/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Handlers on sockets: the records byte by byte, what is refused, and that whoever does not answer
 * is not waited for
 */

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "lib/memory/handler-socket.h"
#include "lib/memory/map-error.h"
#include "lib/util/patience.h"
#include "tests/common/unit.h"

typedef struct Device Device;

/* The other end, which answers so many requests and notes the last one. */
struct Device {
        int fd;
        int n_requests;
        int n_replies; /* of them */
        size_t size;   /* of a reply */
        uint8_t request[32];
        uint8_t reply[64];
        pthread_t thread;
};

static void *answer(void *data) {
        Device *device = data;

        for (int i = 0; i < device->n_requests; i++) {
                if (recv(device->fd, device->request, 32, MSG_WAITALL) != 32)
                        return NULL;
                /* In two pieces, where bytes flow. */
                if (i < device->n_replies && device->size >= 32)
                        (void)!send(device->fd, device->reply, device->size, MSG_NOSIGNAL);
                else if (i < device->n_replies)
                        (void)!(send(device->fd, device->reply, device->size, MSG_NOSIGNAL) +
                                send(device->fd, device->reply + device->size, 32 - device->size,
                                     MSG_NOSIGNAL));
        }
        return NULL;
}

/* A handler, and its device, which has not begun to answer. */
static Handler *make(Device *device, int type, uint64_t timeout_usec, bool posted_writes) {
        Handler *handler = NULL;
        Detail detail = {};
        int pair[2];

        *device = (Device){.size = 32};
        assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
        assert_int_equal(fcntl(pair[1], F_SETFL, 0), 0);
        device->fd = pair[1];
        assert_int_equal(handler_new_socket(&handler,
                                            &(SocketSetup){.fd = pair[0],
                                                           .region = "dev",
                                                           .timeout_usec = timeout_usec,
                                                           .user_data = 0x1122334455667788,
                                                           .posted_writes = posted_writes},
                                            &detail),
                         0);
        close(pair[0]);
        return handler;
}

static void start(Device *device, int n_requests, int n_replies) {
        device->n_requests = n_requests;
        device->n_replies = n_replies;
        assert_int_equal(pthread_create(&device->thread, NULL, answer, device), 0);
}

static void end(Device *device, Handler *handler) {
        handler_unref(handler);
        pthread_join(device->thread, NULL);
        close(device->fd);
}

#define USER_DATA "\x88\x77\x66\x55\x44\x33\x22\x11"

static void check_records(int type, size_t piece) {
        Device device;
        Handler *handler = make(&device, type, 10000000, false);
        uint64_t value = 0;

        device.size = piece;
        memcpy(device.reply, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
        start(&device, 2, 2);
        assert_int_equal(handler_read(handler, 0x1234, 4, &value, NULL, NULL), 0);
        assert_true(value == UINT64_C(0x0807060504030201));
        assert_memory_equal(device.request,
                            "\x60\0\0\0\0\0\0\0" USER_DATA "\x34\x12\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                            32);
        assert_int_equal(handler_write(handler, 8, 1, 0xab, NULL, NULL), 0);
        assert_memory_equal(device.request,
                            "\x41\0\0\0\0\0\0\0" USER_DATA "\x08\0\0\0\0\0\0\0\xab\0\0\0\0\0\0\0",
                            32);
        end(&device, handler);
}

static void test_records(void **state) {
        check_records(SOCK_STREAM, 32);
        check_records(SOCK_STREAM, 5);
        check_records(SOCK_SEQPACKET, 32);
}

static void test_posted_writes(void **state) {
        Device device;
        Handler *handler = make(&device, SOCK_STREAM, 10000000, true);

        start(&device, 1, 0);
        assert_int_equal(handler_write(handler, 8, 8, UINT64_C(0x0102030405060708), NULL, NULL), 0);
        end(&device, handler);
        assert_memory_equal(device.request,
                            "\x31\0\0\0\0\0\0\0" USER_DATA
                            "\x08\0\0\0\0\0\0\0\x08\x07\x06\x05\x04\x03\x02\x01",
                            32);
}

/* The access fails with a reason, and so do all that come after it. */
static void check_failure(Handler *handler, int r, const char *why) {
        Detail reason = {};
        uint64_t value;

        assert_int_equal(handler_read(handler, 0, 1, &value, NULL, &reason), r);
        assert_string_equal(reason.text, why);
        assert_int_equal(handler_write(handler, 0, 1, 0, NULL, &reason), -EPIPE);
        assert_string_equal(reason.text, "handler: region \"dev\": its socket failed before");
}

static void test_slow(void **state) {
        Device device;
        Handler *handler = make(&device, SOCK_STREAM, 1000, false);

        start(&device, 1, 0);
        check_failure(handler, -ETIMEDOUT,
                      "handler: region \"dev\": no answer within 1000 microseconds");
        end(&device, handler);
}

static void test_gone(void **state) {
        Device device;
        Handler *handler = make(&device, SOCK_STREAM, 10000000, false);

        close(device.fd);
        check_failure(handler, -EPIPE, "handler: region \"dev\": Broken pipe");
        handler_unref(handler);
}

static void test_dies_while_asked(void **state) {
        Device device;
        Handler *handler = make(&device, SOCK_STREAM, 10000000, false);
        Detail reason = {};
        uint64_t value;

        start(&device, 1, 0);
        shutdown(device.fd, SHUT_WR);
        assert_int_equal(handler_read(handler, 0, 1, &value, NULL, &reason), -EPIPE);
        assert_string_equal(reason.text, "handler: region \"dev\": its socket was closed");
        end(&device, handler);
}

static void test_short_packet(void **state) {
        Device device;
        Handler *handler = make(&device, SOCK_SEQPACKET, 10000000, false);

        device.size = 31;
        start(&device, 1, 1);
        check_failure(handler, -EPROTO,
                      "handler: region \"dev\": its socket had a packet of a wrong size");
        end(&device, handler);
}

static void test_long_packet(void **state) {
        Device device;
        Handler *handler = make(&device, SOCK_SEQPACKET, 10000000, false);

        device.size = 33;
        start(&device, 1, 1);
        check_failure(handler, -EPROTO,
                      "handler: region \"dev\": its socket had a packet of a wrong size");
        end(&device, handler);
}

static void send_reply(const Device *device) {
        assert_int_equal(send(device->fd, device->reply, 32, MSG_NOSIGNAL), 32);
}

static void test_unasked(void **state) {
        Device device;
        Handler *handler = make(&device, SOCK_STREAM, 10000000, false);

        send_reply(&device);
        check_failure(handler, -EPROTO,
                      "handler: region \"dev\": its socket had a reply that nobody waited for");
        handler_unref(handler);
        close(device.fd);
}

/* A byte now and then: each is soon there, the last one is not. */
static void *dribble(void *data) {
        Device *device = data;

        if (recv(device->fd, device->request, 32, MSG_WAITALL) != 32)
                return NULL;
        for (int i = 0; i < 32; i++) {
                usleep(2000);
                (void)!send(device->fd, &device->reply[i], 1, MSG_NOSIGNAL);
        }
        return NULL;
}

static void test_dribble(void **state) {
        Device device;
        Handler *handler = make(&device, SOCK_STREAM, 20000, false);
        Detail reason = {};
        uint64_t value;

        assert_int_equal(pthread_create(&device.thread, NULL, dribble, &device), 0);
        assert_int_equal(handler_read(handler, 0, 1, &value, NULL, &reason), -ETIMEDOUT);
        assert_int_equal(handler->n_reads, 0);
        end(&device, handler);
}

typedef struct Impatient Impatient;

/* A thread that reads once, unless it is told to stop. */
struct Impatient {
        Handler *handler;
        int stop_fd;
        int r;
        Detail reason;
        pthread_t thread;
};

static void *read_once(void *data) {
        Impatient *impatient = data;
        const Patience patience = {impatient->stop_fd, UINT64_MAX};
        uint64_t value;

        impatient->r =
                handler_read(impatient->handler, 0, 1, &value, &patience, &impatient->reason);
        return NULL;
}

static void impatient_start(Impatient *impatient, Handler *handler) {
        *impatient = (Impatient){.handler = handler, .stop_fd = eventfd(0, EFD_CLOEXEC)};
        assert_true(impatient->stop_fd >= 0);
        assert_int_equal(pthread_create(&impatient->thread, NULL, read_once, impatient), 0);
}

static void impatient_stop(Impatient *impatient, int r) {
        assert_int_equal(eventfd_write(impatient->stop_fd, 1), 0);
        pthread_join(impatient->thread, NULL);
        close(impatient->stop_fd);
        assert_int_equal(impatient->r, r);
        assert_string_equal(impatient->reason.text,
                            "handler: region \"dev\": told to stop before there was an answer");
}

/* One waits for its reply, another for its turn; neither any longer than it is told to stop. */
static void check_stop(int type) {
        Impatient asked, waits;
        Device device;
        Handler *handler = make(&device, type, 600000000, false);
        uint64_t value = 0;

        impatient_start(&asked, handler);
        assert_int_equal(recv(device.fd, device.request, 32, MSG_WAITALL), 32);
        impatient_start(&waits, handler);
        impatient_stop(&waits, -ECANCELED);
        impatient_stop(&asked, -EINTR);

        /* The reply that nobody waited for is not the next one's. */
        device.reply[0] = 1;
        send_reply(&device);
        device.reply[0] = 2;
        start(&device, 1, 1);
        assert_int_equal(handler_read(handler, 0, 1, &value, NULL, NULL), 0);
        assert_int_equal(value, 2);
        assert_int_equal(handler->n_reads, 1);
        end(&device, handler);
}

static void test_stop(void **state) {
        check_stop(SOCK_STREAM);
        check_stop(SOCK_SEQPACKET);
}

static void refused(int fd, const char *words) {
        Handler *handler = NULL;
        Detail detail = {};

        assert_true(fd >= 0);
        assert_int_equal(
                handler_new_socket(&handler,
                                   &(SocketSetup){.fd = fd, .region = "dev", .timeout_usec = 1},
                                   &detail),
                MAP_E_INVALID_ARGUMENT);
        assert_string_equal(detail.text, words);
        close(fd);
}

static void test_refused(void **state) {
        static const char *const no_socket =
                "the descriptor is not of a unix socket, of bytes or packets";

        refused(open("/dev/null", O_RDWR | O_CLOEXEC), no_socket);
        refused(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), no_socket);
        refused(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "the socket is not connected");
}

typedef struct Asker Asker;

struct Asker {
        Handler *handler;
        pthread_t thread;
        int n_wrong;
};

static void *ask(void *data) {
        Asker *asker = data;

        for (int i = 0; i < 200; i++) {
                uint64_t value = 0;

                asker->n_wrong += handler_read(asker->handler, 0, 8, &value, NULL, NULL) != 0;
                asker->n_wrong += value != 7;
        }
        return NULL;
}

/* Several vCPUs: each gets the reply to its own request. */
static void test_many_ask(void **state) {
        Asker askers[3] = {};
        Device device;
        Handler *handler = make(&device, SOCK_STREAM, 10000000, false);

        device.reply[0] = 7;
        start(&device, 600, 600);
        for (size_t i = 0; i < ELEMENTS_OF(askers); i++) {
                askers[i].handler = handler;
                assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
        }
        for (size_t i = 0; i < ELEMENTS_OF(askers); i++) {
                pthread_join(askers[i].thread, NULL);
                assert_int_equal(askers[i].n_wrong, 0);
        }
        end(&device, handler);
}

UNIT_TESTS(cmocka_unit_test(test_records), cmocka_unit_test(test_posted_writes),
           cmocka_unit_test(test_slow), cmocka_unit_test(test_gone),
           cmocka_unit_test(test_dies_while_asked), cmocka_unit_test(test_short_packet),
           cmocka_unit_test(test_long_packet), cmocka_unit_test(test_unasked),
           cmocka_unit_test(test_dribble), cmocka_unit_test(test_stop),
           cmocka_unit_test(test_refused), cmocka_unit_test(test_many_ask));
