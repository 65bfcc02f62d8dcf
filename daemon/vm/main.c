/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * guestmap-vmd: one VM and its map, served on a socket
 *
 * The socket is handed over by whoever starts it (systemd's way, LISTEN_FDS), or made by itself.
 * Any number of connections, of which one is guestmapd's (connection-dbus.h). The VM lives until it
 * is destroyed, by Quit mostly; a process that ends otherwise is followed by another.
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-event.h>

#include "daemon/common/log.h"
#include "daemon/common/notify.h"
#include "daemon/vm/check.h"
#include "daemon/vm/fd-store.h"
#include "daemon/vm/private-dbus.h"
#include "daemon/vm/restore-dbus.h"
#include "daemon/vm/service-dbus.h"
#include "daemon/vm/vcpu-file.h"
#include "lib/util/rcu.h"

enum {
        RETRY_USEC = 1000000,
        EXIT_UNTIL_LATER = 75, /* EX_TEMPFAIL of <sysexits.h>: the VM was not destroyed */
};

typedef struct Arguments Arguments;
typedef struct Door Door;

struct Arguments {
        const char *socket; /* NULL: it is passed */
        Places places;
        const char *check; /* a directory to look at, instead of all else */
        bool json;
};

/* Where connections come in. */
struct Door {
        Service *service;
        sd_event_source *knock; /* somebody wants to connect */
        sd_event_source *retry; /* on while nobody can be let in */
};

static void door_deinit(Door *door) {
        sd_event_source_disable_unref(door->knock);
        sd_event_source_disable_unref(door->retry);
}

/* There is no descriptor: whoever knocks goes on knocking, and is heard again in a while. */
static int door_close_for_now(Door *door) {
        int r;

        r = sd_event_source_set_time_relative(door->retry, RETRY_USEC);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(door->retry, SD_EVENT_ONESHOT);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(door->knock, SD_EVENT_OFF);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        Door *door = userdata;

        return sd_event_source_set_enabled(door->knock, SD_EVENT_ON);
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Door *door = userdata;
        Connection *connection;
        int r, peer;

        peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (peer < 0) {
                if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR)
                        return 0;
                log_error("cannot accept a connection: %s", strerror(errno));
                return door_close_for_now(door);
        }
        r = connection_accept(&connection, door->service, peer);
        if (r < 0)
                log_error("cannot serve a connection: %s", strerror(-r));
        return 0;
}

static int door_init(Door *door, sd_event *event, Service *service, int fd) {
        int r;

        *door = (Door){.service = service};
        r = sd_event_add_time_relative(event, &door->retry, CLOCK_MONOTONIC, RETRY_USEC, 0,
                                       on_retry, door);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(door->retry, SD_EVENT_OFF);
        if (r < 0)
                return r;
        return sd_event_add_io(event, &door->knock, fd, EPOLLIN, on_connection, door);
}

/* For the process that comes after this one, if one does. */
static void save_vcpus(Service *service) {
        Detail detail = {};
        int r;

        r = service->vm ? vcpu_file_save(service->vm, &detail) : 0;
        if (r != 0)
                log_error("vCPUs are not saved: %s", r < 0 ? strerror(-r) : detail.text);
}

/*
 * Who sent it is not known, nor what for. It is the service manager's to know: the status has it
 * start another process unless it was told to stop the service.
 */
static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        save_vcpus(userdata);
        return sd_event_exit(sd_event_source_get_event(source), EXIT_UNTIL_LATER);
}

static int socket_new(const char *path, int *ret) {
        _cleanup_(closep) int fd = -1;
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, path, strlen(path) + 1);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        umask(0077);
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

/* The socket to serve on: the one that was passed, or a new one at `path`. */
static int socket_get(const char *path, const FDStore *store, int *ret) {
        int passed = fd_store_socket(store);

        if (path && passed < 0)
                return socket_new(path, ret);
        if (path || passed < 0)
                return -EINVAL;
        *ret = passed;
        return 0;
}

static int add_signals(sd_event *event, Service *service) {
        static const int signals[] = {SIGTERM, SIGINT};
        sigset_t mask;
        int r;

        sigemptyset(&mask);
        for (size_t i = 0; i < ELEMENTS_OF(signals); i++)
                sigaddset(&mask, signals[i]);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTS_OF(signals); i++) {
                r = sd_event_add_signal(event, NULL, signals[i], on_signal, service);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int on_room(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        fd_store_flush(userdata);
        return 0;
}

DEFINE_CLEANUP(FDStore *, fd_store_close);

static int run(int fd, FDStore *store, const Places *places) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(service_freep) Service *service = NULL;
        /* However this ends: the VM goes, and what is stored of it does not. */
        _cleanup_(fd_store_closep) _unused_ FDStore *kept = store;
        _cleanup_(door_deinit) Door door = {};
        int r;

        r = sd_event_default(&event);
        if (r < 0)
                return r;
        r = service_new(&service, event);
        if (r < 0)
                return r;
        service->places = *places;
        service->store = store;
        r = add_signals(event, service);
        if (r < 0)
                return r;
        rcu_start(); /* its thread inherits that signals are blocked */
        r = restore_vm(service);
        if (r != 0)
                return r;
        r = sd_event_add_io(event, NULL, fd_store_room(store), EPOLLIN, on_room, store);
        if (r < 0)
                return r;
        /* Also on a socket that listens already: it makes this process the one whose pid
         * SO_PEERCRED gives to those who connect. */
        if (listen(fd, SOMAXCONN) < 0)
                return -errno;
        r = door_init(&door, event, service, fd);
        if (r < 0)
                return r;
        status_say(&service->status, "READY=1");
        return sd_event_loop(event);
}

/* Each backing and each ioeventfd takes a descriptor; the usual 1024 are soon used up. */
static void allow_descriptors(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
                return;
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void help(void) {
        printf("guestmap-vmd [--socket=PATH] [--directory=DIR] [--state-directory=DIR]\n"
               "guestmap-vmd --check=DIR [--json]\n\n"
               "Serves the memory map of one VM on a socket, to guestmapd. Without --socket the\n"
               "socket is the one that was passed (LISTEN_FDS).\n\n"
               "  --socket=PATH          make the socket there\n"
               "  --directory=DIR        keep the VM's journal there, and recover from it\n"
               "  --state-directory=DIR  the same for a durable VM\n"
               "  --check=DIR            say what could be recovered from there, and end\n"
               "  --json                 say it in JSON\n"
               "  -h, --help             show this\n"
               "  --version              show the version\n");
}

/* 0: go on; else *ret_status is how to end. */
static int parse_arguments(int argc, char **argv, Arguments *ret, int *ret_status) {
        static const struct option options[] = {
                {"socket", required_argument, NULL, 's'},
                {"directory", required_argument, NULL, 'd'},
                {"state-directory", required_argument, NULL, 't'},
                {"check", required_argument, NULL, 'c'},
                {"json", no_argument, NULL, 'j'},
                {"help", no_argument, NULL, 'h'},
                {"version", no_argument, NULL, 'v'},
                {},
        };
        int c;

        *ret_status = EXIT_SUCCESS;
        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 's':
                        ret->socket = optarg;
                        break;
                case 'd':
                        ret->places.runtime = optarg;
                        break;
                case 't':
                        ret->places.state = optarg;
                        break;
                case 'c':
                        ret->check = optarg;
                        break;
                case 'j':
                        ret->json = true;
                        break;
                case 'h':
                        help();
                        return 1;
                case 'v':
                        printf("guestmap-vmd %s\n", GUESTMAP_VERSION);
                        return 1;
                default:
                        *ret_status = EXIT_FAILURE;
                        return 1;
                }
        if (optind < argc) {
                fprintf(stderr, "guestmap-vmd: there are no arguments, only options: %s\n",
                        argv[optind]);
                *ret_status = EXIT_FAILURE;
                return 1;
        }
        return 0;
}

/* Whoever asked for this process hears it from the service manager, who keeps what came last. */
static int give_up(int error) {
        _cleanup_(notify_deinit) Notify notify = {};
        char message[128];

        log_error("failed: %s", strerror(-error));
        snprintf(message, sizeof(message), "STATUS=%s\nERRNO=%d", strerror(-error), -error);
        (void)notify_send(&notify, message, -1);
        return EXIT_FAILURE;
}

/* The status to exit with. */
static int serve(const Arguments *arguments) {
        _cleanup_(fd_store_freep) FDStore *store = NULL;
        const char *path = arguments->socket;
        _cleanup_(closep) int fd = -1;
        int r;

        r = fd_store_new(&store);
        if (r == 0)
                r = socket_get(path, store, &fd);
        if (r < 0) {
                fprintf(stderr, "guestmap-vmd: no socket to serve on%s%s: %s\n", path ? ": " : "",
                        path ?: "",
                        r == -EINVAL ? "give --socket=PATH or pass exactly one" : strerror(-r));
                return EXIT_FAILURE;
        }
        allow_descriptors();
        /* A journal that grows beyond a limit is an error of the commit. */
        (void)signal(SIGXFSZ, SIG_IGN);
        /* There is nothing to be read again, and a service manager takes death by it for an end. */
        (void)signal(SIGHUP, SIG_IGN);
        r = run(fd, store, &arguments->places);
        rcu_barrier_all();
        if (path)
                (void)unlink(path);
        return r < 0 ? give_up(r) : r;
}

int main(int argc, char **argv) {
        Arguments arguments = {
                .places = {getenv("RUNTIME_DIRECTORY"), getenv("STATE_DIRECTORY")},
        };
        int status;

        log_open();
        if (parse_arguments(argc, argv, &arguments, &status) != 0)
                return status;
        rcu_register();
        status = arguments.check ? (int)check_directory(arguments.check, arguments.json)
                                 : serve(&arguments);
        rcu_unregister();
        return status;
}
