/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/common/notify.h"
#include "tests/common/deaf-manager.h"
#include "tests/common/unit.h"

static void fill(void) {
        Notify notify = {};
        int r;

        while ((r = notify_send(&notify, "X_FULL=1", -1)) == 0)
                ;
        assert_int_equal(r, -EAGAIN);
        notify_deinit(&notify);
}

int deaf_manager_new(void) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), n;
        socklen_t size;

        n = snprintf(address.sun_path, sizeof(address.sun_path), "@guestmap-%d", (int)getpid());
        assert_int_equal(setenv("NOTIFY_SOCKET", address.sun_path, true), 0);
        address.sun_path[0] = '\0';
        size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n);
        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
        fill();
        return fd;
}

unsigned deaf_manager_read(int fd, const char *wanted) {
        char message[256];
        unsigned count = 0;
        ssize_t n;

        while ((n = recv(fd, message, sizeof(message) - 1, 0)) >= 0) {
                message[n] = '\0';
                count += strncmp(message, wanted, strlen(wanted)) == 0;
        }
        assert_int_equal(errno, EAGAIN);
        return count;
}
