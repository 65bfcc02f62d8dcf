/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "api/names.h"
#include "client/list.h"

int list_show(Client *client, const List *list, const char *vm, const char *argument) {
        _cleanup_(table_freep) Table *table = table_new(list->columns, list->n_columns);
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(json_putp) json_object *object = json_new_object();
        _cleanup_(freep) char *path = NULL;
        json_object *elements = json_new_array();
        int r;

        json_add(object, list->key, elements);
        r = client_find_vm(client, vm, &path);
        if (r < 0)
                return r;
        r = client_method(client, &reply, path, GUESTMAP_INTERFACE_VM, list->method,
                          argument ? "s" : NULL, argument);
        if (r < 0)
                return r;
        r = list->read(reply, table, elements);
        if (r < 0)
                return r;
        output_print(&client->output, table, object);
        return 0;
}
