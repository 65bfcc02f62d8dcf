/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Verbs about a VM's virtual CPUs
 */

#include <inttypes.h>
#include <string.h>

#include "api/names.h"
#include "client/client.h"
#include "client/json-print.h"
#include "client/list.h"
#include "client/number.h"
#include "client/verb.h"

/* VM INDEX: the first two arguments of most verbs. */
static int find_vm(Client *client, char **arguments, char **ret_path, uint32_t *ret_index) {
        int r;

        r = client_u32(arguments[1], "index", ret_index);
        return r < 0 ? r : client_find_vm(client, arguments[0], ret_path);
}

/* The object of a vCPU that is to be there; nobody is asked. */
static int find_vcpu(Client *client, char **arguments, char **ret_path) {
        _cleanup_(freep) char *vm_path = NULL;
        uint32_t index;
        int r;

        r = find_vm(client, arguments, &vm_path, &index);
        if (r < 0)
                return r;
        if (asprintf(ret_path, "%s/vcpu/%" PRIu32, vm_path, index) < 0)
                must(NULL);
        return 0;
}

/* VM INDEX: a method of a vCPU without arguments. */
static int call_vcpu(Client *client, char **arguments, const char *member) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = find_vcpu(client, arguments, &path);
        if (r < 0)
                return r;
        return client_method(client, NULL, path, GUESTMAP_INTERFACE_VCPU, member, NULL);
}

/* VM: a method of the VM without arguments. */
static int call_vm(Client *client, char **arguments, const char *member) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = client_find_vm(client, arguments[0], &path);
        if (r < 0)
                return r;
        return client_method(client, NULL, path, GUESTMAP_INTERFACE_VM, member, NULL);
}

static int append_setup(sd_bus_message *request, uint32_t index, const char *mode,
                        const char *page_tables) {
        uint64_t address = 0;
        int r = 0;

        if (page_tables)
                r = client_number(page_tables, "page tables", &address);
        if (r < 0)
                return r;
        r = sd_bus_message_append(request, "u", index);
        if (r >= 0)
                r = sd_bus_message_open_container(request, 'a', "{sv}");
        if (r >= 0 && mode)
                r = sd_bus_message_append(request, "{sv}", "mode", "s", mode);
        if (r >= 0 && page_tables)
                r = sd_bus_message_append(request, "{sv}", "page-tables", "t", address);
        if (r >= 0)
                r = sd_bus_message_close_container(request);
        return r < 0 ? client_cannot_ask(r) : 0;
}

int verb_vcpu_add(Client *client, char **arguments) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_(freep) char *path = NULL;
        const char *mode = arguments[2];
        uint32_t index;
        int r;

        r = find_vm(client, arguments, &path, &index);
        if (r >= 0)
                r = client_request(client, &request, path, GUESTMAP_INTERFACE_VM, "AddVCPU");
        if (r >= 0)
                r = append_setup(request, index, mode, mode ? arguments[3] : NULL);
        return r < 0 ? r : client_call(client, request, NULL);
}

int verb_vcpu_remove(Client *client, char **arguments) {
        _cleanup_(freep) char *path = NULL;
        uint32_t index;
        int r;

        r = find_vm(client, arguments, &path, &index);
        if (r < 0)
                return r;
        return client_method(client, NULL, path, GUESTMAP_INTERFACE_VM, "RemoveVCPU", "ua{sv}",
                             index, 0);
}

static int read_vcpus(sd_bus_message *reply, Table *table, json_object *list) {
        const char *path, *state;
        uint32_t index;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "(uos)");
        if (r < 0)
                return client_cannot_read(r);
        while ((r = sd_bus_message_read(reply, "(uos)", &index, &path, &state)) > 0) {
                json_object *vcpu = json_new_object();

                table_cell(table, "%" PRIu32, index);
                table_cell(table, "%s", state);

                json_add_count(vcpu, "index", index);
                json_add_text(vcpu, "path", path);
                json_add_text(vcpu, "state", state);
                json_append(list, vcpu);
        }
        return r < 0 ? client_cannot_read(r) : 0;
}

int verb_vcpu_list(Client *client, char **arguments) {
        static const Column columns[] = {{"VCPU", true}, {"STATE"}};
        static const List list = {"ListVCPUs", "vcpus", columns, ELEMENTS_OF(columns), read_vcpus};

        return list_show(client, &list, arguments[0], NULL);
}

int verb_vcpu_start(Client *client, char **arguments) {
        return call_vcpu(client, arguments, "Start");
}

int verb_vcpu_stop(Client *client, char **arguments) {
        return call_vcpu(client, arguments, "Stop");
}

int verb_vcpu_step(Client *client, char **arguments) {
        _cleanup_(freep) char *path = NULL;
        uint32_t exits = 1;
        int r = 0;

        if (arguments[2])
                r = client_u32(arguments[2], "exits", &exits);
        if (r >= 0)
                r = find_vcpu(client, arguments, &path);
        if (r < 0)
                return r;
        return client_method(client, NULL, path, GUESTMAP_INTERFACE_VCPU, "Step", "u", exits);
}

static int append_register(sd_bus_message *request, const char *assignment) {
        const char *equals = strchr(assignment, '=');
        char name[32];
        uint64_t value;
        int r;

        if (!equals || (size_t)(equals - assignment) >= sizeof(name))
                return fail("\"%s\" is not of the form REGISTER=VALUE", assignment);
        snprintf(name, sizeof(name), "%.*s", (int)(equals - assignment), assignment);
        r = client_number(equals + 1, name, &value);
        if (r < 0)
                return r;
        r = sd_bus_message_append(request, "{st}", name, value);
        return r < 0 ? client_cannot_ask(r) : 0;
}

static int set_registers(Client *client, const char *path, char **assignments) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        int r;

        r = client_request(client, &request, path, GUESTMAP_INTERFACE_VCPU, "SetRegisters");
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(request, 'a', "{st}");
        if (r < 0)
                return client_cannot_ask(r);
        for (; *assignments; assignments++) {
                r = append_register(request, *assignments);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_close_container(request);
        return r < 0 ? client_cannot_ask(r) : client_call(client, request, NULL);
}

static int show_registers(Client *client, const char *path) {
        static const Column columns[] = {{"REGISTER"}, {"VALUE", true}};
        _cleanup_(table_freep) Table *table = table_new(columns, ELEMENTS_OF(columns));
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(json_putp) json_object *object = json_new_object();
        const char *name;
        uint64_t value;
        int r;

        r = client_method(client, &reply, path, GUESTMAP_INTERFACE_VCPU, "GetRegisters", NULL);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "{st}");
        while (r >= 0 && (r = sd_bus_message_read(reply, "{st}", &name, &value)) > 0) {
                table_cell(table, "%s", name);
                table_cell(table, "%s", number_hex(value).text);
                json_add_hex(object, name, value);
        }
        if (r < 0)
                return client_cannot_read(r);
        output_print(&client->output, table, object);
        return 0;
}

int verb_vcpu_registers(Client *client, char **arguments) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = find_vcpu(client, arguments, &path);
        if (r < 0)
                return r;
        return arguments[2] ? set_registers(client, path, arguments + 2)
                            : show_registers(client, path);
}

int verb_pause(Client *client, char **arguments) {
        return call_vm(client, arguments, "Pause");
}

int verb_resume(Client *client, char **arguments) {
        return call_vm(client, arguments, "Resume");
}
