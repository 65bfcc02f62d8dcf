/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What it costs to have a trapped access answered, without the exit that brings it
 *
 *   bench-handler [--n=N] [--repeat=N]
 *
 * N reads of four bytes each, in turns: dispatched to memory that has no slot, to nobody, to a
 * latch, and to another thread behind a socket; and the bare ping-pong of 32 bytes on such a socket
 * that the last is measured by.
 */

#include <inttypes.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/memory/dispatch.h"
#include "lib/memory/handler-socket.h"
#include "tests/bench/bench.h"
#include "tests/common/memory.h"

enum { RECORD = 32 };

/* A socket and a thread at its other end that sends back what it gets. */
typedef struct Echo {
        int fd; /* ours */
        int other;
        pthread_t thread;
} Echo;

typedef struct Place {
        const char *name;
        uint64_t address;
        Times times; /* of one read */
} Place;

static void must_be(bool condition, const char *what) {
        if (condition)
                return;
        perror(what);
        exit(EXIT_FAILURE);
}

static void *echo_on(void *data) {
        const Echo *echo = data;
        char record[RECORD];

        while (recv(echo->other, record, RECORD, MSG_WAITALL) == RECORD)
                must_be(send(echo->other, record, RECORD, MSG_NOSIGNAL) == RECORD, "send");
        return NULL;
}

static void echo_start(Echo *echo) {
        int pair[2];

        must_be(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
        *echo = (Echo){.fd = pair[0], .other = pair[1]};
        must_be(pthread_create(&echo->thread, NULL, echo_on, echo) == 0, "a thread");
}

static void echo_end(Echo *echo) {
        shutdown(echo->fd, SHUT_RDWR);
        pthread_join(echo->thread, NULL);
        close(echo->fd);
        close(echo->other);
}

static uint64_t time_bare(const Echo *echo, size_t n) {
        uint64_t start = now_ns();
        char record[RECORD] = {};

        for (size_t i = 0; i < n; i++)
                must_be(send(echo->fd, record, RECORD, MSG_NOSIGNAL) == RECORD &&
                                recv(echo->fd, record, RECORD, 0) == RECORD,
                        "the bare socket");
        return (now_ns() - start) / n;
}

static uint64_t time_reads(Dispatcher *dispatcher, uint64_t address, size_t n) {
        uint64_t start = now_ns();
        Detail reason = {};
        uint32_t value;

        for (size_t i = 0; i < n; i++)
                must_be(dispatch_read(dispatcher, address, &value, sizeof(value), &reason) == 0,
                        "a read");
        return (now_ns() - start) / n;
}

static Map *make_map(const Echo *echo) {
        const SocketSetup setup = {
                .fd = echo->fd, .region = "socket", .timeout_usec = UINT64_C(60000000)};
        _cleanup_(handler_unrefp) Handler *socket = NULL;
        Map *map = scene_new();

        must_be(handler_new_socket(&socket, &setup, NULL) == 0, "a handler");
        must_add_memory(map, add_region(REGION_RAM, "ram", 0x1000, "system", 0, 0));
        must_edit(map, add_region(REGION_MMIO, "latch", 0x1000, "system", 0x2000, 0));
        must_edit(map, add_region(REGION_MMIO, "socket", 0x1000, "system", 0x3000, 0));
        must_set_latch(map, "latch", 1);
        must_edit_commit(map, set_handler("socket", socket));
        return map;
}

static void report(const char *name, Times *times) {
        printf("{\"bench\":\"handler\",\"read\":\"%s\",\"repeat\":%zu,\"median_ns\":%" PRIu64
               ",\"p99_ns\":%" PRIu64 "}\n",
               name, times->n, times_percentile(times, 50), times_percentile(times, 99));
        times_free(times);
}

static void run(size_t n, size_t repeat) {
        Place places[] = {
                {"memory", 0x10}, {"nobody", 0x1010}, {"latch", 0x2010}, {"socket", 0x3010}};
        Times bare_times = times_new(repeat);
        Dispatcher dispatcher;
        Echo bare, served;
        Map *map;

        echo_start(&bare);
        echo_start(&served);
        map = make_map(&served);
        dispatcher_init(&dispatcher, map, "memory");
        for (size_t p = 0; p < ELEMENTS_OF(places); p++)
                places[p].times = times_new(repeat);
        for (size_t i = 0; i < repeat; i++) {
                for (size_t p = 0; p < ELEMENTS_OF(places); p++)
                        times_add(&places[p].times, time_reads(&dispatcher, places[p].address, n));
                times_add(&bare_times, time_bare(&bare, n));
        }
        for (size_t p = 0; p < ELEMENTS_OF(places); p++)
                report(places[p].name, &places[p].times);
        report("bare socket", &bare_times);
        echo_end(&served);
        echo_end(&bare);
        map_free(map);
}

int main(int argc, char **argv) {
        size_t n = 1000, repeat = 50;

        bench_options(argc, argv, (BenchOption[]){{"n", &n}, {"repeat", &repeat}, {}});
        rcu_register();
        run(n, repeat);
        rcu_unregister();
        return EXIT_SUCCESS;
}
