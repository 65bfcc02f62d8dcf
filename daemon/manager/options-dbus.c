/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/manager/error-dbus.h"
#include "daemon/manager/options-dbus.h"

int options_read_none(sd_bus_message *m, sd_bus_error *error) {
        const char *option;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return error_set(error, ERROR_INVALID_ARGS, "options are a{sv}");
        if (sd_bus_message_enter_container(m, 'e', "sv") > 0 &&
            sd_bus_message_read(m, "s", &option) > 0)
                return error_set(error, ERROR_INVALID_ARGS, "%s has no option \"%.*s\"",
                                 sd_bus_message_get_member(m), error_quotable(option), option);
        return 0;
}
