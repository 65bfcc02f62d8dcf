/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <unistd.h>

#include "api/names.h"
#include "client/dump.h"

static int parse_fd(int fd, const char *what, json_object **ret) {
        if (lseek(fd, 0, SEEK_SET) < 0)
                return fail_errno(-errno, "cannot read the dump of %s", what);
        *ret = json_object_from_fd(fd);
        return *ret ? 0 : fail("cannot read the dump of %s: %s", what, json_util_get_last_err());
}

int dump_fetch(Client *client, const char *vm_path, const char *what, json_object **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int fd, r;

        r = client_method(client, &reply, vm_path, GUESTMAP_INTERFACE_VM, "Dump", "sa{sv}", what,
                          0);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "h", &fd);
        return r < 0 ? client_cannot_read(r) : parse_fd(fd, what, ret);
}
