/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/vm/commit-dbus.h"
#include "daemon/vm/error-dbus.h"
#include "daemon/vm/nodes-dbus.h"
#include "daemon/vm/open-transaction.h"
#include "daemon/vm/options-dbus.h"
#include "daemon/vm/service-dbus.h"
#include "daemon/vm/transaction-dbus.h"

/* The number that a path ends in, as we write it. 0: it has another form. */
static uint64_t number_of(const char *path, const char *prefix) {
        const char *digits = path + strlen(prefix) + 1;
        char *end, canonical[24];
        uint64_t number;

        if (strlen(path) <= strlen(prefix) + 1)
                return 0;
        errno = 0;
        number = strtoull(digits, &end, 10);
        snprintf(canonical, sizeof(canonical), "%" PRIu64, number);
        return errno == 0 && strcmp(digits, canonical) == 0 ? number : 0;
}

int transaction_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                            void **ret_found, sd_bus_error *error) {
        Service *service = userdata;
        uint64_t id = number_of(path, service->transaction_prefix);
        OpenTransaction *open = open_transaction_find(service, id);
        Detail detail;
        int r;

        if (id == 0)
                return 0;
        if (id > service->last_transaction) {
                r = detail_set(&detail, VM_E_TRANSACTION_CLOSED,
                               "there is no transaction %" PRIu64 " of VM \"%s\"", id,
                               service->vm->name);
                return error_from_outcome(error, r, &detail);
        }
        if (open && service_caller_sees(service, sd_bus_get_current_message(bus), open->uid)) {
                *ret_found = open;
                return 1;
        }
        r = detail_set(&detail, VM_E_TRANSACTION_CLOSED,
                       "transaction %" PRIu64 " of VM \"%s\" is not open", id, service->vm->name);
        return error_from_outcome(error, r, &detail);
}

int transaction_object_find_map(sd_bus *bus, const char *path, const char *interface,
                                void *userdata, void **ret_found, sd_bus_error *error) {
        void *found;
        int r;

        r = transaction_object_find(bus, path, interface, userdata, &found, error);
        if (r > 0)
                *ret_found = &((OpenTransaction *)found)->map_target;
        return r;
}

int transaction_objects_enumerate(sd_bus *bus, const char *prefix, void *userdata,
                                  char ***ret_nodes, sd_bus_error *error) {
        _cleanup_(nodes_deinit) Nodes nodes = {};
        Service *service = userdata;
        OpenTransaction *open;
        int r;

        if (!node_is_within(service->transaction_prefix, prefix))
                return 0;
        cds_list_for_each_entry(open, &service->transactions, link) {
                if (!service_caller_sees(service, sd_bus_get_current_message(bus), open->uid))
                        continue;
                r = nodes_add_path(&nodes, open->path);
                if (r < 0)
                        return r;
        }
        nodes_take(&nodes, ret_nodes);
        return 0;
}

static int method_abort(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Detail detail = {};
        int r;

        r = options_read_none(m, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        open_transaction_abort(userdata, ABORT_BY_CALLER);
        return sd_bus_reply_method_return(m, NULL);
}

static int get_base_generation(sd_bus *bus, const char *path, const char *interface,
                               const char *property, sd_bus_message *reply, void *userdata,
                               sd_bus_error *error) {
        const OpenTransaction *open = userdata;

        return sd_bus_message_append(reply, "t", open->staged->base_generation);
}

static int get_edits(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const OpenTransaction *open = userdata;

        return sd_bus_message_append(reply, "u", (uint32_t)open->staged->n_edits);
}

const sd_bus_vtable transaction_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Commit", SD_BUS_ARGS("a{sv}", options),
                                SD_BUS_RESULT("t", generation), method_commit,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Abort", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT,
                                method_abort, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Preview", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", report),
                                method_preview, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("BaseGeneration", "t", get_base_generation, 0,
                        SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Edits", "u", get_edits, 0, 0),
        SD_BUS_PROPERTY("DeadlineUSec", "t", NULL, offsetof(OpenTransaction, deadline_usec), 0),
        SD_BUS_VTABLE_END,
};
