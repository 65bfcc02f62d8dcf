/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "daemon/vm/inherited-fds.h"
#include "lib/util/cleanup.h"

static void free_names(char ***names) {
        for (char **name = *names; name && *name; name++)
                free(*name);
        free(*names);
}

/* Of sockets only the one to listen on listens. */
int inherited_fds_take(int *ret_socket, int (*take)(void *userdata, int fd, const char *name),
                       void *userdata) {
        _cleanup_(free_names) char **names = NULL;
        int n = sd_listen_fds_with_names(true, &names), r = 0;

        for (int i = 0; r == 0 && i < n; i++) {
                int fd = SD_LISTEN_FDS_START + i;

                if (*ret_socket < 0 && sd_is_socket(fd, AF_UNIX, SOCK_STREAM, true) > 0)
                        *ret_socket = fd;
                else
                        r = take(userdata, fd, names[i]);
        }
        return n < 0 ? n : r;
}
