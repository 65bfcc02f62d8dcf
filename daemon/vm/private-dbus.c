/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "api/private.h"
#include "daemon/common/log.h"
#include "daemon/vm/offer-dbus.h"
#include "daemon/vm/private-dbus.h"
#include "daemon/vm/service-dbus.h"
#include "daemon/vm/setup-dbus.h"

static int method_describe(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const Service *service = userdata;
        const VM *vm = service->salvage ? service->salvage->vm : service->vm;
        const char *state = service->salvage         ? "crashed"
                            : vm                     ? vm_state(vm)
                            : service->was_destroyed ? "destroyed"
                                                     : "starting";
        const char *why = service->salvage ? service->salvage->why.text : "";

        if (!vm)
                return sd_bus_reply_method_return(m, "ssussts", "", "", 0, "", state, UINT64_C(0),
                                                  why);
        return sd_bus_reply_method_return(m, "ssussts", vm->name, vm->id, vm->owner,
                                          vm->accelerator->ops->name, state, vm->map->generation,
                                          why);
}

static int method_caller(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Service *service = userdata;
        const char *name;
        uint32_t uid;
        int r;

        r = sd_bus_message_read(m, "su", &name, &uid);
        if (r < 0)
                return r;
        r = callers_set(&service->callers, name, uid);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(m, NULL);
}

static int method_caller_gone(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        service_caller_gone(userdata, name);
        return sd_bus_reply_method_return(m, NULL);
}

/* Whether or not anybody is left to hear of it. */
static int method_quit(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Service *service = userdata;

        (void)sd_bus_reply_method_return(m, NULL);
        service->is_destroyed = true;
        return sd_event_exit(service->event, EXIT_SUCCESS);
}

static const sd_bus_vtable private_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Setup",
                                SD_BUS_ARGS("s", name, "s", id, "u", owner, "a{sv}", options),
                                SD_BUS_NO_RESULT, method_setup, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("s", name, "s", id, "u", owner, "s", accelerator, "s",
                                              state, "t", generation, "s", why),
                                method_describe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Caller", SD_BUS_ARGS("s", unique, "u", uid), SD_BUS_NO_RESULT,
                                method_caller, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Connect", SD_BUS_ARGS("u", uid, "u", rights),
                                SD_BUS_RESULT("h", connection), method_connect,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CallerGone", SD_BUS_ARGS("s", unique), SD_BUS_NO_RESULT,
                                method_caller_gone, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Offer", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_offer,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("LimitRAM", SD_BUS_ARGS("b", limited), SD_BUS_RESULT("t", bytes),
                                method_limit_ram, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Quit", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_quit,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("Destroyed", SD_BUS_NO_ARGS, 0),
        SD_BUS_VTABLE_END,
};

int private_add(Service *service, sd_bus *bus) {
        return sd_bus_add_object_vtable(bus, NULL, GUESTMAP_PATH_PRIVATE,
                                        GUESTMAP_INTERFACE_PRIVATE, private_vtable, service);
}

void private_tell_destroyed(Service *service) {
        int r;

        if (!service->bus)
                return;
        r = sd_bus_emit_signal(service->bus, GUESTMAP_PATH_PRIVATE, GUESTMAP_INTERFACE_PRIVATE,
                               "Destroyed", NULL);
        if (r < 0)
                log_warning("cannot say that the VM is destroyed: %s", strerror(-r));
}
