/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Client: one run of guestmapctl
 *
 * The options that were given and the connection, which the first request opens. The call helpers
 * print what went wrong, as everything in this program does (print.h).
 *
 * A request is made in up to three steps: client_request() names the method,
 * sd_bus_message_append() adds arguments, client_call() sends it. client_method() is the three in
 * one.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "client/option.h"
#include "client/print.h"

typedef struct Client Client;

struct Client {
        sd_bus *bus;
        sd_bus *direct;  /* to the process of a VM; NULL: none, or it is not to be had */
        char *direct_vm; /* path of that VM */
        const char *options[OPTION_N]; /* NULL where not given */
        Output output;
        bool unattended; /* nobody is asked for a password, nothing is waited for long */
        uint64_t deadline; /* of CLOCK_MONOTONIC: calls that it cuts off are no error; 0: none */
        bool (*expects)(const sd_bus_error *error); /* nothing is said of those; NULL: none */
        bool starts_none; /* a guestmapd that is not running; who has stopped it wants it so */
};

/* Closes the connections, if there are any. */
void client_deinit(Client *client);
/* Opens the connection that the options name, unless it is open. */
int client_connect(Client *client);
/*
 * Refuses, by name, what only a descriptor carries where none passes: no ssh does that. What has
 * another way asks client_passes_fds().
 */
bool client_passes_fds(Client *client);
int client_need_fds(Client *client, const char *what);

/*
 * For work of many large messages: from here on requests to the VM and what is below it go to its
 * process, without a bus and guestmapd between. Where that cannot be had they go as before, and
 * nothing is said. A call that needs a right which only a person can give goes over the bus.
 */
void client_go_direct(Client *client, const char *vm_path);

static inline bool client_given(const Client *client, Option option) {
        return client->options[option] != NULL;
}

int client_request(Client *client, sd_bus_message **ret, const char *path, const char *interface,
                   const char *member);
int client_call(Client *client, sd_bus_message *request, sd_bus_message **ret_reply);
/* Like client_call(), but leaves it to the caller to print `error`. */
int client_try(Client *client, sd_bus_message *request, sd_bus_error *error,
               sd_bus_message **ret_reply);
/* `ret_reply` may be NULL. As for sd_bus_message_append(); `types` is NULL for no arguments. */
int client_method(Client *client, sd_bus_message **ret_reply, const char *path,
                  const char *interface, const char *member, const char *types, ...);

/* A property: `type` is s, which the caller frees, or a basic one; not those of `direct`. */
int client_property(const Client *client, const char *path, const char *interface,
                    const char *property, char type, void *ret);
/* Like client_property(), but leaves it to the caller to print `error`. */
int client_try_property(const Client *client, const char *path, const char *interface,
                        const char *property, sd_bus_error *error, char type, void *ret);

/* Prints what the service said; it begins with the error's token. Returns a negative errno. */
int client_print_error(const Client *client, const sd_bus_error *error, int r);
/* For an r < 0 of sd_bus_message_append() and of sd_bus_message_read(). */
int client_cannot_ask(int r);
int client_cannot_read(int r);

/* Paths of objects, from malloc(); the service is asked, and says what does not exist. */
int client_find_vm(Client *client, const char *name, char **ret_path);
int client_find_region(Client *client, const char *vm_path, const char *name, char **ret_path);
int client_find_space(Client *client, const char *vm_path, const char *name, char **ret_path);
/* The path of the VM that an object is, or is below, from malloc(); NULL: of none. */
char *client_vm_of(const char *path);
/* The path of a transaction by the id that `begin` printed; nobody is asked. */
int client_transaction_path(const char *vm, const char *id, char **ret_path);

/* Words of the command line; `what` is the argument's name, for the message. */
int client_number(const char *word, const char *what, uint64_t *ret);
int client_size(const char *word, const char *what, uint64_t *ret);
int client_u32(const char *word, const char *what, uint32_t *ret);
int client_bool(const char *word, const char *what, bool *ret);
int client_priority(const char *word, int32_t *ret);
int client_timeout(const char *word, uint64_t *ret);
