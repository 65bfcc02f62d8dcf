/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "daemon/vm/announcer-dbus.h"
#include "daemon/vm/objects-dbus.h"
#include "daemon/vm/section-dbus.h"
#include "daemon/vm/service-dbus.h"

static int object_path(const Service *service, const ObjectChange *change, char **ret) {
        return sd_bus_path_encode(change->is_space ? service->space_prefix : service->region_prefix,
                                  change->name, ret);
}

static int tell_properties(Service *service, const ObjectChange *change) {
        static const struct {
                uint32_t bit;
                const char *name;
        } properties[] = {
                {OBJECT_KIND, "Kind"},
                {OBJECT_SIZE, "Size"},
                {OBJECT_PARENT, "Parent"},
                {OBJECT_OFFSET, "Offset"},
                {OBJECT_PRIORITY, "Priority"},
                {OBJECT_ENABLED, "Enabled"},
                {OBJECT_READONLY, "ReadOnly"},
                {OBJECT_NONVOLATILE, "NonVolatile"},
                {OBJECT_UNMERGEABLE, "Unmergeable"},
                {OBJECT_DIRTY_LOG, "DirtyLog"},
                {OBJECT_HANDLER, "Handler"},
                {OBJECT_TARGET_OFFSET, "TargetOffset"},
        };
        const char *names[ELEMENTS_OF(properties) + 1];
        _cleanup_(freep) char *path = NULL;
        size_t n = 0;
        int r;

        for (size_t i = 0; i < ELEMENTS_OF(properties); i++)
                if (change->properties & properties[i].bit)
                        names[n++] = properties[i].name;
        names[n] = NULL;
        if (n == 0)
                return 0;
        r = object_path(service, change, &path);
        if (r < 0)
                return r;
        return sd_bus_emit_properties_changed_strv(service->bus, path, GUESTMAP_INTERFACE_REGION,
                                                   (char **)names);
}

/* With the interfaces that every object has: all that InterfacesAdded told of are gone. */
static int tell_gone(Service *service, const ObjectChange *change) {
        _cleanup_(freep) char *path = NULL;
        int r;

        if (!change->gone)
                return 0;
        r = object_path(service, change, &path);
        if (r < 0)
                return r;
        return sd_bus_emit_interfaces_removed(
                service->bus, path, "org.freedesktop.DBus.Peer",
                "org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.Properties",
                change->is_space ? GUESTMAP_INTERFACE_ADDRESS_SPACE : GUESTMAP_INTERFACE_REGION,
                NULL);
}

static int tell_come(Service *service, const ObjectChange *change) {
        _cleanup_(freep) char *path = NULL;
        int r;

        if (!change->come)
                return 0;
        r = object_path(service, change, &path);
        if (r < 0)
                return r;
        return sd_bus_emit_object_added(service->bus, path);
}

static int tell_objects(Service *service, const ObjectChanges *changes) {
        static int (*const steps[])(Service *, const ObjectChange *) = {
                tell_properties,
                tell_gone,
                tell_come,
        };
        int r;

        for (size_t step = 0; step < ELEMENTS_OF(steps); step++)
                for (size_t i = 0; i < changes->n; i++) {
                        r = steps[step](service, &changes->items[i]);
                        if (r < 0)
                                return r;
                }
        return 0;
}

static int append_delta(sd_bus_message *m, const Delta *delta) {
        int r;

        r = sd_bus_message_open_container(m, 'r', "sa" SECTION_SIGNATURE "a" SECTION_SIGNATURE);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", delta->space->name);
        if (r < 0)
                return r;
        r = message_append_rows(m, delta->rows, delta->n_rows, -1);
        if (r < 0)
                return r;
        r = message_append_rows(m, delta->rows, delta->n_rows, 1);
        if (r < 0)
                return r;
        return sd_bus_message_close_container(m);
}

static bool any_comes(const ObjectChanges *changes) {
        for (size_t i = 0; i < changes->n; i++)
                if (changes->items[i].come)
                        return true;
        return false;
}

static int append_changes(Service *service, sd_bus_message *m, uint64_t generation) {
        int r;

        r = sd_bus_message_open_container(m, 'a',
                                          "(sa" SECTION_SIGNATURE "a" SECTION_SIGNATURE ")");
        if (r < 0)
                return r;
        for (const Delta *delta = generation ? history_from(&service->history, generation) : NULL;
             delta; delta = history_next(&service->history, delta)) {
                r = append_delta(m, delta);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(m);
}

static int append_details(sd_bus_message *m, const Announcement *announcement, bool truncated,
                          bool objects) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "{sv}{sv}", "edits", "u", announcement->n_edits,
                                  "slot-operations", "u", announcement->n_slot_operations);
        if (r >= 0 && announcement->transaction)
                r = sd_bus_message_append(m, "{sv}", "transaction", "s", announcement->transaction);
        if (r >= 0 && truncated)
                r = sd_bus_message_append(m, "{sv}", "truncated", "b", true);
        if (r >= 0 && objects)
                r = sd_bus_message_append(m, "{sv}", "objects-changed", "b", true);
        if (r < 0)
                return r;
        return sd_bus_message_close_container(m);
}

/* `objects`: that objects changed of which nothing was told. */
static int tell_committed(Service *service, const Announcement *announcement, uint64_t previous,
                          bool fits, bool objects) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_signal(service->bus, &m, service->path, GUESTMAP_INTERFACE_VM,
                                      "Committed");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "tt", announcement->generation, previous);
        if (r < 0)
                return r;
        r = append_changes(service, m, fits ? announcement->generation : 0);
        if (r < 0)
                return r;
        r = append_details(m, announcement, !fits, objects);
        if (r < 0)
                return r;
        return sd_bus_send(service->bus, m, NULL);
}

int objects_tell(Service *service, const Announcement *announcement, uint64_t previous) {
        const ObjectChanges *objects = &announcement->objects;
        size_t n_rows = announcement->folded
                                ? SIZE_MAX
                                : history_n_rows(&service->history, announcement->generation);
        bool untold = announcement->folded || objects->many;
        int r;

        /* InterfacesAdded carries MappedAt: where a new object is seen is among these rows. */
        if (n_rows > GUESTMAP_NAMES_MAX && any_comes(objects))
                untold = true;
        if (!untold) {
                r = tell_objects(service, objects);
                if (r < 0)
                        return r;
        }
        return tell_committed(service, announcement, previous,
                              n_rows <= GUESTMAP_SIGNAL_SECTIONS_MAX, untold);
}
