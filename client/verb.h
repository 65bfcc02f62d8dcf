/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Verbs: what guestmapctl can do
 *
 * The table is what --help prints, what names a missing argument and what says which options go
 * where, so none of them can disagree.
 *
 * A verb's function gets its arguments as a NULL-terminated list; those that the synopsis requires
 * are there. It returns an exit status, or a negative errno once it has said what went wrong.
 */

#include <stddef.h>
#include <stdint.h>

#include "client/client.h"

typedef struct Verb Verb;

/* Exit statuses beside done and failed. */
enum {
        EXIT_WOULD_CHANGE = 2, /* a comparison or dry run found something to change */
        EXIT_NOTHING_CAME = 2, /* until the timeout */
        EXIT_NOTHING_READ = 3, /* there was nothing to check */
        EXIT_STATUSES,
};

struct Verb {
        const char *name;      /* one word or two; NULL: `help` is a heading of the list */
        const char *arguments; /* synopsis; [OPTIONAL], REPEATED... */
        const char *help;
        uint64_t options; /* OPTION_BIT()s that it takes beside the global ones */
        bool paged;       /* may print more than a terminal shows */
        int (*run)(Client *client, char **arguments);

        /* For the page of the verb, which has to fit a terminal's 24 lines. */
        const char *more;                    /* a sentence behind `help`, which says the rest */
        const char *statuses[EXIT_STATUSES]; /* where they do not mean done and failed */
        const char *example;                 /* lines for a shell; every verb has one */
};

/* The table ends with an entry without help. */
extern const Verb verbs[];

/* Finds the verb that the words begin with, or NULL; its arguments are what is behind. */
const Verb *verb_match(char **words, char ***ret_arguments);
/* The same, but it is said if there is none. */
int verb_find(char **words, const Verb **ret_verb, char ***ret_arguments);
/* Whether its name is that word and another one. */
bool verb_is_of_group(const Verb *verb, const char *word);
/* Refuses too few or too many. */
int verb_check_arguments(const Verb *verb, char **arguments);
/* Refuses options that the verb does not take. */
int verb_check_options(const Verb *verb, const Client *client);
/* The page of one verb, and that of all. */
/* Of the verbs that begin with this word and have another one. False: there is none. */
bool help_print_group(const char *word);
void help_print_verb(const Output *output, const Verb *verb);
void help_print(const Output *output);

int verb_list(Client *client, char **arguments);
int verb_create(Client *client, char **arguments);
int verb_destroy(Client *client, char **arguments);
int verb_show(Client *client, char **arguments);

int verb_add(Client *client, char **arguments);
int verb_cancel(Client *client, char **arguments);
int verb_alias(Client *client, char **arguments);
int verb_remove(Client *client, char **arguments);
int verb_enable(Client *client, char **arguments);
int verb_disable(Client *client, char **arguments);
int verb_move(Client *client, char **arguments);
int verb_set(Client *client, char **arguments);
int verb_space_add(Client *client, char **arguments);
int verb_space_remove(Client *client, char **arguments);

int verb_plug(Client *client, char **arguments);
int verb_unplug(Client *client, char **arguments);

int verb_ioeventfd_add(Client *client, char **arguments);
int verb_ioeventfd_remove(Client *client, char **arguments);
int verb_ioeventfd_list(Client *client, char **arguments);
int verb_ioeventfd_wait(Client *client, char **arguments);
int verb_coalesced_add(Client *client, char **arguments);
int verb_coalesced_clear(Client *client, char **arguments);
int verb_handler(Client *client, char **arguments);

int verb_vcpu_add(Client *client, char **arguments);
int verb_vcpu_remove(Client *client, char **arguments);
int verb_vcpu_list(Client *client, char **arguments);
int verb_vcpu_start(Client *client, char **arguments);
int verb_vcpu_stop(Client *client, char **arguments);
int verb_vcpu_step(Client *client, char **arguments);
int verb_vcpu_registers(Client *client, char **arguments);
int verb_pause(Client *client, char **arguments);
int verb_resume(Client *client, char **arguments);

int verb_apply(Client *client, char **arguments);
int verb_diff(Client *client, char **arguments);
int verb_export(Client *client, char **arguments);
int verb_import_mtree(Client *client, char **arguments);

int verb_begin(Client *client, char **arguments);
int verb_commit(Client *client, char **arguments);
int verb_abort(Client *client, char **arguments);
int verb_preview(Client *client, char **arguments);
int verb_transactions(Client *client, char **arguments);

int verb_tree(Client *client, char **arguments);
int verb_draw(Client *client, char **arguments);
int verb_flat(Client *client, char **arguments);
int verb_find_address(Client *client, char **arguments);
int verb_fsck(Client *client, char **arguments);
int verb_slots(Client *client, char **arguments);
int verb_read(Client *client, char **arguments);
int verb_write(Client *client, char **arguments);
int verb_dirty(Client *client, char **arguments);
int verb_metrics(Client *client, char **arguments);
int verb_top(Client *client, char **arguments);
int verb_changes(Client *client, char **arguments);
int verb_monitor(Client *client, char **arguments);
