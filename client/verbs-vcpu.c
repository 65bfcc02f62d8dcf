/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Verbs about a VM's virtual CPUs
 */

#include <inttypes.h>
#include <string.h>

#include "api/names.h"
#include "client/client.h"
#include "client/json-print.h"
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
        r = client_method(client, NULL, path, GUESTMAP_INTERFACE_VCPU, member, NULL);
        return json_print_done(&client->output, r);
}

/* VM: a method of the VM without arguments. */
static int call_vm(Client *client, char **arguments, const char *member) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = client_find_vm(client, arguments[0], &path);
        if (r < 0)
                return r;
        r = client_method(client, NULL, path, GUESTMAP_INTERFACE_VM, member, NULL);
        return json_print_done(&client->output, r);
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
        if (r >= 0)
                r = client_call(client, request, NULL);
        return json_print_done(&client->output, r);
}

int verb_vcpu_remove(Client *client, char **arguments) {
        _cleanup_(freep) char *path = NULL;
        uint32_t index;
        int r;

        r = find_vm(client, arguments, &path, &index);
        if (r < 0)
                return r;
        r = client_method(client, NULL, path, GUESTMAP_INTERFACE_VM, "RemoveVCPU", "ua{sv}", index,
                          0);
        return json_print_done(&client->output, r);
}

/* How the last run ended, and what it was about. */
typedef struct Ending {
        char *reason; /* "": there was no run */
        uint64_t address;
        uint64_t n_exits;
        json_object *exits; /* by kind */
} Ending;

static void ending_deinit(Ending *ending) {
        free(ending->reason);
        json_object_put(ending->exits);
}

static int read_exits(sd_bus_message *reply, Ending *ending) {
        const char *kind;
        uint64_t n;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "{st}");
        while (r >= 0 && (r = sd_bus_message_read(reply, "{st}", &kind, &n)) > 0) {
                json_add_count(ending->exits, kind, n);
                ending->n_exits += n;
        }
        return r < 0 ? r : sd_bus_message_exit_container(reply);
}

/* One {sv} of GetAll()'s reply. */
static int read_property(sd_bus_message *reply, Ending *ending) {
        const char *name, *reason;
        int r;

        r = sd_bus_message_read(reply, "s", &name);
        if (r < 0)
                return r;
        if (strcmp(name, "StopAddress") == 0)
                return sd_bus_message_read(reply, "v", "t", &ending->address);
        if (strcmp(name, "StopReason") == 0) {
                r = sd_bus_message_read(reply, "v", "s", &reason);
                if (r >= 0)
                        ending->reason = must(strdup(reason));
                return r;
        }
        if (strcmp(name, "Exits") != 0)
                return sd_bus_message_skip(reply, "v");
        r = sd_bus_message_enter_container(reply, 'v', "a{st}");
        if (r >= 0)
                r = read_exits(reply, ending);
        return r < 0 ? r : sd_bus_message_exit_container(reply);
}

static int read_ending(Client *client, const char *path, Ending *ending) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        ending->exits = json_new_object();
        r = client_method(client, &reply, path, "org.freedesktop.DBus.Properties", "GetAll", "s",
                          GUESTMAP_INTERFACE_VCPU);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                r = read_property(reply, ending);
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        if (r >= 0 && !ending->reason)
                r = -EBADMSG;
        return r < 0 ? client_cannot_read(r) : 0;
}

static int show_vcpu(Client *client, uint32_t index, const char *path, const char *state,
                     Table *table, json_object *list) {
        _cleanup_(ending_deinit) Ending ending = {};
        json_object *vcpu;
        int r;

        r = read_ending(client, path, &ending);
        if (r < 0)
                return r;
        table_cell(table, "%" PRIu32, index);
        table_cell(table, "%s", state);
        table_cell(table, "%" PRIu64, ending.n_exits);
        table_cell(table, "%s", *ending.reason ? number_hex(ending.address).text : "");
        table_cell(table, "%s", ending.reason);

        vcpu = json_new_object();
        json_add_count(vcpu, "index", index);
        json_add_text(vcpu, "path", path);
        json_add_text(vcpu, "state", state);
        json_add(vcpu, "exits", TAKE_PTR(ending.exits));
        json_add_hex(vcpu, "stop-address", ending.address);
        json_add_text(vcpu, "stop-reason", ending.reason);
        json_append(list, vcpu);
        return 0;
}

static int show_vcpus(Client *client, const char *vm, Table *table, json_object *list) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *path, *state;
        uint32_t index;
        int r, shown = 0;

        r = client_method(client, &reply, vm, GUESTMAP_INTERFACE_VM, "ListVCPUs", NULL);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(uos)");
        while (r >= 0 && shown == 0 &&
               (r = sd_bus_message_read(reply, "(uos)", &index, &path, &state)) > 0)
                shown = show_vcpu(client, index, path, state, table, list);
        return r < 0 ? client_cannot_read(r) : shown;
}

int verb_vcpu_list(Client *client, char **arguments) {
        static const Column columns[] = {
                {"VCPU", true}, {"STATE"}, {"EXITS", true}, {"STOPPED AT", true}, {"REASON"}};
        _cleanup_(table_freep) Table *table = table_new(columns, ELEMENTS_OF(columns));
        _cleanup_(json_putp) json_object *object = json_new_object();
        json_object *list = json_new_array();
        _cleanup_(freep) char *vm = NULL;
        int r;

        json_add(object, "vcpus", list);
        r = client_find_vm(client, arguments[0], &vm);
        if (r >= 0)
                r = show_vcpus(client, vm, table, list);
        if (r < 0)
                return r;
        output_print(&client->output, table, object);
        return 0;
}

int verb_vcpu_start(Client *client, char **arguments) {
        return call_vcpu(client, arguments, "Start");
}

int verb_vcpu_stop(Client *client, char **arguments) {
        return call_vcpu(client, arguments, "Stop");
}

/* Where a run has ended, and why. */
static int show_ending(Client *client, const char *path) {
        _cleanup_(json_putp) json_object *object = json_new_object();
        _cleanup_(ending_deinit) Ending ending = {};
        int r;

        r = read_ending(client, path, &ending);
        if (r < 0)
                return r;
        if (client->output.json == JSON_OFF) {
                printf("%s: %s\n", number_hex(ending.address).text, ending.reason);
                return 0;
        }
        json_add_hex(object, "stop-address", ending.address);
        json_add_text(object, "stop-reason", ending.reason);
        json_print(&client->output, object);
        return 0;
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
        r = client_method(client, NULL, path, GUESTMAP_INTERFACE_VCPU, "Step", "u", exits);
        return r < 0 ? r : show_ending(client, path);
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
        r = r < 0 ? client_cannot_ask(r) : client_call(client, request, NULL);
        return json_print_done(&client->output, r);
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
