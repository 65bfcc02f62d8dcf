/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "api/names.h"
#include "daemon/vm/address-space-dbus.h"
#include "daemon/vm/dispatch-dbus.h"
#include "daemon/vm/map-dbus.h"
#include "daemon/vm/region-dbus.h"
#include "daemon/vm/service-dbus.h"
#include "daemon/vm/transaction-dbus.h"
#include "daemon/vm/vcpu-dbus.h"
#include "daemon/vm/vm-dbus.h"

typedef struct Interface Interface;

enum { INTERFACES_MAX = 8 };

struct Interface {
        const char *path; /* of the object, or of those below it; NULL: the table's end */
        const char *name;
        const sd_bus_vtable *vtable;
        sd_bus_object_find_t find; /* NULL: one object, whose userdata is this: */
        void *userdata;
};

static void list_interfaces(Service *service, Interface ret[static INTERFACES_MAX]) {
        const Interface of_vm[INTERFACES_MAX] = {
                {service->path, GUESTMAP_INTERFACE_VM, vm_vtable, NULL, service},
                {service->path, GUESTMAP_INTERFACE_MAP, map_vtable, NULL, &service->map_target},
                {service->transaction_prefix, GUESTMAP_INTERFACE_TRANSACTION, transaction_vtable,
                 transaction_object_find, service},
                {service->transaction_prefix, GUESTMAP_INTERFACE_MAP, map_vtable,
                 transaction_object_find_map, service},
                {service->space_prefix, GUESTMAP_INTERFACE_ADDRESS_SPACE, address_space_vtable,
                 address_space_object_find, service},
                {service->region_prefix, GUESTMAP_INTERFACE_REGION, region_vtable,
                 region_object_find, service},
                {service->vcpu_prefix, GUESTMAP_INTERFACE_VCPU, vcpu_vtable, vcpu_object_find,
                 service},
        };
        const Interface of_salvage[INTERFACES_MAX] = {
                {GUESTMAP_PATH_VM, GUESTMAP_INTERFACE_VM, salvage_vtable, salvage_object_find,
                 service},
        };
        const Interface none[INTERFACES_MAX] = {};

        memcpy(ret, service->salvage ? of_salvage : service->vm ? of_vm : none, sizeof(none));
}

static int add_enumerators(Service *service, sd_bus *bus) {
        int r;

        r = sd_bus_add_node_enumerator(bus, NULL, service->transaction_prefix,
                                       transaction_objects_enumerate, service);
        if (r < 0)
                return r;
        r = sd_bus_add_node_enumerator(bus, NULL, service->space_prefix,
                                       address_space_objects_enumerate, service);
        if (r < 0)
                return r;
        r = sd_bus_add_node_enumerator(bus, NULL, service->region_prefix, region_objects_enumerate,
                                       service);
        if (r < 0)
                return r;
        return sd_bus_add_node_enumerator(bus, NULL, service->vcpu_prefix, vcpu_objects_enumerate,
                                          service);
}

int dispatch_add(Service *service, sd_bus *bus) {
        Interface interfaces[INTERFACES_MAX];
        int r = 0;

        list_interfaces(service, interfaces);
        for (const Interface *i = interfaces; r >= 0 && i->path; i++)
                r = i->find ? sd_bus_add_fallback_vtable(bus, NULL, i->path, i->name, i->vtable,
                                                         i->find, i->userdata)
                            : sd_bus_add_object_vtable(bus, NULL, i->path, i->name, i->vtable,
                                                       i->userdata);
        if (r < 0 || !service->vm)
                return r;
        r = sd_bus_add_object_manager(bus, NULL, service->path);
        return r < 0 ? r : add_enumerators(service, bus);
}

static const sd_bus_vtable *find_method(const Interface *interface, const char *member) {
        const sd_bus_vtable *entry = interface->vtable;

        for (; entry->type != _SD_BUS_VTABLE_END; entry++)
                if (entry->type == _SD_BUS_VTABLE_METHOD &&
                    strcmp(entry->x.method.member, member) == 0)
                        return entry;
        return NULL;
}

/* As a find function. */
static int find_object(const Interface *interface, sd_bus_message *m, void **ret,
                       sd_bus_error *error) {
        const char *path = sd_bus_message_get_path(m);
        size_t n = strlen(interface->path);

        *ret = interface->userdata;
        if (!interface->find)
                return strcmp(path, interface->path) == 0;
        if (strncmp(path, interface->path, n) != 0 || path[n] != '/')
                return 0;
        return interface->find(sd_bus_message_get_bus(m), path, interface->name,
                               interface->userdata, ret, error);
}

static int call(const sd_bus_vtable *method, sd_bus_message *m, void *object,
                sd_bus_error *error) {
        const char *types = sd_bus_message_get_signature(m, true);
        const char *taken = method->x.method.signature ?: "";
        int r;

        if (strcmp(types, taken) != 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "InvalidArgs: %s takes \"%s\", not \"%s\"",
                                         method->x.method.member, taken, types);
        r = method->x.method.handler(m, object, error);
        return r < 0 ? r : 1;
}

/* The one property that can be set needs no dispatch, if it is set to what it may be. */
static int refuse_set(sd_bus_message *m, sd_bus_error *error) {
        const char *interface = "?", *property = "?";

        (void)sd_bus_message_read(m, "ss", &interface, &property);
        return sd_bus_error_setf(error, SD_BUS_ERROR_PROPERTY_READ_ONLY,
                                 "PropertyReadOnly: %s.%s cannot be set; a region's Enabled can, "
                                 "to a boolean",
                                 interface, property);
}

int dispatch(Service *service, sd_bus_message *m, sd_bus_error *error) {
        const char *interface = sd_bus_message_get_interface(m);
        const char *member = sd_bus_message_get_member(m);
        Interface interfaces[INTERFACES_MAX];
        int r;

        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "Set"))
                return refuse_set(m, error);
        list_interfaces(service, interfaces);
        for (const Interface *i = interfaces; i->path; i++) {
                const sd_bus_vtable *method = find_method(i, member);
                void *object;

                if (!method || (interface && strcmp(i->name, interface) != 0))
                        continue;
                r = find_object(i, m, &object, error);
                if (r != 0)
                        return r < 0 ? r : call(method, m, object, error);
        }
        return sd_bus_error_setf(error, SD_BUS_ERROR_UNKNOWN_METHOD,
                                 "UnknownMethod: %s has no %s.%s", sd_bus_message_get_path(m),
                                 interface ?: "?", member);
}
