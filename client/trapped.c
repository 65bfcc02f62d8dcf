/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>

#include "api/names.h"
#include "client/number.h"
#include "client/trapped.h"

static int get_bytes(const Client *client, const char *vm, sd_bus_error *error, uint64_t *ret) {
        return client_try_property(client, vm, GUESTMAP_INTERFACE_VM, "TrappedBytes", error, 't',
                                   ret);
}

int trapped_init(Trapped *trapped, const Client *client, const char *path) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        *trapped = (Trapped){.vm = client_vm_of(path)};
        r = get_bytes(client, trapped->vm, &error, &trapped->before);
        if (r >= 0)
                return 0;
        trapped_deinit(trapped);
        return sd_bus_error_has_name(&error, SD_BUS_ERROR_ACCESS_DENIED)
                       ? 0
                       : client_print_error(client, &error, r);
}

void trapped_deinit(Trapped *trapped) {
        free(trapped->vm);
        trapped->vm = NULL;
}

void trapped_tell(Trapped *trapped, const Client *client) {
        uint64_t now;

        if (!trapped->vm || get_bytes(client, trapped->vm, NULL, &now) < 0 ||
            now <= trapped->before)
                return;
        trapped->bytes = now;
        fail("guest memory without a slot: %s more, %s in all",
             number_size(now - trapped->before).text, number_size(now).text);
}
