/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/names.h"
#include "client/client.h"
#include "client/clock.h"
#include "client/late.h"

/*
 * Longer than sd-bus' 25 seconds: polkit may be asking a person for a password, and a large
 * document takes its time.
 */
#define CALL_TIMEOUT_USEC       (UINT64_C(600) * 1000000)
#define UNATTENDED_TIMEOUT_USEC (UINT64_C(5) * 1000000)

typedef struct BusName BusName;

struct BusName {
        char text[128];
};

static int open_address(const char *address, sd_bus **ret) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r;

        r = sd_bus_new(&bus);
        if (r < 0)
                return r;
        r = sd_bus_set_address(bus, address);
        if (r < 0)
                return r;
        r = sd_bus_set_bus_client(bus, 1);
        if (r < 0)
                return r;
        r = sd_bus_start(bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

/* Of two that lead to different places one would not be meant, and none where one is empty. */
static int check_options(const Client *client) {
        static const struct {
                Option option;
                const char *what;
        } places[] = {
                {OPTION_ADDRESS, "--address=: of which bus?"},
                {OPTION_HOST, "--host=: of which host?"},
                {OPTION_MACHINE, "--machine=: of which container?"},
        };
        int n = client_given(client, OPTION_ADDRESS) + client_given(client, OPTION_HOST) +
                client_given(client, OPTION_MACHINE);

        for (size_t i = 0; i < ELEMENTS_OF(places); i++)
                if (client_given(client, places[i].option) && !*client->options[places[i].option])
                        return fail("%s", places[i].what);
        if (n > 1)
                return fail("of --host, --machine and --address there can be one only");
        if (client_given(client, OPTION_HOST) && client_given(client, OPTION_USER))
                return fail("--host leads to the system bus of a host, not to one of --user");
        return 0;
}

/* --user goes with --machine; apart from that the most specific option decides. */
static int open_bus(const Client *client, sd_bus **ret) {
        const char *const *options = client->options;
        bool user = client_given(client, OPTION_USER);

        if (options[OPTION_ADDRESS])
                return open_address(options[OPTION_ADDRESS], ret);
        if (options[OPTION_HOST])
                return sd_bus_open_system_remote(ret, options[OPTION_HOST]);
        if (options[OPTION_MACHINE] && user)
                return sd_bus_open_user_machine(ret, options[OPTION_MACHINE]);
        if (options[OPTION_MACHINE])
                return sd_bus_open_system_machine(ret, options[OPTION_MACHINE]);
        return user ? sd_bus_open_user(ret) : sd_bus_open_system(ret);
}

_printf_(1, 2) static BusName bus_name_format(const char *format, ...) {
        va_list arguments;
        BusName name;

        va_start(arguments, format);
        vsnprintf(name.text, sizeof(name.text), format, arguments);
        va_end(arguments);
        return name;
}

/* "host "kvm1"", "container "web"", or what else the bus is that of. */
static BusName bus_name(const Client *client) {
        const char *const *options = client->options;

        if (options[OPTION_ADDRESS])
                return bus_name_format("%s", options[OPTION_ADDRESS]);
        if (options[OPTION_HOST])
                return bus_name_format("host \"%s\"", options[OPTION_HOST]);
        if (options[OPTION_MACHINE])
                return bus_name_format("container \"%s\"", options[OPTION_MACHINE]);
        return bus_name_format("the %s bus",
                               client_given(client, OPTION_USER) ? "session" : "system");
}

/* What is needed to get there, for who cannot. */
static const char *needs(const Client *client, int r) {
        if (client_given(client, OPTION_ADDRESS))
                return "";
        if (client_given(client, OPTION_HOST))
                return "; it takes a log-in by ssh, and systemd-stdio-bridge and a system bus "
                       "there";
        if (!client_given(client, OPTION_MACHINE))
                return "";
        if (r == -EPERM || r == -EACCES)
                return "; only root may enter a container";
        return "; it has to be running (machinectl lists them), with a bus";
}

/* Of a program that leads there sd-bus knows only that it has gone; its own words stand above. */
static const char *reason(const Client *client, int r) {
        bool gone = r == -ENOTCONN || r == -ECONNRESET || r == -EPIPE;

        return gone && client_given(client, OPTION_HOST) ? "ssh ended before a bus answered"
                                                         : strerror(-r);
}

static int cannot_connect(const Client *client, int r) {
        return fail("cannot connect to %s: %s%s", bus_name(client).text, reason(client, r),
                    needs(client, r));
}

/*
 * What lies between this process and a remote bus is known to work when that has answered once; a
 * local one is there when it is open.
 */
static int await_bus(const Client *client, sd_bus *bus) {
        const char *name;

        if (!client_given(client, OPTION_HOST) && !client_given(client, OPTION_MACHINE))
                return 0;
        return sd_bus_get_unique_name(bus, &name);
}

int client_connect(Client *client) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r;

        if (client->bus)
                return 0;
        r = check_options(client);
        if (r < 0)
                return r;
        r = open_bus(client, &bus);
        if (r >= 0)
                r = await_bus(client, bus);
        if (r < 0)
                return cannot_connect(client, r);
        r = sd_bus_set_allow_interactive_authorization(bus, 1);
        if (r < 0)
                return fail_errno(r, "cannot set up the connection");
        r = sd_bus_set_method_call_timeout(bus, CALL_TIMEOUT_USEC);
        if (r < 0)
                return fail_errno(r, "cannot set up the connection");
        client->bus = TAKE_PTR(bus);
        return 0;
}

bool client_passes_fds(Client *client) {
        return client_connect(client) >= 0 && sd_bus_can_send(client->bus, SD_BUS_TYPE_UNIX_FD) > 0;
}

int client_need_fds(Client *client, const char *what) {
        int r;

        r = client_connect(client);
        if (r < 0 || client_passes_fds(client))
                return r;
        return fail("%s passes as a descriptor only, and none comes through to %s", what,
                    bus_name(client).text);
}

/* The other end of the socket that the VM's process gives out; no person is asked for it. */
static int ask_connection(Client *client, const char *vm_path, int *ret_fd) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL, *reply = NULL;
        int r, fd;

        r = sd_bus_message_new_method_call(client->bus, &request, GUESTMAP_SERVICE, vm_path,
                                           GUESTMAP_INTERFACE_VM, "OpenConnection");
        if (r < 0)
                return r;
        r = sd_bus_message_set_allow_interactive_authorization(request, 0);
        if (r < 0)
                return r;
        r = sd_bus_message_append(request, "a{sv}", 0);
        if (r < 0)
                return r;
        r = sd_bus_call(client->bus, request, 0, NULL, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "h", &fd);
        if (r < 0)
                return r;
        *ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return *ret_fd < 0 ? -errno : 0;
}

static int open_direct(Client *client, const char *vm_path, sd_bus **ret) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(closep) int fd = -1;
        int r;

        r = ask_connection(client, vm_path, &fd);
        if (r < 0)
                return r;
        r = sd_bus_new(&bus);
        if (r < 0)
                return r;
        r = sd_bus_set_fd(bus, fd, fd);
        if (r < 0)
                return r;
        TAKE_FD(fd);
        r = sd_bus_set_method_call_timeout(bus, CALL_TIMEOUT_USEC);
        if (r < 0)
                return r;
        r = sd_bus_start(bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

static void leave_direct(Client *client) {
        client->direct = sd_bus_close_unref(client->direct);
}

void client_go_direct(Client *client, const char *vm_path) {
        if (client->direct_vm && strcmp(client->direct_vm, vm_path) == 0)
                return;
        if (!client_passes_fds(client))
                return;
        leave_direct(client);
        free(client->direct_vm);
        client->direct_vm = must(strdup(vm_path));
        (void)open_direct(client, vm_path, &client->direct);
}

/* The connection that leads to an object the shortest way. */
static sd_bus *bus_to(const Client *client, const char *path) {
        size_t n = client->direct ? strlen(client->direct_vm) : 0;
        bool is_below = n > 0 && strncmp(path, client->direct_vm, n) == 0 &&
                        (path[n] == '\0' || path[n] == '/');

        return is_below ? client->direct : client->bus;
}

void client_deinit(Client *client) {
        leave_direct(client);
        free(client->direct_vm);
        client->bus = sd_bus_flush_close_unref(client->bus);
}

int client_cannot_ask(int r) {
        if (r == -EINVAL)
                return fail("an argument is not valid UTF-8");
        return fail_errno(r, "cannot make the request");
}

int client_cannot_read(int r) {
        return fail_errno(r, "cannot read the reply");
}

int client_print_error(const Client *client, const sd_bus_error *error, int r) {
        if (r == -ETIMEDOUT && client->deadline > 0 && clock_left(client->deadline) == 0)
                return r;
        if (client->expects && client->expects(error))
                return r;
        if (sd_bus_error_has_names(error, SD_BUS_ERROR_SERVICE_UNKNOWN,
                                   SD_BUS_ERROR_NAME_HAS_NO_OWNER))
                fail("guestmapd is not running on %s (%s)", bus_name(client).text, error->message);
        else if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY))
                fail("no answer came, and whether the call took effect is not known (%s)",
                     error->message);
        else if (sd_bus_error_is_set(error))
                fail("%s", error->message ? error->message : error->name);
        else
                fail_errno(r, "the call to %s failed", bus_name(client).text);
        return r;
}

int client_request(Client *client, sd_bus_message **ret, const char *path, const char *interface,
                   const char *member) {
        int r;

        r = client_connect(client);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_call(bus_to(client, path), ret, GUESTMAP_SERVICE, path,
                                           interface, member);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(*ret, !client->starts_none);
        return r < 0 ? client_cannot_ask(r) : 0;
}

static int call_by_bus(Client *client, sd_bus_message *request, sd_bus_error *error,
                       sd_bus_message **ret_reply) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *copy = NULL;
        int r;

        r = sd_bus_message_new_method_call(
                client->bus, &copy, GUESTMAP_SERVICE, sd_bus_message_get_path(request),
                sd_bus_message_get_interface(request), sd_bus_message_get_member(request));
        if (r >= 0)
                r = sd_bus_message_rewind(request, true);
        if (r >= 0)
                r = sd_bus_message_copy(copy, request, true);
        return r < 0 ? r : sd_bus_call(client->bus, copy, 0, error, ret_reply);
}

/*
 * What the connection has no right to, guestmapd may allow, which can ask a person. No call is made
 * twice when the process has gone: nobody knows what the first one did.
 */
static int call_directly(Client *client, sd_bus_message *request, sd_bus_error *error,
                         sd_bus_message **ret_reply) {
        int r;

        r = sd_bus_call(client->direct, request, 0, error, ret_reply);
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED)) {
                leave_direct(client);
                sd_bus_error_free(error);
                return call_by_bus(client, request, error, ret_reply);
        }
        if (r < 0 && sd_bus_is_open(client->direct) <= 0) {
                leave_direct(client);
                sd_bus_error_free(error);
                return sd_bus_error_set(
                        error, GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_VM_GONE,
                        GUESTMAP_ERROR_VM_GONE ": the connection to the VM's process ended, and "
                        "whether the last call took effect is not known");
        }
        return r;
}

int client_try(Client *client, sd_bus_message *request, sd_bus_error *error,
               sd_bus_message **ret_reply) {
        bool direct = client->direct && sd_bus_message_get_bus(request) == client->direct;
        int r;

        if (!client->unattended)
                late_begin(sd_bus_message_get_path(request));
        r = direct ? call_directly(client, request, error, ret_reply)
                   : sd_bus_call(client->bus, request, 0, error, ret_reply);
        late_end();
        return r;
}

int client_call(Client *client, sd_bus_message *request, sd_bus_message **ret_reply) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = client_try(client, request, &error, ret_reply);
        return r < 0 ? client_print_error(client, &error, r) : 0;
}

int client_method(Client *client, sd_bus_message **ret_reply, const char *path,
                  const char *interface, const char *member, const char *types, ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        va_list arguments;
        int r;

        r = client_request(client, &request, path, interface, member);
        if (r < 0)
                return r;
        va_start(arguments, types);
        if (types)
                r = sd_bus_message_appendv(request, types, arguments);
        va_end(arguments);
        if (r < 0)
                return client_cannot_ask(r);
        return client_call(client, request, ret_reply);
}

int client_try_property(const Client *client, const char *path, const char *interface,
                        const char *property, sd_bus_error *error, char type, void *ret) {
        int r;

        if (!client->unattended)
                late_begin(path);
        r = type == 's' ? sd_bus_get_property_string(client->bus, GUESTMAP_SERVICE, path, interface,
                                                     property, error, ret)
                        : sd_bus_get_property_trivial(client->bus, GUESTMAP_SERVICE, path,
                                                      interface, property, error, type, ret);
        late_end();
        return r;
}

int client_property(const Client *client, const char *path, const char *interface,
                    const char *property, char type, void *ret) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = client_try_property(client, path, interface, property, &error, type, ret);
        return r < 0 ? client_print_error(client, &error, r) : 0;
}

/* Calls a method that takes a name and returns the path of the object of that name. */
static int find_object(Client *client, const char *path, const char *interface, const char *member,
                       const char *name, char **ret_path) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *found;
        int r;

        r = client_method(client, &reply, path, interface, member, "s", name);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "o", &found);
        if (r < 0)
                return client_cannot_read(r);
        *ret_path = must(strdup(found));
        return 0;
}

int client_find_vm(Client *client, const char *name, char **ret_path) {
        return find_object(client, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "GetVM", name,
                           ret_path);
}

int client_find_region(Client *client, const char *vm_path, const char *name, char **ret_path) {
        return find_object(client, vm_path, GUESTMAP_INTERFACE_VM, "GetRegion", name, ret_path);
}

int client_find_space(Client *client, const char *vm_path, const char *name, char **ret_path) {
        return find_object(client, vm_path, GUESTMAP_INTERFACE_VM, "GetAddressSpace", name,
                           ret_path);
}

char *client_vm_of(const char *path) {
        size_t prefix = strlen(GUESTMAP_PATH_VM "/");

        if (strncmp(path, GUESTMAP_PATH_VM "/", prefix) != 0)
                return NULL;
        return must(strndup(path, prefix + strcspn(path + prefix, "/")));
}

/* Ids are counters, which stand in paths as they are. */
int client_transaction_path(const char *vm, const char *id, char **ret_path) {
        _cleanup_(freep) char *path = NULL;
        int r;

        if (!*id || id[strspn(id, "0123456789")])
                return fail("\"%s\" is not the ID of a transaction, a number", id);
        r = sd_bus_path_encode(GUESTMAP_PATH_VM, vm, &path);
        if (r < 0)
                return fail_errno(r, "cannot address VM \"%s\"", vm);
        if (asprintf(ret_path, "%s/transaction/%s", path, id) < 0)
                must(NULL);
        return 0;
}
