/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Completion: what may stand at the end of a command line
 *
 * What a shell asks for when TAB is pressed, with `guestmapctl __complete WORD...`: the words as
 * far as the cursor, the last one perhaps empty. The answer is a candidate a line, with a tab and a
 * remark behind it if there is one to make. A line without a candidate says by its remark what else
 * the shell is to offer: "files", "hosts". So the shells know nothing of verbs and options, and
 * nothing has to be kept in step.
 */

#include "client/client.h"

typedef struct Completion Completion;

struct Completion {
        Client *client;
        const char *word;   /* to be completed */
        const char *before; /* printed before each candidate: "--layout=" */
        char **arguments;   /* of the verb, as far as they are there */
};

/* argv[0] is __complete. Like a verb's function, verb.h. */
int complete(Client *client, int argc, char **argv);

/* Offers a candidate if the word is a beginning of it; `remark` may be NULL. */
void complete_offer(const Completion *completion, const char *candidate, const char *remark);

/* Offer what there is on the bus; of the VM, but for the first, that is the first argument. */
int complete_vms(const Completion *completion);
int complete_regions(const Completion *completion);
int complete_preparing(const Completion *completion); /* regions that are not there yet */
int complete_spaces(const Completion *completion);
int complete_transactions(const Completion *completion);
int complete_vcpus(const Completion *completion);
int complete_registers(const Completion *completion);
