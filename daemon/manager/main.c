/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * guestmapd
 *
 * Owns the name, knows the VMs, and lets nobody at them who may not. See manager.h.
 */

#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include "daemon/common/log.h"
#include "daemon/manager/manager.h"

enum {
        OPTION_USER = 0x100,
        OPTION_SYSTEM,
        OPTION_ADDRESS,
        OPTION_CONFIG,
        OPTION_RUNTIME_DIR,
        OPTION_STATE_DIR,
        OPTION_VMD,
        OPTION_VERSION,
};

static const struct option options[] = {
        {"user", no_argument, NULL, OPTION_USER},
        {"system", no_argument, NULL, OPTION_SYSTEM},
        {"address", required_argument, NULL, OPTION_ADDRESS},
        {"config", required_argument, NULL, OPTION_CONFIG},
        {"runtime-dir", required_argument, NULL, OPTION_RUNTIME_DIR},
        {"state-dir", required_argument, NULL, OPTION_STATE_DIR},
        {"vmd", required_argument, NULL, OPTION_VMD},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPTION_VERSION},
        {},
};

static void help(void) {
        puts("guestmapd [OPTION…]\n"
             "\n"
             "Serves the memory maps of VMs on D-Bus, as org.guestmap1.\n"
             "\n"
             "  --system            on the system bus, each VM its creator's (the default)\n"
             "  --user              on the session bus, everything its user's\n"
             "  --address=ADDRESS   on the bus at ADDRESS instead\n"
             "  --config=FILE       limits from FILE and FILE.d/*.conf, guestmapd.conf(5)\n"
             "  --runtime-dir=DIR   where the sockets of the VMs are (/run/guestmap,\n"
             "                      with --user $XDG_RUNTIME_DIR/guestmap)\n"
             "  --state-dir=DIR     where durable VMs are remembered ($STATE_DIRECTORY, or\n"
             "                      /var/lib/guestmap; with --user $XDG_STATE_HOME/guestmap)\n"
             "  --vmd=PROGRAM       what serves a VM (guestmap-vmd beside this program)\n"
             "  -h, --help          this text\n"
             "  --version           the version");
}

/* 0: go on, with `settings`. 1: all is done. */
static int parse_options(int argc, char *argv[], Settings *settings) {
        int option;

        while ((option = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (option) {
                case OPTION_USER:
                        settings->user = true;
                        break;
                case OPTION_SYSTEM:
                        settings->user = false;
                        break;
                case OPTION_ADDRESS:
                        settings->address = optarg;
                        break;
                case OPTION_CONFIG:
                        settings->config = optarg;
                        break;
                case OPTION_RUNTIME_DIR:
                        settings->runtime_dir = optarg;
                        break;
                case OPTION_STATE_DIR:
                        settings->state_dir = optarg;
                        break;
                case OPTION_VMD:
                        settings->vmd = optarg;
                        break;
                case 'h':
                        help();
                        return 1;
                case OPTION_VERSION:
                        puts("guestmapd " GUESTMAP_VERSION);
                        return 1;
                default:
                        return -EINVAL;
                }
        if (optind == argc)
                return 0;
        fprintf(stderr, "guestmapd: takes no arguments, got \"%s\"\n", argv[optind]);
        return -EINVAL;
}

static int choose_runtime_dir(Settings *settings, char *buffer, size_t size) {
        const char *session = getenv("XDG_RUNTIME_DIR");

        if (settings->runtime_dir)
                return 0;
        if (settings->user && !session) {
                log_error("neither --runtime-dir= nor $XDG_RUNTIME_DIR is set");
                return -ENOENT;
        }
        snprintf(buffer, size, "%s/guestmap", settings->user ? session : "/run");
        settings->runtime_dir = buffer;
        return 0;
}

static int choose_state_dir(Settings *settings, char *buffer, size_t size) {
        const char *service = getenv("STATE_DIRECTORY"), *user = getenv("XDG_STATE_HOME");
        const char *home = getenv("HOME");

        if (settings->state_dir)
                return 0;
        if (service)
                snprintf(buffer, size, "%s", service);
        else if (!settings->user)
                snprintf(buffer, size, "/var/lib/guestmap");
        else if (user)
                snprintf(buffer, size, "%s/guestmap", user);
        else if (home)
                snprintf(buffer, size, "%s/.local/state/guestmap", home);
        else {
                log_error("none of --state-dir=, $XDG_STATE_HOME, $HOME is set");
                return -ENOENT;
        }
        settings->state_dir = buffer;
        return 0;
}

/* In a build tree as where it is installed, guestmap-vmd is beside guestmapd. */
static int choose_vmd(Settings *settings, char *buffer, size_t size) {
        char self[PATH_MAX];
        ssize_t n;

        if (!settings->vmd) {
                n = readlink("/proc/self/exe", self, sizeof(self) - 1);
                if (n < 0)
                        return -errno;
                self[n] = '\0';
                *strrchr(self, '/') = '\0';
                snprintf(buffer, size, "%s/guestmap-vmd", self);
                settings->vmd = access(buffer, X_OK) == 0 ? buffer : GUESTMAP_VMD_PATH;
        }
        if (settings->units)
                return 0;
        /* It is run in another directory than this one. */
        if (!realpath(settings->vmd, self) || access(self, X_OK) < 0) {
                log_error("%s: %s", settings->vmd, strerror(errno));
                return -errno;
        }
        snprintf(buffer, size, "%s", self);
        settings->vmd = buffer;
        return 0;
}

/* Whether systemd itself runs this process as a service, not some ancestor of it. */
static bool is_system_service(const Settings *settings) {
        const char *pid = getenv("SYSTEMD_EXEC_PID");

        return !settings->user && pid && atoi(pid) == getpid() && sd_booted() > 0;
}

/* A VM takes a few descriptors, and there may be more VMs than the usual 1024 are enough for. */
static void allow_descriptors(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        manager_reload(userdata);
        return 0;
}

static int listen_to_signals(Manager *manager) {
        sigset_t signals;
        int r;

        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGHUP);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return -errno;
        r = sd_event_add_signal(manager->event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(manager->event, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(manager->event, NULL, SIGHUP, on_reload, manager);
        return r;
}

static int run(Manager *manager) {
        int r;

        r = listen_to_signals(manager);
        if (r < 0)
                return r;
        r = manager_start(manager);
        if (r < 0)
                return r;
        return sd_event_loop(manager->event);
}

int main(int argc, char *argv[]) {
        _cleanup_(manager_freep) Manager *manager = NULL;
        char runtime_dir[PATH_MAX], state_dir[PATH_MAX], vmd[PATH_MAX + sizeof("/guestmap-vmd")];
        Settings settings = {};
        int r;

        log_open();
        r = parse_options(argc, argv, &settings);
        if (r != 0)
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        settings.units = is_system_service(&settings);
        if (choose_runtime_dir(&settings, runtime_dir, sizeof(runtime_dir)) < 0 ||
            choose_state_dir(&settings, state_dir, sizeof(state_dir)) < 0 ||
            choose_vmd(&settings, vmd, sizeof(vmd)) < 0)
                return EXIT_FAILURE;
        allow_descriptors();
        r = manager_new(&manager, &settings);
        if (r >= 0)
                r = run(manager);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
