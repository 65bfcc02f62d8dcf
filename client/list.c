/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "api/names.h"
#include "client/list.h"

int list_read(Client *client, const List *list, const char *path, const char *argument,
              Table *table, json_object *object) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        json_object *elements = json_new_array();
        int r;

        json_add(object, list->key, elements);
        r = client_method(client, &reply, path, GUESTMAP_INTERFACE_VM, list->method,
                          argument ? "s" : NULL, argument);
        return r < 0 ? r : list->read(reply, table, elements);
}

int list_show(Client *client, const List *list, const char *vm, const char *argument) {
        _cleanup_(table_freep) Table *table = table_new(list->columns, list->n_columns);
        _cleanup_(json_putp) json_object *object = json_new_object();
        _cleanup_(freep) char *path = NULL;
        int r;

        r = client_find_vm(client, vm, &path);
        if (r >= 0)
                r = list_read(client, list, path, argument, table, object);
        if (r < 0)
                return r;
        output_print(&client->output, table, object);
        return 0;
}
