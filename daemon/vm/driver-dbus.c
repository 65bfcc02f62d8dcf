/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "api/names.h"
#include "daemon/vm/driver-dbus.h"

#define DRIVER      "org.freedesktop.DBus"
#define DRIVER_PATH "/org/freedesktop/DBus"

/* The caller is the only client there is. */
#define CLIENT ":1.1"

bool driver_is_called(sd_bus_message *m) {
        const char *interface = sd_bus_message_get_interface(m);

        return strcmp(sd_bus_message_get_path(m), DRIVER_PATH) == 0 && interface &&
               strcmp(interface, DRIVER) == 0;
}

static bool is_owned(const char *name) {
        return strcmp(name, DRIVER) == 0 || strcmp(name, GUESTMAP_SERVICE) == 0 ||
               strcmp(name, CLIENT) == 0;
}

static int method_hello(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return sd_bus_reply_method_return(m, "s", CLIENT);
}

/* No signals are sent. */
static int method_match(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return sd_bus_reply_method_return(m, NULL);
}

static int method_list_names(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return sd_bus_reply_method_return(m, "as", 3, DRIVER, GUESTMAP_SERVICE, CLIENT);
}

static int method_name_has_owner(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        return r < 0 ? r : sd_bus_reply_method_return(m, "b", is_owned(name));
}

static int method_get_name_owner(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        if (!is_owned(name))
                return sd_bus_error_setf(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                                         "nobody is called that here");
        return sd_bus_reply_method_return(m, "s", name);
}

/* 2: it was running already. */
static int method_start_service(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name;
        int r;

        r = sd_bus_message_read(m, "su", &name, NULL);
        if (r < 0)
                return r;
        if (!is_owned(name))
                return sd_bus_error_setf(error, SD_BUS_ERROR_SERVICE_UNKNOWN,
                                         "nobody is called that here");
        return sd_bus_reply_method_return(m, "u", 2);
}

static const sd_bus_vtable driver_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Hello", "", "s", method_hello, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("AddMatch", "s", "", method_match, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("RemoveMatch", "s", "", method_match, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ListNames", "", "as", method_list_names, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("NameHasOwner", "s", "b", method_name_has_owner, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetNameOwner", "s", "s", method_get_name_owner, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StartServiceByName", "su", "u", method_start_service,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

int driver_add(sd_bus *bus) {
        return sd_bus_add_object_vtable(bus, NULL, DRIVER_PATH, DRIVER, driver_vtable, NULL);
}
