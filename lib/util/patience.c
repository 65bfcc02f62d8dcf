/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <poll.h>
#include <time.h>

#include "lib/util/cleanup.h"
#include "lib/util/patience.h"

static const Patience endless = {-1, UINT64_MAX};

uint64_t monotonic_usec(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static struct timespec to_timespec(uint64_t usec) {
        return (struct timespec){.tv_sec = (time_t)(usec / 1000000),
                                 .tv_nsec = (long)(usec % 1000000) * 1000};
}

static int time_left(const Patience *patience, uint64_t deadline_usec, struct timespec *ret) {
        uint64_t now = monotonic_usec();

        if (now >= deadline_usec)
                return -ETIMEDOUT;
        if (now >= patience->until_usec)
                return -ECANCELED;
        *ret = to_timespec(MIN_OF(deadline_usec, patience->until_usec) - now);
        return 0;
}

int patience_await(const Patience *patience, int fd, short events, uint64_t deadline_usec) {
        struct pollfd fds[] = {{.fd = fd, .events = events}, {.events = POLLIN}};
        struct timespec left;
        int n = 0, r;

        patience = patience ? patience : &endless;
        fds[1].fd = patience->stop_fd;
        while (n == 0) {
                r = time_left(patience, deadline_usec, &left);
                if (r < 0)
                        return r;
                n = ppoll(fds, ELEMENTS_OF(fds), &left, NULL);
                if (n < 0 && errno != EINTR)
                        return -errno;
                n = MAX_OF(n, 0);
        }
        return fds[0].revents ? 0 : -ECANCELED;
}
