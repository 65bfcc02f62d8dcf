/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <string.h>

#include "client/verb.h"

#define EDIT_OPTIONS  (OPTION_BIT(OPTION_TRANSACTION) | OPTION_BIT(OPTION_EXPECT_GENERATION))
#define PLACE_OPTIONS (EDIT_OPTIONS | OPTION_BIT(OPTION_PRIORITY))
#define NEW_OPTIONS                                                                                \
        (PLACE_OPTIONS | OPTION_BIT(OPTION_DISABLED) | OPTION_BIT(OPTION_READONLY) |               \
         OPTION_BIT(OPTION_NONVOLATILE) | OPTION_BIT(OPTION_UNMERGEABLE))
#define MEMORY_OPTIONS                                                                             \
        (OPTION_BIT(OPTION_HUGEPAGE_SIZE) | OPTION_BIT(OPTION_PREALLOC) |                          \
         OPTION_BIT(OPTION_NUMA_NODE) | OPTION_BIT(OPTION_NUMA_POLICY) | OPTION_BIT(OPTION_DUMP))
#define PLUG_OPTIONS                                                                               \
        (EDIT_OPTIONS | OPTION_BIT(OPTION_SIZE) | OPTION_BIT(OPTION_ALIGN) |                       \
         OPTION_BIT(OPTION_WINDOW) | OPTION_BIT(OPTION_NAME) | OPTION_BIT(OPTION_SPACE) |          \
         OPTION_BIT(OPTION_PARENT) | OPTION_BIT(OPTION_NONVOLATILE) |                              \
         OPTION_BIT(OPTION_DIRTY_LOG) | MEMORY_OPTIONS)
#define CREATE_OPTIONS                                                                             \
        (OPTION_BIT(OPTION_ACCELERATOR) | OPTION_BIT(OPTION_LAYOUT) |                              \
         OPTION_BIT(OPTION_MEMORY_SPACE) | OPTION_BIT(OPTION_DURABLE))
#define APPLY_OPTIONS (EDIT_OPTIONS | OPTION_BIT(OPTION_KEEP_MEMORY))

#define COMPARISON_STATUSES                                                                        \
        { [EXIT_WOULD_CHANGE] = "something would change" }

const Verb verbs[] = {
        {.help = "Virtual machines"},
        {"list", "", "List VMs", .run = verb_list, .paged = true, .example = "guestmapctl list"},
        {"create", "NAME", "Create a VM", CREATE_OPTIONS, .run = verb_create,
         .more = "Without a layout it has the containers system and io, as roots of the address "
                 "spaces memory and io.",
         .example = "guestmapctl create pc --layout=pc.json"},
        {"destroy", "VM", "Destroy a VM and its memory", .run = verb_destroy,
         .example = "guestmapctl destroy pc"},
        {"show", "VM [REGION]", "Show the properties of a VM or region", .run = verb_show,
         .example = "guestmapctl show pc dimm0"},
        {"fsck", "VM|DIR", "Check the journal that a VM could be made of again", .run = verb_fsck,
         .more = "A name with a slash is that of a directory.",
         .statuses = {[1] = "failed, or the last record is torn",
                      [2] = "there is damage",
                      [EXIT_NOTHING_READ] = "there is nothing to read"},
         .example = "guestmapctl fsck pc"},
        {"top", "", "Show what VMs do, again and again",
         OPTION_BIT(OPTION_DELAY) | OPTION_BIT(OPTION_ITERATIONS) | OPTION_BIT(OPTION_SORT) |
                 OPTION_BIT(OPTION_BATCH),
         .run = verb_top,
         .more = "On a terminal until q; a column's letter sorts by it, once more the other way "
                 "round. Not on a terminal it prints tick after tick.",
         .example = "guestmapctl top --batch --iterations=10 --delay=1s"},
        {"metrics", "", "Print what monitoring systems follow, of guestmapd and all VMs",
         OPTION_BIT(OPTION_FORMAT) | OPTION_BIT(OPTION_OUT) | OPTION_BIT(OPTION_TIMEOUT),
         .run = verb_metrics,
         .more = "As OpenMetrics text. --timeout is for each VM, 2s if not given; one that does "
                 "not answer is told of as not up. A file is replaced as a whole.",
         .example = "guestmapctl metrics --format=prometheus --out=guestmap.prom"},

        {.help = "What the guest sees"},
        {"tree", "VM", "Show the regions as a tree",
         OPTION_BIT(OPTION_MTREE) | OPTION_BIT(OPTION_DISABLED), .run = verb_tree, .paged = true,
         .more = "--mtree leaves out what is disabled, unless --disabled is given.",
         .example = "guestmapctl tree pc"},
        {"flat", "VM [SPACE]", "Show the sections of address spaces", OPTION_BIT(OPTION_MTREE),
         .run = verb_flat, .paged = true, .example = "guestmapctl flat pc memory"},
        {"find", "VM SPACE ADDRESS", "Show what answers at an address", .run = verb_find_address,
         .more = "Prints region and offset, then the section.",
         .example = "guestmapctl find pc memory 4GiB"},
        {"draw", "VM [SPACE]", "Draw the map, gaps compressed, with what lies below what",
         OPTION_BIT(OPTION_SVG) | OPTION_BIT(OPTION_HTML) | OPTION_BIT(OPTION_FROM),
         .run = verb_draw, .paged = true, .example = "guestmapctl draw pc --html=pc.html"},
        {"slots", "VM", "Show the accelerator's memory slots", .run = verb_slots, .paged = true,
         .example = "guestmapctl slots pc"},
        {"changes", "VM SPACE SINCE", "Show what has changed since a generation",
         .run = verb_changes, .paged = true,
         .more = "Where that is not known any more, or more than 10000 sections, it is the whole "
                 "view, and that is said.",
         .example = "guestmapctl changes pc memory 3"},
        {"monitor", "[VM [SPACE]]", "Print each commit as it happens",
         OPTION_BIT(OPTION_UNTIL_GENERATION) | OPTION_BIT(OPTION_TIMEOUT), .run = verb_monitor,
         .more = "With the time; misses nothing. Ends when interrupted, or --timeout is over.",
         .statuses = {[2] = "The time was over before the generation was reached"},
         .example = "guestmapctl monitor pc memory --until-generation=7 --timeout=1min"},

        {.help = "Memory"},
        {"read", "VM SPACE ADDRESS LENGTH", "Show what is in memory, as hexdump -C does",
         OPTION_BIT(OPTION_OUT), .run = verb_read,
         .more = "A * stands for lines that repeat the one before.", .paged = true,
         .example = "guestmapctl read pc memory 4GiB 256"},
        {"write", "VM SPACE ADDRESS [BYTES]...",
         "Put bytes in hexadecimal, or else a file or standard input, into memory",
         OPTION_BIT(OPTION_IN), .run = verb_write, .more = "More than 1 MiB goes in pieces.",
         .example = "guestmapctl write pc memory 4GiB 48 65 6c 6c 6f"},
        {"dirty", "VM REGION", "Show which pages have been written since its dirty log was started",
         OPTION_BIT(OPTION_CLEAR) | OPTION_BIT(OPTION_WATCH), .run = verb_dirty,
         .more = "Started by add with --dirty-log, set with dirty-log=yes, or --watch.",
         .example = "guestmapctl dirty pc dimm0 --clear"},

        {.help = "Virtual CPUs"},
        {"vcpu add", "VM INDEX [MODE [PAGE-TABLES]]",
         "Add a vCPU in mode real, flat or, with page tables at an address in RAM, long",
         .run = verb_vcpu_add, .example = "guestmapctl vcpu add pc 0 long 1MiB"},
        {"vcpu remove", "VM INDEX", "Remove a vCPU that does not run", .run = verb_vcpu_remove,
         .example = "guestmapctl vcpu remove pc 0"},
        {"vcpu list", "VM", "List the vCPUs with their states", .run = verb_vcpu_list,
         .example = "guestmapctl vcpu list pc"},
        {"vcpu registers", "VM INDEX [REGISTER=VALUE]...",
         "Show the registers of a vCPU, or set some", .run = verb_vcpu_registers, .paged = true,
         .example = "guestmapctl vcpu registers pc 0 rip=0x1000 rax=1"},
        {"vcpu start", "VM INDEX", "Let a vCPU run", .run = verb_vcpu_start,
         .example = "guestmapctl vcpu start pc 0"},
        {"vcpu step", "VM INDEX [EXITS]",
         "Let a vCPU run until it has left KVM so many times, once by default",
         .run = verb_vcpu_step, .more = "Prints the address where that ended, and why.",
         .example = "guestmapctl vcpu step pc 0 10"},
        {"vcpu stop", "VM INDEX", "Stop a vCPU", .run = verb_vcpu_stop,
         .example = "guestmapctl vcpu stop pc 0"},
        {"pause", "VM", "Keep all vCPUs of a VM from running", .run = verb_pause,
         .example = "guestmapctl pause pc"},
        {"resume", "VM", "Let the vCPUs of a paused VM go on", .run = verb_resume,
         .example = "guestmapctl resume pc"},

        {.help = "Edits"},
        {"add", "VM NAME KIND SIZE [PARENT [OFFSET]]", "Add a region",
         NEW_OPTIONS | OPTION_BIT(OPTION_DIRTY_LOG) | OPTION_BIT(OPTION_FILE) |
                 OPTION_BIT(OPTION_FILE_OFFSET) | MEMORY_OPTIONS,
         .run = verb_add, .more = "KIND is container, ram, rom, romd, mmio or reserved.",
         .example = "guestmapctl add pc dimm0 ram 1GiB system 4GiB --file=dimm0.img"},
        {"cancel", "VM REGION", "End the preparation of a region's memory", .run = verb_cancel,
         .more = "Whoever waits for it, as add with --prealloc does, gets the error Cancelled, and "
                 "nothing is left of what was asked for.",
         .example = "guestmapctl cancel pc dimm1"},
        {"alias", "VM NAME TARGET TARGET-OFFSET SIZE [PARENT [OFFSET]]",
         "Add a window onto another region", NEW_OPTIONS, .run = verb_alias,
         .more = "It is placed if a parent is given.",
         .example = "guestmapctl alias pc low ram 0 640KiB system 0 --priority=1"},
        {"remove", "VM REGION", "Remove a region that nothing uses", EDIT_OPTIONS,
         .run = verb_remove, .more = "It must have no children and no aliases, and be no root.",
         .example = "guestmapctl remove pc dimm0"},
        {"enable", "VM REGION", "Let a region be seen", EDIT_OPTIONS, .run = verb_enable,
         .example = "guestmapctl enable pc dimm0"},
        {"disable", "VM REGION", "Hide a region and what is below it", EDIT_OPTIONS,
         .run = verb_disable, .example = "guestmapctl disable pc dimm0"},
        {"move", "VM REGION PARENT [OFFSET]",
         "Place a region, on top of its equals (PARENT \"\": take it out)", PLACE_OPTIONS,
         .run = verb_move, .example = "guestmapctl move pc dimm0 system 8GiB"},
        {"set", "VM REGION PROPERTY=VALUE...",
         "Set properties, all or none: size, offset, priority, enabled, readonly, nonvolatile, "
         "unmergeable, target-offset, romd, dirty-log",
         EDIT_OPTIONS, .run = verb_set,
         .example = "guestmapctl set pc dimm0 offset=8GiB readonly=yes"},
        {"space add", "VM NAME ROOT", "Add an address space that shows region ROOT", EDIT_OPTIONS,
         .run = verb_space_add, .example = "guestmapctl space add pc dma system"},
        {"space remove", "VM SPACE", "Remove an address space", EDIT_OPTIONS,
         .run = verb_space_remove, .example = "guestmapctl space remove pc dma"},
        {"ioeventfd add", "VM REGION OFFSET LENGTH [DATA]",
         "Signal an eventfd when the guest writes there (DATA: this value only; LENGTH 0: any)",
         EDIT_OPTIONS, .run = verb_ioeventfd_add,
         .example = "guestmapctl ioeventfd add pc uart 0 4 1"},
        {"ioeventfd remove", "VM REGION OFFSET LENGTH [DATA]", "Take an ioeventfd back",
         EDIT_OPTIONS, .run = verb_ioeventfd_remove,
         .example = "guestmapctl ioeventfd remove pc uart 0 4 1"},
        {"ioeventfd list", "VM REGION", "List a region's ioeventfds", .run = verb_ioeventfd_list,
         .example = "guestmapctl ioeventfd list pc uart"},
        {"ioeventfd wait", "VM REGION OFFSET LENGTH [DATA]",
         "Wait until the guest writes there, print how often it did since last asked",
         OPTION_BIT(OPTION_TIMEOUT), .run = verb_ioeventfd_wait,
         .statuses = {[EXIT_NOTHING_CAME] = "nothing came in time"},
         .example = "guestmapctl ioeventfd wait pc uart 0 4 1 --timeout=10s"},
        {"coalesced add", "VM REGION OFFSET SIZE", "Collect writes there, deliver them later",
         EDIT_OPTIONS, .run = verb_coalesced_add,
         .example = "guestmapctl coalesced add pc vga 0 64KiB"},
        {"coalesced clear", "VM REGION", "Deliver each of a region's writes again", EDIT_OPTIONS,
         .run = verb_coalesced_clear, .example = "guestmapctl coalesced clear pc vga"},
        {"handler", "VM REGION HANDLER [VALUE]",
         "Let registers be answered by none, constant, latch or log", EDIT_OPTIONS,
         .run = verb_handler, .example = "guestmapctl handler pc uart constant 0x60"},

        {.help = "RAM that comes and goes"},
        {"plug", "VM", "Find room and add RAM there; print its name and address", PLUG_OPTIONS,
         .run = verb_plug, .more = "Needs --size.", .example = "guestmapctl plug pc --size=1GiB"},
        {"unplug", "VM REGION", "Take RAM out and remove it with what it holds", EDIT_OPTIONS,
         .run = verb_unplug, .example = "guestmapctl unplug pc dimm0"},

        {.help = "Whole maps (FILE - is standard input)"},
        {"export", "VM", "Print the layout document that recreates the map", .run = verb_export,
         .more = "apply takes it.", .paged = true, .example = "guestmapctl export pc >pc.json"},
        {"apply", "VM FILE", "Make the map what a layout says, or do a patch's edits",
         APPLY_OPTIONS | OPTION_BIT(OPTION_DRY_RUN), .run = verb_apply,
         .more = "All edits are made in one commit, or none.",
         .statuses = {[EXIT_WOULD_CHANGE] = "with --dry-run, something would change"},
         .example = "guestmapctl apply pc pc.json --dry-run"},
        {"diff", "VM FILE", "Tell what apply would change", APPLY_OPTIONS, .run = verb_diff,
         .statuses = COMPARISON_STATUSES, .example = "guestmapctl diff pc pc.json"},
        {"import-mtree", "TREE [FLAT]",
         "Print the layout of a QEMU, from what its info mtree prints", .run = verb_import_mtree,
         .more = "TREE is of info mtree -D, FLAT of info mtree -f; what they leave open is told on "
                 "standard error.",
         .paged = true,
         .example = "guestmapctl import-mtree tree.txt flat.txt >pc.json\n"
                    "guestmapctl create pc --layout=pc.json"},

        {.help = "Transactions: edits with --transaction=ID become visible together, or never"},
        {"begin", "VM", "Open a transaction and print its ID", OPTION_BIT(OPTION_TIMEOUT),
         .run = verb_begin,
         .more = "It outlives the command, until it is committed, aborted or idle for --timeout, "
                 "5min if not given.",
         .example = "id=$(guestmapctl begin pc --timeout=1min)"},
        {"preview", "VM ID", "Tell what commit would change", .run = verb_preview,
         .statuses = COMPARISON_STATUSES, .example = "guestmapctl preview pc $id"},
        {"commit", "VM ID", "Make the edits of a transaction", OPTION_BIT(OPTION_EXPECT_GENERATION),
         .run = verb_commit,
         .example = "id=$(guestmapctl begin pc)\n"
                    "guestmapctl remove pc dimm0 --transaction=$id\n"
                    "guestmapctl commit pc $id"},
        {"abort", "VM ID", "Forget the edits of a transaction", .run = verb_abort,
         .example = "guestmapctl abort pc $id"},
        {"transactions", "VM", "List open transactions", .run = verb_transactions,
         .example = "guestmapctl transactions pc"},
        {},
};

/* How many of the words the verb's name takes; 0 if they are not its name. */
static size_t match_name(const Verb *verb, char **words) {
        const char *space = strchr(verb->name, ' ');
        size_t length = space ? (size_t)(space - verb->name) : strlen(verb->name);

        if (!words[0] || strlen(words[0]) != length || strncmp(verb->name, words[0], length) != 0)
                return 0;
        if (!space)
                return 1;
        return words[1] && strcmp(space + 1, words[1]) == 0 ? 2 : 0;
}

bool verb_is_of_group(const Verb *verb, const char *word) {
        size_t length = strlen(word);

        return verb->name && strncmp(verb->name, word, length) == 0 && verb->name[length] == ' ';
}

/* The first word of a verb that has two? Then tell which ones there are. */
static int refuse_verb(const char *word) {
        char second[128] = "";

        for (const Verb *verb = verbs; verb->help; verb++) {
                if (!verb_is_of_group(verb, word))
                        continue;
                strcat(second, *second ? ", " : "");
                strcat(second, verb->name + strlen(word) + 1);
        }
        if (*second)
                return fail("%s what? There are: %s", word, second);
        return fail("unknown verb \"%s\"; see guestmapctl --help", word);
}

/* Goes through the synopsis and the arguments together. */
int verb_check_arguments(const Verb *verb, char **arguments) {
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

const Verb *verb_match(char **words, char ***ret_arguments) {
        for (const Verb *verb = verbs; verb->help; verb++) {
                size_t n = verb->name ? match_name(verb, words) : 0;

                if (n == 0)
                        continue;
                *ret_arguments = words + n;
                return verb;
        }
        return NULL;
}

int verb_find(char **words, const Verb **ret_verb, char ***ret_arguments) {
        *ret_verb = verb_match(words, ret_arguments);
        return *ret_verb ? 0 : refuse_verb(words[0]);
}

int verb_check_options(const Verb *verb, const Client *client) {
        for (int i = OPTION_GLOBAL_END; i < OPTION_N; i++)
                if (client_given(client, i) && !(verb->options & OPTION_BIT(i)))
                        return fail("%s takes no --%s", verb->name, option_info[i].name);
        return 0;
}
