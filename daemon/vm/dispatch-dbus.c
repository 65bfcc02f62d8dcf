/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "daemon/vm/address-space-dbus.h"
#include "daemon/vm/audit-dbus.h"
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

/* What sd-bus has for one of our vtables. */
struct VtableCopy {
        VtableCopy *next; /* in Service.vtables */
        const sd_bus_vtable *original;
        sd_bus_vtable entries[];
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

static Interface find_interface(Service *service, const char *name, bool below) {
        Interface interfaces[INTERFACES_MAX];
        const Interface *i = interfaces;

        list_interfaces(service, interfaces);
        while (strcmp(i->name, name) != 0 || (below && !i->find))
                i++;
        return *i;
}

static sd_bus_message_handler_t find_handler(Service *service, sd_bus_message *m) {
        Interface interface = find_interface(service, sd_bus_message_get_interface(m), false);
        const sd_bus_vtable *entry = interface.vtable;

        while (entry->type != _SD_BUS_VTABLE_METHOD ||
               strcmp(entry->x.method.member, sd_bus_message_get_member(m)) != 0)
                entry++;
        return entry->x.method.handler;
}

/* Of the VM's map sd-bus knows only what the verbs work on. */
static Service *service_of(sd_bus_message *m, void *userdata) {
        const MapTarget *target = userdata;

        return sd_bus_message_is_method_call(m, GUESTMAP_INTERFACE_MAP, NULL)
                       ? target->service
                       : service_current(sd_bus_message_get_bus(m));
}

/* In place of each handler. */
static int handle(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Service *service = service_of(m, userdata);
        int r;

        audit_handled(service, m);
        r = find_handler(service, m)(m, userdata, error);
        if (r < 0 && !sd_bus_error_is_set(error))
                r = sd_bus_error_set_errno(error, r);
        audit_returned(service, m, error);
        return r;
}

/* In place of each find function. */
static int find_object(sd_bus *bus, const char *path, const char *interface, void *userdata,
                       void **ret_found, sd_bus_error *error) {
        Service *service = userdata;
        int r;

        r = find_interface(service, interface, true)
                    .find(bus, path, interface, userdata, ret_found, error);
        if (r < 0 && !sd_bus_error_is_set(error))
                r = sd_bus_error_set_errno(error, r);
        if (r < 0)
                audit_not_found(service, sd_bus_get_current_message(bus), error);
        return r;
}

/* With its end. */
static size_t vtable_length(const sd_bus_vtable *vtable) {
        size_t n = 0;

        while (vtable[n].type != _SD_BUS_VTABLE_END)
                n++;
        return n + 1;
}

static VtableCopy *vtable_copy_new(Service *service, const sd_bus_vtable *original) {
        size_t n = vtable_length(original);
        VtableCopy *copy;

        copy = malloc(sizeof(*copy) + n * sizeof(*original));
        if (!copy)
                return NULL;
        copy->original = original;
        memcpy(copy->entries, original, n * sizeof(*original));
        for (sd_bus_vtable *entry = copy->entries; entry < copy->entries + n; entry++)
                if (entry->type == _SD_BUS_VTABLE_METHOD)
                        entry->x.method.handler = handle;
        copy->next = service->vtables;
        service->vtables = copy;
        return copy;
}

/* One does for all connections, and outlives them. */
static VtableCopy *copy_vtable(Service *service, const sd_bus_vtable *original) {
        VtableCopy *copy = service->vtables;

        while (copy && copy->original != original)
                copy = copy->next;
        return copy ?: vtable_copy_new(service, original);
}

void dispatch_forget(Service *service) {
        VtableCopy *copy;

        while ((copy = service->vtables)) {
                service->vtables = copy->next;
                free(copy);
        }
}

static int add_interface(Service *service, sd_bus *bus, const Interface *i) {
        const VtableCopy *copy = copy_vtable(service, i->vtable);

        if (!copy)
                return -ENOMEM;
        return i->find ? sd_bus_add_fallback_vtable(bus, NULL, i->path, i->name, copy->entries,
                                                    find_object, i->userdata)
                       : sd_bus_add_object_vtable(bus, NULL, i->path, i->name, copy->entries,
                                                  i->userdata);
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
                r = add_interface(service, bus, i);
        if (r < 0 || !service->vm)
                return r;
        r = sd_bus_add_object_manager(bus, NULL, service->path);
        return r < 0 ? r : add_enumerators(service, bus);
}
