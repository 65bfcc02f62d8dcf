/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-id128.h>

#include "api/private.h"
#include "daemon/common/load-dbus.h"
#include "daemon/common/log.h"
#include "daemon/common/rights.h"
#include "daemon/vm/audit-dbus.h"
#include "daemon/vm/connection-dbus.h"
#include "daemon/vm/dispatch-dbus.h"
#include "daemon/vm/driver-dbus.h"
#include "daemon/vm/error-dbus.h"
#include "daemon/vm/options-dbus.h"
#include "daemon/vm/private-dbus.h"
#include "daemon/vm/region-dbus.h"
#include "daemon/vm/service-dbus.h"

/* No client of a bus is called like that. */
#define NAME_PREFIX "connection "

static bool is_of_guestmapd(const Connection *connection) {
        return connection->service->bus == connection->bus;
}

/* What a connection is called stays with its messages when it has gone. */
static const char *name_of(sd_bus *bus) {
        const char *name = "";

        (void)sd_bus_get_description(bus, &name);
        return name;
}

const char *sender_of(const Service *service, sd_bus_message *m) {
        sd_bus *bus = sd_bus_message_get_bus(m);

        return bus == service->bus ? sd_bus_message_get_sender(m) : name_of(bus);
}

bool sender_is_connection(const char *sender) {
        return strncmp(sender, NAME_PREFIX, strlen(NAME_PREFIX)) == 0;
}

bool sender_is(const Service *service, sd_bus_message *m, const char *sender) {
        const char *actual = sender_of(service, m);

        if (!sender)
                return !actual || !sender_is_connection(actual);
        return actual && strcmp(actual, sender) == 0;
}

Connection *connection_find(const Service *service, const sd_bus *bus) {
        Connection *connection;

        cds_list_for_each_entry(connection, &service->connections, link)
                if (connection->bus == bus)
                        return connection;
        return NULL;
}

Connection *connection_of(const Service *service, sd_bus_message *m) {
        Connection *connection = connection_find(service, sd_bus_message_get_bus(m));

        return connection && is_of_guestmapd(connection) ? NULL : connection;
}

/* guestmapd takes what is left for it; nobody else is waited for. */
Connection *connection_free(Connection *connection) {
        if (!connection)
                return NULL;
        backlog_deinit(&connection->backlog);
        if (connection->link.next) {
                if (is_of_guestmapd(connection))
                        (void)sd_bus_flush(connection->bus);
                service_connection_gone(connection->service, connection->bus,
                                        name_of(connection->bus));
                audit_disconnect(connection);
                cds_list_del(&connection->link);
        }
        sd_event_source_disable_unref(connection->rest);
        sd_bus_close_unref(connection->bus);
        free(connection);
        return NULL;
}
DEFINE_CLEANUP(Connection *, connection_free);

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        connection_free(userdata);
        return 0;
}

/* The connection may be gone after each message. A source that fails is switched off. */
static int on_rest(sd_event_source *source, void *userdata) {
        Connection *connection = userdata;
        _cleanup_(sd_bus_unrefp) sd_bus *bus = sd_bus_ref(connection->bus);
        int r;

        r = sd_bus_process(bus, NULL);
        if (r > 0)
                return 0;
        if (r < 0 && sd_bus_is_open(bus) > 0)
                connection_free(connection);
        return -ENODATA;
}

/*
 * sd-bus reads no further than to the end of a message, but does not know where the greeting ends:
 * what came in one piece with it has left the socket, which wakes nobody for it any more.
 */
static int on_connected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Connection *connection = userdata;
        int r;

        r = sd_event_add_defer(connection->service->event, &connection->rest, on_rest, connection);
        return r < 0 ? r : sd_event_source_set_enabled(connection->rest, SD_EVENT_ON);
}

/* Only callers that were announced get further. */
static int check_forwarded(Service *service, sd_bus_message *m, Detail *detail) {
        const char *sender = sd_bus_message_get_sender(m), *path = sd_bus_message_get_path(m);

        if (!sender ||
            (callers_find(&service->callers, sender) && strcmp(path, GUESTMAP_PATH_PRIVATE) != 0))
                return 0;
        return detail_set(detail, VM_E_ACCESS_DENIED, "caller %s may not call %s", sender, path);
}

static int check_right(const Connection *connection, sd_bus_message *m, Detail *detail) {
        const char *interface = sd_bus_message_get_interface(m);
        const char *member = sd_bus_message_get_member(m);
        uint32_t right = call_right(sd_bus_message_get_path(m), interface, member);

        if ((right & ~connection->rights) == 0 || driver_is_called(m))
                return 0;
        return detail_set(detail, VM_E_ACCESS_DENIED,
                          "%s.%s: uid %" PRIu32 " may not %s this VM, by the rights that the "
                          "connection was opened with",
                          interface ?: "?", member, connection->uid, right_verb(right));
}

static int check_size(const VM *vm, const char *limit, size_t size, uint64_t max, Detail *detail) {
        if (size <= max)
                return 0;
        return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                          "VM \"%s\": %s: the call has %zu, %" PRIu64 " allowed", vm->name, limit,
                          size, max);
}

/* Without a VM there is nothing that a call could wait for. */
static int check_load(const VM *vm, sd_bus_message *m, Detail *detail) {
        Load load;
        int r;

        if (!vm)
                return 0;
        r = load_measure(&load, m);
        if (r < 0)
                return r;
        r = check_size(vm, "DescriptorsPerCall", load.descriptors, vm->limits.descriptors, detail);
        return r != 0 ? r
                      : check_size(vm, "MessageBytes", load.bytes, vm->limits.message_bytes,
                                   detail);
}

static int check_own(const Connection *connection, sd_bus_message *m, Detail *detail) {
        int r;

        r = check_right(connection, m, detail);
        return r != 0 ? r : check_load(connection->service->vm, m, detail);
}

/* Who goes on asking while answers lie here unread gets no more of them. */
static void give_up(Connection *connection) {
        const Backlog *backlog = &connection->backlog;

        if (audit_limit_pass(&connection->service->audit.limit, connection->uid))
                log_warning("uid %" PRIu32 ": disconnected: %zu calls of %zu bytes and %zu "
                            "descriptors wait for it to read its answers",
                            connection->uid, backlog->n_line, backlog->load.bytes,
                            backlog->load.descriptors);
        connection_free(connection);
}

/* A call waits here wherever it has waited before. BACKLOG_E_FULL: there is no connection more. */
static int wait_for_reading(Connection *connection, sd_bus_message *m, bool *ret_held) {
        int r;

        r = backlog_hold(&connection->backlog, m, ret_held);
        if (*ret_held)
                gate_forget(&connection->service->gate, m);
        if (r == BACKLOG_E_FULL) {
                answer_caller_left(connection->service, m);
                give_up(connection);
        }
        return r;
}

/* What has no name in the contract gets one here already, since it is logged. */
static int refuse(sd_bus_error *error, int outcome, const Detail *detail) {
        int r;

        r = error_from_outcome(error, outcome, detail);
        return sd_bus_error_is_set(error) ? r : sd_bus_error_set_errno(error, r);
}

/* A call that is refused waits for nothing any more. */
static int refuse_waiting(Service *service, sd_bus_message *m, sd_bus_error *error, int outcome,
                          const Detail *detail) {
        gate_forget(&service->gate, m);
        preparation_forget(service, m);
        return refuse(error, outcome, detail);
}

/* 1: it is held, and comes again. */
static int admit(Service *service, const Connection *own, sd_bus_message *m, sd_bus_error *error) {
        bool held = false;
        Detail detail;
        int r;

        r = own ? check_own(own, m, &detail) : check_forwarded(service, m, &detail);
        if (r == 0 && !driver_is_called(m))
                r = gate_hold(&service->gate, m, &held, &detail);
        if (r != 0)
                return refuse_waiting(service, m, error, r, &detail);
        if (!held)
                preparation_hand_out(service, m);
        return held;
}

static int take_own(Connection *own, sd_bus_message *m, sd_bus_error *error) {
        Service *service = own->service;
        bool held;
        int r;

        r = wait_for_reading(own, m, &held);
        if (r > 0 || held)
                return 1;
        r = r < 0 ? refuse_waiting(service, m, error, r, NULL) : admit(service, own, m, error);
        if (r > 0)
                return r;
        if (r == 0)
                r = audit_begin(service, m);
        if (r == 0)
                r = region_take_set(service, m, error);
        if (r < 0 && !sd_bus_error_is_set(error))
                r = sd_bus_error_set_errno(error, r);
        if (r != 0)
                audit_returned(service, m, error);
        else
                audit_dispatch(service, m);
        return r;
}

/* Runs before any object sees the message. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Service *service = userdata;
        Connection *connection = connection_find(service, sd_bus_message_get_bus(m));
        int r;

        if (!sd_bus_message_is_method_call(m, NULL, NULL))
                return 0;
        if (connection->is_from_socket &&
            sd_bus_message_is_method_call(m, GUESTMAP_INTERFACE_PRIVATE, NULL))
                service_give_to_guestmapd(service, connection);
        if (!is_of_guestmapd(connection))
                return take_own(connection, m, error);
        r = admit(service, NULL, m, error);
        return r != 0 ? r : region_take_set(service, m, error);
}

static int add_objects(Connection *connection) {
        Service *service = connection->service;
        int r;

        r = driver_add(connection->bus);
        if (r < 0)
                return r;
        if (connection->is_from_socket) {
                r = private_add(service, connection->bus);
                if (r < 0)
                        return r;
        }
        return dispatch_add(service, connection->bus);
}

static int match_local(Connection *connection, const char *member,
                       sd_bus_message_handler_t handler) {
        return sd_bus_match_signal(connection->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
                                   "org.freedesktop.DBus.Local", member, handler, connection);
}

static int hear_begin_and_end(Connection *connection) {
        int r;

        r = sd_bus_set_connected_signal(connection->bus, true);
        if (r >= 0)
                r = match_local(connection, "Connected", on_connected);
        if (r >= 0)
                r = match_local(connection, "Disconnected", on_disconnected);
        return r;
}

static int prepare(Connection *connection) {
        char name[sizeof(NAME_PREFIX "18446744073709551615")];
        sd_bus *bus = connection->bus;
        sd_id128_t id;
        int r;

        snprintf(name, sizeof(name), NAME_PREFIX "%" PRIu64,
                 ++connection->service->last_connection);
        r = sd_bus_set_description(bus, name);
        if (r < 0)
                return r;
        r = sd_id128_randomize(&id);
        if (r < 0)
                return r;
        r = sd_bus_set_server(bus, true, id);
        if (r < 0)
                return r;
        /* Who may connect was decided before: in a sandbox of its own uids this process could not
         * tell its peer's. */
        r = sd_bus_set_anonymous(bus, true);
        if (r < 0)
                return r;
        r = sd_bus_set_close_on_exit(bus, false);
        if (r < 0)
                return r;
        /* What replies and signals say of their sender, for those who look at it. */
        r = sd_bus_set_sender(bus, GUESTMAP_SERVICE);
        if (r < 0)
                return r;
        r = sd_bus_add_filter(bus, NULL, on_message, connection->service);
        if (r < 0)
                return r;
        r = hear_begin_and_end(connection);
        return r < 0 ? r : add_objects(connection);
}

static int start(Connection *connection, int fd) {
        _cleanup_(closep) int owned = fd;
        int r;

        r = sd_bus_new(&connection->bus);
        if (r < 0)
                return r;
        r = sd_bus_set_fd(connection->bus, owned, owned);
        if (r < 0)
                return r;
        TAKE_FD(owned);
        r = backlog_init(&connection->backlog, connection->service, connection->bus);
        if (r < 0)
                return r;
        r = prepare(connection);
        if (r < 0)
                return r;
        r = sd_bus_start(connection->bus);
        if (r < 0)
                return r;
        return sd_bus_attach_event(connection->bus, connection->service->event,
                                   SD_EVENT_PRIORITY_NORMAL);
}

/* `from` says whose it is. */
static int connection_new(Connection **ret, const Connection *from, int fd) {
        _cleanup_(connection_freep) Connection *connection = NULL;
        int r;

        connection = malloc(sizeof(*connection));
        if (!connection) {
                safe_close(fd);
                return -ENOMEM;
        }
        *connection = *from;
        CDS_INIT_LIST_HEAD(&connection->audited);
        r = start(connection, fd);
        if (r < 0)
                return r;
        cds_list_add_tail(&connection->link, &from->service->connections);
        *ret = TAKE_PTR(connection);
        return 0;
}

int connection_accept(Connection **ret, Service *service, int fd) {
        const Connection from = {
                .service = service,
                .uid = service->vm ? service->vm->owner : 0,
                .rights = GUESTMAP_RIGHTS_ALL,
                .is_from_socket = true,
        };

        return connection_new(ret, &from, fd);
}

static int check_room(const Service *service, uint32_t uid, Detail *detail) {
        bool is_owner = uid == 0 || uid == service->vm->owner;
        size_t n = 0, n_user = 0, max = CONNECTIONS_MAX - (is_owner ? 0 : CONNECTIONS_RESERVED);
        const Connection *other;

        cds_list_for_each_entry(other, &service->connections, link) {
                n += !other->is_from_socket;
                n_user += !other->is_from_socket && other->uid == uid;
        }
        if (n < max && (is_owner || n_user < CONNECTIONS_USER_MAX))
                return 0;
        return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                          "VM \"%s\": uid %" PRIu32 " has %zu connections of %zu, no more than %d "
                          "may be its, and %zu in all",
                          service->vm->name, uid, n_user, n,
                          is_owner ? CONNECTIONS_MAX : CONNECTIONS_USER_MAX, max);
}

/* Gives the other end to the caller. */
static int open_for(Service *service, uint32_t uid, uint32_t rights, sd_bus_message *m,
                    Detail *detail) {
        const Connection from = {.service = service, .uid = uid, .rights = rights};
        _cleanup_(closep) int theirs = -1;
        Connection *connection;
        int r, pair[2];

        r = check_room(service, uid, detail);
        if (r != 0)
                return r;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return -errno;
        theirs = pair[1];
        r = connection_new(&connection, &from, pair[0]);
        if (r < 0)
                return r;
        /* If this fails the other end is closed, and the connection with it. */
        r = sd_bus_reply_method_return(m, "h", theirs);
        return r < 0 ? r : 0;
}

int method_connect(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Service *service = userdata;
        uint32_t uid, rights;
        Detail detail;
        int r;

        r = sd_bus_message_read(m, "uu", &uid, &rights);
        if (r < 0)
                return r;
        if (!service->vm)
                r = detail_set(&detail, VM_E_INVALID_ARGUMENTS, "there is no VM yet");
        else
                r = open_for(service, uid, rights, m, &detail);
        return r != 0 ? error_from_outcome(error, r, &detail) : 1;
}

/* guestmapd does not forward it: it calls Connect instead. */
int method_open_connection(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Service *service = userdata;
        const Connection *own = connection_of(service, m);
        Detail detail = {};
        int r;

        r = options_read_none(m, &detail);
        if (r == 0 && !own)
                r = detail_set(&detail, VM_E_ACCESS_DENIED, "nobody said with which rights");
        if (r == 0)
                r = open_for(service, own->uid, own->rights, m, &detail);
        return r != 0 ? error_from_outcome(error, r, &detail) : 1;
}
