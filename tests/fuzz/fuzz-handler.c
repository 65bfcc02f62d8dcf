/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A device on a socket that answers whatever it likes: an access is answered or fails with a
 * reason, and what failed once fails for good
 */

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/memory/handler-socket.h"
#include "lib/util/patience.h"
#include "tests/fuzz/choices.h"

static int access_once(Handler *handler, Choices *choices, const Patience *patience) {
        unsigned width = 1u << choose(choices, 4);
        Detail reason = {};
        uint64_t value;
        int r;

        r = choose(choices, 2) ? handler->ops->write(handler, 0, width, 1, patience, &reason)
                               : handler->ops->read(handler, 0, width, &value, patience, &reason);
        if (r > 0 || (r < 0 && reason.text[0] == '\0'))
                abort();
        return r;
}

static void say(int fd, Choices *choices) {
        size_t n = choose(choices, 65);

        n = n < choices->n ? n : choices->n;
        (void)!send(fd, choices->data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        choices->data += n;
        choices->n -= n;
}

/* Asked by who does not wait, so that what is said next is an answer. */
static void talk(Handler *handler, int fd, Choices *choices) {
        const Patience none = {-1, 0};
        bool failed = false;

        for (unsigned i = choose(choices, 4); i > 0 && choices->n > 0; i--) {
                int r = access_once(handler, choices, &none);

                if (failed && r == 0)
                        abort();
                failed |= r < 0 && r != -EINTR && r != -ECANCELED;
                say(fd, choices);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Choices choices = {data, size};
        int type = choose(&choices, 2) ? SOCK_STREAM : SOCK_SEQPACKET, pair[2], failed = 0;
        SocketSetup setup = {.region = "dev", .timeout_usec = 1000};
        Handler *handler;
        Detail detail;

        setup.posted_writes = choose(&choices, 2);
        if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0)
                abort();
        setup.fd = pair[0];
        if (handler_new_socket(&handler, &setup, &detail) != 0)
                abort();
        talk(handler, pair[1], &choices);
        if (choose(&choices, 2))
                shutdown(pair[1], SHUT_WR);
        for (int i = 0; i < 4; i++) {
                int r = access_once(handler, &choices, NULL);

                if (failed && r == 0)
                        abort();
                failed |= r < 0;
        }
        handler_unref(handler);
        close(pair[0]);
        close(pair[1]);
        return 0;
}
