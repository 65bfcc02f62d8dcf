/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "client/number.h"
#include "client/trapped.h"

static int get_bytes(const Client *client, const char *vm, uint64_t *ret) {
        return sd_bus_get_property_trivial(client->bus, GUESTMAP_SERVICE, vm, GUESTMAP_INTERFACE_VM,
                                           "TrappedBytes", NULL, 't', ret);
}

void trapped_init(Trapped *trapped, const Client *client, const char *path) {
        size_t prefix = strlen(GUESTMAP_PATH_VM "/");

        *trapped = (Trapped){.vm = must(strndup(path, prefix + strcspn(path + prefix, "/")))};
        if (get_bytes(client, trapped->vm, &trapped->before) < 0)
                trapped_deinit(trapped);
}

void trapped_deinit(Trapped *trapped) {
        free(trapped->vm);
        trapped->vm = NULL;
}

void trapped_tell(Trapped *trapped, const Client *client) {
        uint64_t now;

        if (!trapped->vm || get_bytes(client, trapped->vm, &now) < 0 || now <= trapped->before)
                return;
        trapped->bytes = now;
        fail("guest memory without a slot: %s more, %s in all",
             number_size(now - trapped->before).text, number_size(now).text);
}
