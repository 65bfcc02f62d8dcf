/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * World: a private bus and a guestmapd on it, in a directory of their own
 *
 * The bus is a dbus-daemon or a dbus-broker; the latter is started bare, with the caller as its
 * controller, since its launcher needs systemd. VM processes outlive guestmapd: the world takes
 * them in as orphans, and ends with everything that it started.
 *
 * Functions print what went wrong and return false.
 */

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

typedef struct World World;

struct World {
        const char *kind;      /* "dbus-daemon" or "dbus-broker" */
        const char *guestmapd; /* the program */
        const char *mode;      /* "--system" or "--user" */
        const char *option;    /* of guestmapd, besides; or NULL */
        bool is_mute;          /* nobody gets signals of guestmapd, as most on the system bus */
        unsigned bus_bytes;    /* that dbus-daemon keeps of or for one client; 0: the usual */
        unsigned unread_bytes; /* that it keeps for one that does not read; 0: the same */
        char directory[64];
        char address[128];
        pid_t bus;
        pid_t daemon;
        sd_bus *controller; /* dbus-broker's */
};

/* Whether the machine has that kind of bus. */
bool world_has(const char *kind);

bool world_open(World *world, const char *kind, const char *guestmapd, const char *mode);
/* The same as the fields above directory say. */
bool world_open_as_it_says(World *world);

/* The same without a guestmapd. */
bool world_open_bus(World *world);

/* Whether guestmapd ended well; sanitizers report through its exit status. */
bool world_close(World *world);

/* The bus alone: what guestmapd sees when the bus is restarted. */
bool world_start_bus(World *world);
void world_stop_bus(World *world);

/* Returns when it owns its name. */
bool world_start_daemon(World *world);
/* One more: whether it ends, and with that status. */
bool world_daemon_ends(World *world, int status);
/* Returns when the bus knows, too. */
void world_stop_daemon(World *world, int signal);

/* A new connection; NULL on failure. */
sd_bus *world_connect(World *world);

/* The VM process that guestmapd started last. */
pid_t world_newest_vm(World *world);

/* Whether the process ends within two seconds. */
bool world_process_ends(pid_t pid);
