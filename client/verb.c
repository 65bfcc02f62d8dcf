/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <string.h>

#include "client/verb.h"

#define EDIT_OPTIONS  (OPTION_BIT(OPTION_TRANSACTION) | OPTION_BIT(OPTION_EXPECT_GENERATION))
#define PLACE_OPTIONS (EDIT_OPTIONS | OPTION_BIT(OPTION_PRIORITY))
#define NEW_OPTIONS                                                                                \
        (PLACE_OPTIONS | OPTION_BIT(OPTION_DISABLED) | OPTION_BIT(OPTION_READONLY) |               \
         OPTION_BIT(OPTION_NONVOLATILE) | OPTION_BIT(OPTION_UNMERGEABLE))
#define CREATE_OPTIONS                                                                             \
        (OPTION_BIT(OPTION_ACCELERATOR) | OPTION_BIT(OPTION_LAYOUT) |                              \
         OPTION_BIT(OPTION_MEMORY_SPACE) | OPTION_BIT(OPTION_DURABLE))
#define APPLY_OPTIONS (EDIT_OPTIONS | OPTION_BIT(OPTION_KEEP_MEMORY))

const Verb verbs[] = {
        {.help = "Virtual machines"},
        {"list", "", "List VMs", .run = verb_list, .paged = true},
        {"create", "NAME", "Create a VM", CREATE_OPTIONS, .run = verb_create},
        {"destroy", "VM", "Destroy a VM and its memory", .run = verb_destroy},
        {"show", "VM [REGION]", "Show the properties of a VM or region", .run = verb_show},
        {"fsck", "VM|DIR", "Check the journal that a VM could be made of again",
         .run = verb_fsck},

        {.help = "What the guest sees"},
        {"tree", "VM", "Show the regions as a tree", .run = verb_tree, .paged = true},
        {"flat", "VM [SPACE]", "Show the sections of address spaces", .run = verb_flat,
         .paged = true},
        {"find", "VM SPACE ADDRESS", "Show what answers at an address", .run = verb_find_address},
        {"slots", "VM", "Show the accelerator's memory slots", .run = verb_slots, .paged = true},
        {"monitor", "[VM]", "Print each commit as it happens", .run = verb_monitor},

        {.help = "Memory"},
        {"read", "VM SPACE ADDRESS LENGTH", "Show what is in memory, as hexdump -C does",
         OPTION_BIT(OPTION_OUT), .run = verb_read, .paged = true},
        {"write", "VM SPACE ADDRESS [BYTES]...",
         "Put bytes in hexadecimal, or else a file or standard input, into memory",
         OPTION_BIT(OPTION_IN), .run = verb_write},
        {"dirty", "VM REGION", "Show which pages have been written since its dirty log was started",
         OPTION_BIT(OPTION_CLEAR) | OPTION_BIT(OPTION_WATCH), .run = verb_dirty},

        {.help = "Virtual CPUs"},
        {"vcpu add", "VM INDEX [MODE [PAGE-TABLES]]",
         "Add one: in mode real, flat or, with page tables at an address in RAM, long",
         .run = verb_vcpu_add},
        {"vcpu remove", "VM INDEX", "Remove one that does not run", .run = verb_vcpu_remove},
        {"vcpu list", "VM", "List them with their states", .run = verb_vcpu_list},
        {"vcpu registers", "VM INDEX [REGISTER=VALUE]...", "Show the registers, or set some",
         .run = verb_vcpu_registers, .paged = true},
        {"vcpu start", "VM INDEX", "Let the guest run", .run = verb_vcpu_start},
        {"vcpu step", "VM INDEX [EXITS]",
         "Let it run until it has left KVM so many times, once by default", .run = verb_vcpu_step},
        {"vcpu stop", "VM INDEX", "Stop it", .run = verb_vcpu_stop},
        {"pause", "VM", "Keep all of them from running", .run = verb_pause},
        {"resume", "VM", "Let them go on", .run = verb_resume},

        {.help = "Edits"},
        {"add", "VM NAME KIND SIZE [PARENT [OFFSET]]", "Add a region",
         NEW_OPTIONS | OPTION_BIT(OPTION_DIRTY_LOG), .run = verb_add},
        {"alias", "VM NAME TARGET TARGET-OFFSET SIZE [PARENT [OFFSET]]",
         "Add a window onto another region", NEW_OPTIONS, .run = verb_alias},
        {"remove", "VM REGION", "Remove a region that nothing uses", EDIT_OPTIONS,
         .run = verb_remove},
        {"enable", "VM REGION", "Let a region be seen", EDIT_OPTIONS, .run = verb_enable},
        {"disable", "VM REGION", "Hide a region and what is below it", EDIT_OPTIONS,
         .run = verb_disable},
        {"move", "VM REGION PARENT [OFFSET]",
         "Place a region, on top of its equals (PARENT \"\": take it out)", PLACE_OPTIONS,
         .run = verb_move},
        {"set", "VM REGION PROPERTY=VALUE...",
         "Set properties, all or none: size, offset, priority, enabled, readonly, nonvolatile, "
         "unmergeable, target-offset, romd, dirty-log",
         EDIT_OPTIONS, .run = verb_set},
        {"space add", "VM NAME ROOT", "Add an address space that shows region ROOT", EDIT_OPTIONS,
         .run = verb_space_add},
        {"space remove", "VM NAME", "Remove an address space", EDIT_OPTIONS,
         .run = verb_space_remove},
        {"ioeventfd add", "VM REGION OFFSET LENGTH [DATA]",
         "Signal an eventfd when the guest writes there (DATA: this value only; LENGTH 0: any)",
         EDIT_OPTIONS, .run = verb_ioeventfd_add},
        {"ioeventfd remove", "VM REGION OFFSET LENGTH [DATA]", "Take it back", EDIT_OPTIONS,
         .run = verb_ioeventfd_remove},
        {"ioeventfd list", "VM REGION", "List a region's ioeventfds", .run = verb_ioeventfd_list},
        {"ioeventfd wait", "VM REGION OFFSET LENGTH [DATA]",
         "Wait until the guest writes there, print how often it did since last asked",
         OPTION_BIT(OPTION_TIMEOUT), .run = verb_ioeventfd_wait},
        {"coalesced add", "VM REGION OFFSET SIZE", "Collect writes there, deliver them later",
         EDIT_OPTIONS, .run = verb_coalesced_add},
        {"coalesced clear", "VM REGION", "Deliver each of a region's writes again", EDIT_OPTIONS,
         .run = verb_coalesced_clear},
        {"handler", "VM REGION HANDLER [VALUE]",
         "Let registers be answered by none, constant, latch or log", EDIT_OPTIONS,
         .run = verb_handler},

        {.help = "Whole maps (FILE - is standard input)"},
        {"export", "VM", "Print the layout document that recreates the map", .run = verb_export,
         .paged = true},
        {"apply", "VM FILE", "Make the map what a layout says, or do a patch's edits",
         APPLY_OPTIONS | OPTION_BIT(OPTION_DRY_RUN), .run = verb_apply},
        {"diff", "VM FILE", "Tell what apply would change", APPLY_OPTIONS, .run = verb_diff},

        {.help = "Transactions: edits with --transaction=ID become visible together, or never"},
        {"begin", "VM", "Open a transaction and print its ID", OPTION_BIT(OPTION_TIMEOUT),
         .run = verb_begin},
        {"preview", "VM ID", "Tell what commit would change", .run = verb_preview},
        {"commit", "VM ID", "Make the edits", .run = verb_commit},
        {"abort", "VM ID", "Forget the edits", .run = verb_abort},
        {"transactions", "VM", "List open transactions", .run = verb_transactions},
        {},
};

/* How many of the words the verb's name takes; 0 if they are not its name. */
static size_t match_name(const Verb *verb, char **words) {
        const char *space = strchr(verb->name, ' ');
        size_t length = space ? (size_t)(space - verb->name) : strlen(verb->name);

        if (strlen(words[0]) != length || strncmp(verb->name, words[0], length) != 0)
                return 0;
        if (!space)
                return 1;
        return words[1] && strcmp(space + 1, words[1]) == 0 ? 2 : 0;
}

/* The first word of a verb that has two? Then tell which ones there are. */
static int refuse_verb(const char *word) {
        char second[128] = "";
        size_t length = strlen(word);

        for (const Verb *verb = verbs; verb->help; verb++) {
                if (!verb->name || strncmp(verb->name, word, length) != 0 ||
                    verb->name[length] != ' ')
                        continue;
                strcat(second, *second ? ", " : "");
                strcat(second, verb->name + length + 1);
        }
        if (*second)
                return fail("%s what? There are: %s", word, second);
        return fail("unknown verb \"%s\"; see guestmapctl --help", word);
}

/* Goes through the synopsis and the arguments together. */
static int check_arguments(const Verb *verb, char **arguments) {
        const char *synopsis = verb->arguments;
        bool repeated = false;

        while (*synopsis) {
                size_t length = strcspn(synopsis, " ");

                repeated = length > 3 && strncmp(synopsis + length - 3, "...", 3) == 0;
                if (*arguments)
                        arguments++;
                else if (*synopsis != '[')
                        return fail("%s: missing argument %.*s (%s %s)", verb->name,
                                    (int)(repeated ? length - 3 : length), synopsis, verb->name,
                                    verb->arguments);
                synopsis += length;
                synopsis += *synopsis == ' ';
        }
        if (*arguments && !repeated)
                return fail("%s: unexpected argument \"%s\"", verb->name, *arguments);
        return 0;
}

int verb_find(char **words, const Verb **ret_verb, char ***ret_arguments) {
        int r;

        for (const Verb *verb = verbs; verb->help; verb++) {
                size_t n = verb->name ? match_name(verb, words) : 0;

                if (n == 0)
                        continue;
                r = check_arguments(verb, words + n);
                if (r < 0)
                        return r;
                *ret_verb = verb;
                *ret_arguments = words + n;
                return 0;
        }
        return refuse_verb(words[0]);
}

int verb_check_options(const Verb *verb, const Client *client) {
        for (int i = OPTION_GLOBAL_END; i < OPTION_N; i++)
                if (client_given(client, i) && !(verb->options & OPTION_BIT(i)))
                        return fail("%s takes no --%s", verb->name, option_info[i].name);
        return 0;
}
