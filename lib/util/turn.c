/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <poll.h>
#include <sys/eventfd.h>

#include "lib/util/cleanup.h"
#include "lib/util/patience.h"
#include "lib/util/turn.h"

enum { FREE, TAKEN, WANTED };

int turn_init(Turn *turn) {
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

        if (fd < 0)
                return -errno;
        *turn = (Turn){.state = FREE, .fd = fd};
        return 0;
}

void turn_deinit(Turn *turn) {
        if (turn->fd > 0)
                turn->fd = safe_close(turn->fd);
}

bool turn_try(Turn *turn) {
        int state = FREE;

        return __atomic_compare_exchange_n(&turn->state, &state, TAKEN, false, __ATOMIC_ACQUIRE,
                                           __ATOMIC_RELAXED);
}

/* Who comes by here may not be the last who wants it, so he says that others do. */
int turn_take(Turn *turn, const Patience *patience) {
        eventfd_t unused;
        int r = 0;

        if (turn_try(turn))
                return 0;
        while (r == 0 && __atomic_exchange_n(&turn->state, WANTED, __ATOMIC_ACQUIRE) != FREE) {
                r = patience_await(patience, turn->fd, POLLIN, UINT64_MAX);
                if (r == 0)
                        (void)eventfd_read(turn->fd, &unused);
        }
        return r;
}

void turn_leave(Turn *turn) {
        if (__atomic_exchange_n(&turn->state, FREE, __ATOMIC_RELEASE) == WANTED)
                (void)eventfd_write(turn->fd, 1);
}
