/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "api/private.h"
#include "daemon/common/log.h"
#include "daemon/manager/audit.h"
#include "daemon/manager/departure-dbus.h"
#include "daemon/manager/error-dbus.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/spawn.h"
#include "daemon/manager/unit-dbus.h"
#include "daemon/manager/vm-dbus.h"

#define LABEL_MAX    (3 * VM_NAME_MAX) /* each byte may be escaped */
#define QUERY_USEC   5000000
#define REFRESH_USEC 100000

typedef struct VMProperty VMProperty;

struct VMProperty {
        const char *name;
        char type;     /* of D-Bus; 'a' for counts, 'l' for a list of words */
        size_t offset; /* in VM */
        bool settled;  /* what VM says is so, also while the process lives */
};

static const VMProperty vm_properties[] = {
        {"Name", 's', offsetof(VM, name), true},
        {"ID", 's', offsetof(VM, id), true},
        {"State", 's', offsetof(VM, state), true},
        {"Owner", 'u', offsetof(VM, owner), true},
        {"Durable", 'b', offsetof(VM, durable), true},
        {"Accelerator", 's', offsetof(VM, accelerator), true},
        {"Generation", 't', offsetof(VM, generation)},
        {"SlotsUsed", 'u', offsetof(VM, slots_used)},
        {"SlotsMax", 'u', offsetof(VM, slots_max)},
        {"SlotStats", 'a', offsetof(VM, slot_stats)},
        {"Regions", 't', offsetof(VM, regions)},
        {"RAMBytes", 't', offsetof(VM, ram_bytes)},
        {"TrappedBytes", 't', offsetof(VM, trapped_bytes)},
        {"PauseUSec", 'a', offsetof(VM, pause_usec)},
        {"Lost", 'l', offsetof(VM, lost)},
};

int vm_path_from_name(char **ret, const char *name) {
        return sd_bus_path_encode(GUESTMAP_PATH_VM, name, ret);
}

VM *vm_from_path(Manager *manager, const char *path) {
        size_t prefix = strlen(GUESTMAP_PATH_VM "/"), label;
        char object[sizeof(GUESTMAP_PATH_VM "/") + LABEL_MAX];
        _cleanup_(freep) char *name = NULL;

        if (strncmp(path, GUESTMAP_PATH_VM "/", prefix) != 0)
                return NULL;
        label = strcspn(path + prefix, "/");
        if (label > LABEL_MAX)
                return NULL;
        snprintf(object, sizeof(object), "%.*s", (int)(prefix + label), path);
        if (sd_bus_path_decode(object, GUESTMAP_PATH_VM, &name) <= 0)
                return NULL;
        return registry_find(&manager->registry, name);
}

/* Its identity is guestmapd's word, and stays what it was whatever a process says. */
static bool is_read(const VMProperty *property) {
        return property->offset != offsetof(VM, name) && property->offset != offsetof(VM, id) &&
               property->offset != offsetof(VM, owner) && property->offset != offsetof(VM, durable);
}

static int read_words(char ***words, sd_bus_message *m) {
        char **read = NULL;
        int r;

        r = sd_bus_message_enter_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_read_strv(m, &read);
        if (r < 0)
                return r;
        vm_free_words(*words);
        *words = read;
        return sd_bus_message_exit_container(m);
}

static int read_value(VM *vm, const VMProperty *property, sd_bus_message *m) {
        void *field = (char *)vm + property->offset;
        char signature[] = {property->type, '\0'};
        const char *text;
        char *copy;
        int r;

        if (property->type == 'a')
                return counts_read(field, m);
        if (property->type == 'l')
                return read_words(field, m);
        if (property->type != 's')
                return sd_bus_message_read(m, "v", signature, field);
        r = sd_bus_message_read(m, "v", signature, &text);
        if (r < 0)
                return r;
        copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        free(*(char **)field);
        *(char **)field = copy;
        return 0;
}

static int read_property(VM *vm, sd_bus_message *m) {
        const char *name;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTS_OF(vm_properties); i++)
                if (strcmp(vm_properties[i].name, name) == 0 && is_read(&vm_properties[i]))
                        return read_value(vm, &vm_properties[i], m);
        return sd_bus_message_skip(m, "v");
}

int vm_read_properties(VM *vm, sd_bus_message *m) {
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_property(vm, m);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

bool vm_read_reply(VM *vm, sd_bus_message *reply) {
        int r;

        if (!reply)
                return false;
        r = sd_bus_message_is_method_error(reply, NULL) ? -sd_bus_message_get_errno(reply)
                                                        : vm_read_properties(vm, reply);
        if (r < 0)
                log_vm(LOG_WARNING, vm->name, "can't get its properties: %s", strerror(-r));
        return r >= 0;
}

int vm_ask_description(VM *vm, uint64_t usec, LinkDone done) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = link_new_call(vm->link, &m, GUESTMAP_PATH_PRIVATE, GUESTMAP_INTERFACE_PRIVATE,
                          "Describe");
        return r < 0 ? r : link_call(vm->link, NULL, m, usec, done, NULL);
}

int vm_query(VM *vm, LinkDone done, void *userdata) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = link_new_call(vm->link, &m, vm->path, "org.freedesktop.DBus.Properties", "GetAll");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", GUESTMAP_INTERFACE_VM);
        return r < 0 ? r : link_call(vm->link, NULL, m, QUERY_USEC, done, userdata);
}

static void on_refreshed(VM *vm, sd_bus_message *reply, void *userdata) {
        (void)vm_read_reply(vm, reply);
        status_changed(&vm->manager->status);
}

static int on_refresh(sd_event_source *source, uint64_t usec, void *userdata) {
        VM *vm = userdata;

        vm->refresh = sd_event_source_disable_unref(vm->refresh);
        if (vm->phase == VM_LIVING)
                (void)vm_query(vm, on_refreshed, NULL);
        return 0;
}

void vm_query_later(VM *vm) {
        if (!vm->refresh)
                (void)sd_event_add_time_relative(vm->manager->event, &vm->refresh, CLOCK_MONOTONIC,
                                                 REFRESH_USEC, 0, on_refresh, vm);
}

static int append_list(const VMProperty *property, void *field, sd_bus_message *m) {
        bool counts = property->type == 'a';
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", property->name);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', counts ? "a{st}" : "as");
        if (r >= 0)
                r = counts ? counts_append(field, m)
                           : sd_bus_message_append_strv(m, *(char ***)field);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_property(VM *vm, const VMProperty *property, sd_bus_message *m) {
        char *field = (char *)vm + property->offset;
        char signature[] = {property->type, '\0'};

        switch (property->type) {
        case 'a':
        case 'l':
                return append_list(property, field, m);
        case 's':
                return sd_bus_message_append(m, "{sv}", property->name, signature, *(char **)field);
        case 'b':
        case 'u':
                return sd_bus_message_append(m, "{sv}", property->name, signature,
                                             *(uint32_t *)field);
        default:
                return sd_bus_message_append(m, "{sv}", property->name, signature,
                                             *(uint64_t *)field);
        }
}

static int append_properties(VM *vm, sd_bus_message *m) {
        int r;

        r = sd_bus_message_open_container(m, 'e', "sa{sv}");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", GUESTMAP_INTERFACE_VM);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(vm_properties); i++)
                r = append_property(vm, &vm_properties[i], m);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int reply_property(VM *vm, const VMProperty *property, sd_bus_message *m) {
        char *field = (char *)vm + property->offset;
        char signature[] = {property->type, '\0'};

        if (property->type == 's')
                return sd_bus_reply_method_return(m, "v", signature, *(char **)field);
        return sd_bus_reply_method_return(m, "v", signature, *(uint32_t *)field);
}

/* Also of a process that does not answer: there it is looked for why. */
static int reply_directory(VM *vm, sd_bus_message *m) {
        char directory[PATH_MAX];

        (vm->manager->settings.units ? unit_directory : spawn_directory)(vm, directory);
        return sd_bus_reply_method_return(m, "v", "s", directory);
}

int vm_get_property(VM *vm, sd_bus_message *m) {
        const char *interface, *name;
        int r;

        if (!sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "Get") ||
            !sd_bus_message_has_signature(m, "ss"))
                return 0;
        r = sd_bus_message_read(m, "ss", &interface, &name);
        if (r < 0)
                return r;
        if (strcmp(interface, GUESTMAP_INTERFACE_VM) == 0 && strcmp(name, "Directory") == 0)
                return reply_directory(vm, m);
        if (strcmp(interface, GUESTMAP_INTERFACE_VM) == 0)
                for (size_t i = 0; i < ELEMENTS_OF(vm_properties); i++)
                        if (vm_properties[i].settled && strcmp(vm_properties[i].name, name) == 0)
                                return reply_property(vm, &vm_properties[i], m);
        r = sd_bus_message_rewind(m, 1);
        return r < 0 ? r : 0;
}

static const char *const other_interfaces[] = {
        "org.freedesktop.DBus.Peer",
        "org.freedesktop.DBus.Introspectable",
        "org.freedesktop.DBus.Properties",
        "org.freedesktop.DBus.ObjectManager",
        GUESTMAP_INTERFACE_MAP,
};

int vm_append_interfaces(VM *vm, sd_bus_message *m) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sa{sv}}");
        for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(other_interfaces); i++)
                r = sd_bus_message_append(m, "{sa{sv}}", other_interfaces[i], 0);
        if (r >= 0)
                r = append_properties(vm, m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int signal_vm(VM *vm, const char *member) {
        return sd_bus_emit_signal(vm->manager->bus, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER,
                                  member, "soa{sv}", vm->name, vm->path, 0);
}

static int signal_interfaces_added(VM *vm) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        sd_bus *bus = vm->manager->bus;
        int r;

        r = sd_bus_message_new_signal(bus, &m, GUESTMAP_PATH, "org.freedesktop.DBus.ObjectManager",
                                      "InterfacesAdded");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "o", vm->path);
        if (r < 0)
                return r;
        r = vm_append_interfaces(vm, m);
        return r < 0 ? r : sd_bus_send(bus, m, NULL);
}

static int signal_interfaces_removed(VM *vm) {
        return sd_bus_emit_signal(vm->manager->bus, GUESTMAP_PATH,
                                  "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved", "oas",
                                  vm->path, 6, other_interfaces[0], other_interfaces[1],
                                  other_interfaces[2], other_interfaces[3], other_interfaces[4],
                                  GUESTMAP_INTERFACE_VM);
}

/* Without a bus there is nobody to be told, and whoever comes to a new one asks for the list. */
void vm_announce(VM *vm) {
        vm->announced = true;
        vm->told = vm->generation;
        log_entry(LOG_INFO,
                  &(const LogFields){.message_id = MESSAGE_VM_CREATED,
                                     .vm = vm->name,
                                     .has_generation = true,
                                     .generation = vm->generation},
                  "created, for uid %" PRIu32, vm->owner);
        if (vm->manager->bus && (signal_vm(vm, "VMNew") < 0 || signal_interfaces_added(vm) < 0))
                log_vm(LOG_WARNING, vm->name, "can't signal that it is there");
}

void vm_announce_removal(VM *vm) {
        log_entry(LOG_INFO, &(const LogFields){.message_id = MESSAGE_VM_DESTROYED, .vm = vm->name},
                  "gone");
        if (vm->manager->bus &&
            (signal_vm(vm, "VMRemoved") < 0 || signal_interfaces_removed(vm) < 0))
                log_vm(LOG_WARNING, vm->name, "can't signal that it has gone");
}

void vm_take_request(VM *vm, sd_bus_message *m) {
        vm->request = sd_bus_message_ref(m);
        vm->requester = callers_of(vm->manager, m)->uid;
}

void vm_drop_messages(VM *vm) {
        vm->request = sd_bus_message_unref(vm->request);
        vm->answer = sd_bus_message_unref(vm->answer);
}

void vm_abandon_request(VM *vm) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        if (!vm->request)
                return;
        if (vm->answer && sd_bus_message_is_method_error(vm->answer, NULL)) {
                (void)sd_bus_message_send(vm->answer);
                return;
        }
        error_set(&error, GUESTMAP_ERROR_VM_GONE, "VM \"%s\": guestmapd ends; %s", vm->name,
                  vm->phase == VM_LEAVING
                          ? "its process was told to quit, and what it leaves the next one removes"
                          : "if its process has made it the next one shows it, else removes it");
        if (vm->phase != VM_LEAVING)
                audit_call(vm->manager, vm->requester, vm->request, &error);
        error_reply(vm->request, &error);
}

static int list_objects(sd_bus *bus, const char *prefix, void *userdata, char ***ret,
                        sd_bus_error *error) {
        Manager *manager = userdata;
        char **paths;
        size_t n = 0;

        /* Nothing is below the objects that are shown here. */
        if (strlen(prefix) > strlen(GUESTMAP_PATH_VM))
                return 0;
        paths = calloc(manager->registry.n + 1, sizeof(*paths));
        if (!paths)
                return -ENOMEM;
        for (VM *vm = registry_first(&manager->registry); vm; vm = registry_next(vm))
                if (vm_is_visible(vm) && (paths[n] = strdup(vm->path)))
                        n++;
        *ret = paths;
        return 0;
}

/* Whose properties are told from here. Calls on one that recovers do not get as far. */
static int find_unserved(sd_bus *bus, const char *path, const char *interface, void *userdata,
                         void **ret_found, sd_bus_error *error) {
        VM *vm = vm_from_path(userdata, path);

        if (!vm || (vm->phase != VM_CRASHED && vm->phase != VM_RECOVERING) ||
            strcmp(vm->path, path) != 0)
                return 0;
        *ret_found = vm;
        return 1;
}

static int on_destroy(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        VM *vm = userdata;

        return audit_failure(departure_method(vm, m, error), vm->manager, m, error);
}

static int get_counts(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return counts_append(userdata, reply);
}

static int get_directory(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const VM *vm = userdata;
        char directory[PATH_MAX];

        (vm->manager->settings.units ? unit_directory : spawn_directory)(vm, directory);
        return sd_bus_message_append(reply, "s", directory);
}

#define CONST SD_BUS_VTABLE_PROPERTY_CONST

static const sd_bus_vtable unserved_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Destroy", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT,
                                on_destroy, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Name", "s", NULL, offsetof(VM, name), CONST),
        SD_BUS_PROPERTY("ID", "s", NULL, offsetof(VM, id), CONST),
        SD_BUS_PROPERTY("State", "s", NULL, offsetof(VM, state),
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Directory", "s", get_directory, 0, CONST),
        SD_BUS_PROPERTY("Owner", "u", NULL, offsetof(VM, owner), CONST),
        SD_BUS_PROPERTY("Durable", "b", NULL, offsetof(VM, durable), CONST),
        SD_BUS_PROPERTY("Accelerator", "s", NULL, offsetof(VM, accelerator), CONST),
        SD_BUS_PROPERTY("Generation", "t", NULL, offsetof(VM, generation), 0),
        SD_BUS_PROPERTY("SlotsUsed", "u", NULL, offsetof(VM, slots_used), 0),
        SD_BUS_PROPERTY("SlotsMax", "u", NULL, offsetof(VM, slots_max), 0),
        SD_BUS_PROPERTY("SlotStats", "a{st}", get_counts, offsetof(VM, slot_stats), 0),
        SD_BUS_PROPERTY("Regions", "t", NULL, offsetof(VM, regions), 0),
        SD_BUS_PROPERTY("RAMBytes", "t", NULL, offsetof(VM, ram_bytes), 0),
        SD_BUS_PROPERTY("TrappedBytes", "t", NULL, offsetof(VM, trapped_bytes), 0),
        SD_BUS_PROPERTY("PauseUSec", "a{st}", get_counts, offsetof(VM, pause_usec), 0),
        SD_BUS_PROPERTY("Lost", "as", NULL, offsetof(VM, lost),
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

int vm_register(Manager *manager) {
        int r;

        r = sd_bus_add_node_enumerator(manager->bus, NULL, GUESTMAP_PATH_VM, list_objects, manager);
        if (r < 0)
                return r;
        return sd_bus_add_fallback_vtable(manager->bus, NULL, GUESTMAP_PATH_VM,
                                          GUESTMAP_INTERFACE_VM, unserved_vtable, find_unserved,
                                          manager);
}
