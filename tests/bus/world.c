/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/world.h"

#define CONTROLLER_FD 3
#define STEP_MSEC     5
#define PATIENCE_MSEC 10000
#define USUAL_BYTES   (127u << 20) /* of the system bus */

/*
 * What every connection may do on dbus-broker. The rules are its controller's business; these let
 * anybody connect, own any name, send and receive anything, but on a mute bus guestmapd's signals:
 * the rule of the higher rank counts, here one about messages of type 4.
 */
#define BATCH  "bta(btbs)a(btssssuutt)a(btssssuutt)"
#define POLICY "(a(u(" BATCH "))a(buu(" BATCH "))a(ss)bs)"
#define RANK   UINT64_C(1)
#define ANY    "", "", "", "", 0, 0, UINT64_C(0), UINT64_MAX
#define SIGNAL GUESTMAP_SERVICE, "", "", "", 4, 0, UINT64_C(0), UINT64_MAX

static const char daemon_config[] =
        "<busconfig>\n"
        "  <type>session</type>\n"
        "  <listen>%s</listen>\n"
        "  <auth>EXTERNAL</auth>\n"
        "  <policy context='default'>\n"
        "    <allow user='*'/> <allow own='*'/>\n"
        "    <allow send_destination='*'/> <allow receive_sender='*'/>\n%s"
        "  </policy>\n"
        "  <limit name='max_replies_per_connection'>4096</limit>\n"
        "  <limit name='max_incoming_bytes'>%u</limit>\n"
        "  <limit name='max_outgoing_bytes'>%u</limit>\n"
        "</busconfig>\n";

static const char mute_rule[] =
        "    <deny receive_sender='" GUESTMAP_SERVICE "' receive_type='signal'/>\n";

static void step(void) {
        nanosleep(&(struct timespec){.tv_nsec = STEP_MSEC * 1000000L}, NULL);
}

static bool complain(const char *what) {
        fprintf(stderr, "# %s: %s\n", what, strerror(errno));
        return false;
}

bool world_has(const char *kind) {
        char path[64];

        snprintf(path, sizeof(path), "/usr/bin/%s", kind);
        return access(path, X_OK) == 0;
}

/* Dies with the test; SIGKILL, since a test that has failed has no patience. */
static pid_t start(char *const argv[], int fd, bool quiet) {
        pid_t pid = fork();

        if (pid != 0)
                return pid;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (quiet)
                (void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        if (fd == CONTROLLER_FD)
                (void)fcntl(fd, F_SETFD, 0);
        else if (fd >= 0 && dup2(fd, CONTROLLER_FD) < 0)
                _exit(126);
        execv(argv[0], argv);
        _exit(127);
}

/* Its wait status; 0 if there is no such process. */
static int stop(pid_t *pid, int signal) {
        int status = 0;

        if (*pid <= 0)
                return 0;
        (void)kill(*pid, signal);
        (void)waitpid(*pid, &status, 0);
        *pid = 0;
        return status;
}

static bool start_dbus_daemon(World *world) {
        unsigned bytes = world->bus_bytes ? world->bus_bytes : USUAL_BYTES;
        char config[128], option[160];
        FILE *file;

        snprintf(config, sizeof(config), "%s/bus.conf", world->directory);
        file = fopen(config, "we");
        if (!file)
                return complain(config);
        fprintf(file, daemon_config, world->address, world->is_mute ? mute_rule : "", bytes,
                world->unread_bytes ? world->unread_bytes : bytes);
        fclose(file);
        snprintf(option, sizeof(option), "--config-file=%s", config);
        /* It has a line for each message that it drops. */
        world->bus = start(
                (char *[]){"/usr/bin/dbus-daemon", "--nofork", "--nopidfile", option, NULL}, -1,
                true);
        return world->bus > 0 || complain("dbus-daemon");
}

static int listen_at(const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd;

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        (void)unlink(path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            chmod(path, 0666) < 0 || listen(fd, SOMAXCONN) < 0)
                return safe_close(fd);
        return fd;
}

/* Tells the broker to serve the bus at `listener`. */
static int control(World *world, int fd, int listener) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_new(&world->controller);
        if (r < 0)
                return r;
        r = sd_bus_set_fd(world->controller, fd, fd);
        if (r < 0)
                return r;
        r = sd_bus_start(world->controller);
        if (r < 0)
                return r;
        r = sd_bus_call_method(world->controller, NULL, "/org/bus1/DBus/Broker",
                               "org.bus1.DBus.Broker", "AddListener", &error, NULL, "ohv",
                               "/org/bus1/DBus/Listener/0", listener, POLICY, 1, UINT32_MAX, true,
                               RANK, 1, true, RANK, true, "", 1, true, RANK, ANY, 2, true, RANK,
                               ANY, !world->is_mute, RANK + 1, SIGNAL, 0, 0, false, "session");
        if (r < 0)
                fprintf(stderr, "# dbus-broker: %s\n", error.name);
        return r;
}

static bool start_dbus_broker(World *world) {
        char *const argv[] = {"/usr/bin/dbus-broker",
                              "--controller",
                              "3",
                              "--machine-id",
                              "0123456789abcdef0123456789abcdef",
                              NULL};
        _cleanup_(closep) int listener = -1, theirs = -1;
        int pair[2];

        listener = listen_at(world->address + strlen("unix:path="));
        if (listener < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return complain(world->address);
        theirs = pair[1];
        world->bus = start(argv, theirs, false);
        if (world->bus < 0)
                return complain("dbus-broker");
        return control(world, pair[0], listener) >= 0;
}

bool world_start_bus(World *world) {
        bool started = strcmp(world->kind, "dbus-broker") == 0 ? start_dbus_broker(world)
                                                               : start_dbus_daemon(world);
        sd_bus *bus = NULL;

        for (int waited = 0; started && !bus && waited < PATIENCE_MSEC; waited += STEP_MSEC) {
                bus = world_connect(world);
                step();
        }
        sd_bus_flush_close_unref(bus);
        return bus;
}

void world_stop_bus(World *world) {
        (void)stop(&world->bus, SIGKILL);
        world->controller = sd_bus_close_unref(world->controller);
        (void)unlink(world->address + strlen("unix:path="));
}

sd_bus *world_connect(World *world) {
        sd_bus *bus = NULL;

        /* Getting the unique name waits for the bus to have let us in. */
        if (sd_bus_new(&bus) >= 0 && sd_bus_set_address(bus, world->address) >= 0 &&
            sd_bus_set_bus_client(bus, 1) >= 0 && sd_bus_start(bus) >= 0 &&
            sd_bus_get_unique_name(bus, &(const char *){NULL}) >= 0)
                return bus;
        sd_bus_close_unref(bus);
        return NULL;
}

static bool has_service(World *world) {
        sd_bus *bus = world_connect(world);
        int r;

        r = sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                               "org.freedesktop.DBus", "GetNameOwner", NULL, NULL, "s",
                               GUESTMAP_SERVICE);
        sd_bus_flush_close_unref(bus);
        return r >= 0;
}

static bool await_service(World *world, bool there) {
        for (int waited = 0; waited < PATIENCE_MSEC; waited += STEP_MSEC) {
                if (has_service(world) == there)
                        return true;
                step();
        }
        return false;
}

static pid_t run_daemon(World *world) {
        char address[160], runtime_dir[128], state_dir[128];

        snprintf(address, sizeof(address), "--address=%s", world->address);
        snprintf(runtime_dir, sizeof(runtime_dir), "--runtime-dir=%s/run", world->directory);
        snprintf(state_dir, sizeof(state_dir), "--state-dir=%s/state", world->directory);
        return start((char *[]){(char *)world->guestmapd, (char *)world->mode, address, runtime_dir,
                                state_dir, (char *)world->option, NULL},
                     -1, false);
}

bool world_daemon_ends(World *world, int status) {
        pid_t pid = run_daemon(world);
        int ended;

        return waitpid(pid, &ended, 0) == pid && WIFEXITED(ended) && WEXITSTATUS(ended) == status;
}

bool world_start_daemon(World *world) {
        world->daemon = run_daemon(world);
        if (await_service(world, true))
                return true;
        fprintf(stderr, "# guestmapd does not get its name\n");
        return false;
}

void world_stop_daemon(World *world, int signal) {
        (void)stop(&world->daemon, signal);
        if (!await_service(world, false))
                fprintf(stderr, "# the bus does not miss guestmapd\n");
}

bool world_open(World *world, const char *kind, const char *guestmapd, const char *mode) {
        *world = (World){.kind = kind, .guestmapd = guestmapd, .mode = mode};
        return world_open_as_it_says(world);
}

bool world_open_bus(World *world) {
        snprintf(world->directory, sizeof(world->directory), "/tmp/guestmap-forward-XXXXXX");
        if (!mkdtemp(world->directory) || chmod(world->directory, 0755) < 0)
                return complain(world->directory);
        snprintf(world->address, sizeof(world->address), "unix:path=%s/bus", world->directory);
        /* guestmapd must not take itself for a service of the system that runs the tests. */
        (void)unsetenv("SYSTEMD_EXEC_PID");
        (void)unsetenv("NOTIFY_SOCKET");
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
        return world_start_bus(world);
}

bool world_open_as_it_says(World *world) {
        return world_open_bus(world) && world_start_daemon(world);
}

static pid_t last_child(pid_t parent) {
        char path[64];
        pid_t pid = 0;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
        file = fopen(path, "re");
        if (!file)
                return 0;
        while (fscanf(file, "%d", &pid) == 1)
                ;
        fclose(file);
        return pid;
}

pid_t world_newest_vm(World *world) {
        return last_child(world->daemon);
}

bool world_process_ends(pid_t pid) {
        for (int waited = 0; waited < 2000; waited += STEP_MSEC) {
                if (waitpid(pid, NULL, WNOHANG) == pid || (kill(pid, 0) < 0 && errno == ESRCH))
                        return true;
                step();
        }
        return false;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where) {
        return remove(path);
}

bool world_close(World *world) {
        int status = stop(&world->daemon, SIGTERM);
        pid_t pid;

        world_stop_bus(world);
        /* VM processes that are left have become children of ours. */
        while ((pid = last_child(getpid())) > 0)
                (void)stop(&pid, SIGKILL);
        (void)nftw(world->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        return status == 0;
}
