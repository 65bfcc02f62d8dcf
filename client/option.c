/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <getopt.h>
#include <string.h>

#include "client/option.h"
#include "client/print.h"
#include "lib/util/cleanup.h"

const OptionInfo option_info[OPTION_N] = {
        [OPTION_HELP] = {"help", 'h', NULL, "Show this page, or that of the verb"},
        [OPTION_VERSION] = {"version", 0, NULL, "Show the version"},
        [OPTION_SYSTEM] = {"system", 0, NULL, "Use the system bus (the default)"},
        [OPTION_USER] = {"user", 0, NULL, "Use the session bus"},
        [OPTION_HOST] = {"host", 'H', "[USER@]HOST",
                         "Use the system bus of another host, over ssh"},
        [OPTION_MACHINE] = {"machine", 'M', "CONTAINER", "Use the bus of a local container"},
        [OPTION_ADDRESS] = {"address", 0, "ADDRESS", "Use the bus at a D-Bus address"},
        [OPTION_JSON] = {"json", 0, "MODE", "Print JSON: short, pretty, or off"},
        [OPTION_JSON_AUTO] = {NULL, 'j', NULL,
                              "The same as --json=pretty on a terminal, else --json=short"},
        [OPTION_NO_PAGER] = {"no-pager", 0, NULL, "Do not pipe output into a pager"},
        [OPTION_NO_LEGEND] = {"no-legend", 0, NULL, "Do not print headers and footers"},
        [OPTION_PLAIN] = {"plain", 0, NULL, "Print a list, not a tree"},

        [OPTION_ACCELERATOR] = {"accelerator", 0, "NAME", "kvm (the default) or none"},
        [OPTION_LAYOUT] = {"layout", 0, "FILE",
                           "Give the new VM this layout; - reads it from input"},
        [OPTION_MEMORY_SPACE] = {"memory-space", 0, "SPACE",
                                 "Address space that the memory slots follow"},
        [OPTION_DURABLE] = {"durable", 0, NULL, "Have the new VM come back after a reboot"},
        [OPTION_PRIORITY] = {"priority", 0, "N", "Priority among siblings, may be negative; 0"},
        [OPTION_DISABLED] = {"disabled", 0, NULL, "Disabled: what is added, or --mtree shows too"},
        [OPTION_MTREE] = {"mtree", 0, NULL, "Print it as QEMU's info mtree does"},
        [OPTION_READONLY] = {"readonly", 0, NULL, "The guest must not write to it"},
        [OPTION_NONVOLATILE] = {"nonvolatile", 0, NULL, "Mark it as non-volatile memory"},
        [OPTION_UNMERGEABLE] = {"unmergeable", 0, NULL, "Keep its sections apart"},
        [OPTION_DIRTY_LOG] = {"dirty-log", 0, NULL,
                              "Note from the first on which pages are written"},
        [OPTION_FILE] = {"file", 0, "FILE", "Use that file, or dax device, as its memory"},
        [OPTION_FILE_OFFSET] = {"file-offset", 0, "OFFSET", "Where in the file it begins; 0"},
        [OPTION_HUGEPAGE_SIZE] = {"hugepage-size", 0, "SIZE", "Make it of huge pages of that size"},
        [OPTION_PREALLOC] = {"prealloc", 0, NULL,
                             "Have all of its memory there before it is in force"},
        [OPTION_NUMA_NODE] = {"numa-node", 0, "NODES", "Take its memory from these, as 0-1,3"},
        [OPTION_NUMA_POLICY] = {"numa-policy", 0, "POLICY",
                                "bind, the default, preferred or interleave"},
        [OPTION_DUMP] = {"dump", 0, NULL, "Put its memory into core dumps of the VM's process"},
        [OPTION_SIZE] = {"size", 0, "SIZE", "How much RAM to plug"},
        [OPTION_ALIGN] = {"align", 0, "SIZE", "A power of two, for the address; 128MiB"},
        [OPTION_WINDOW] = {"window", 0, "FIRST-LAST",
                           "Where to look for room; 4GiB on, or --parent"},
        [OPTION_NAME] = {"name", 0, "NAME", "Name of the new region; the next free dimmN"},
        [OPTION_SPACE] = {"space", 0, "SPACE", "Address space that is to have it; memory"},
        [OPTION_PARENT] = {"parent", 0, "REGION", "Region to place it in; the space's root"},
        [OPTION_TRANSACTION] = {"transaction", 'T', "ID", "Stage the edit in a transaction"},
        [OPTION_EXPECT_GENERATION] = {"expect-generation", 0, "N",
                                      "Fail with Conflict at any generation but N"},
        [OPTION_DRY_RUN] = {"dry-run", 'n', NULL, "Change nothing, tell what would change"},
        [OPTION_KEEP_MEMORY] = {"keep-memory", 0, NULL, "Refuse to lose contents of RAM"},
        [OPTION_TIMEOUT] = {"timeout", 0, "TIME", "For no longer than that (ms, s, min, h)"},
        [OPTION_OUT] = {"out", 0, "FILE", "Put the bytes themselves there; - is standard output"},
        [OPTION_IN] = {"in", 0, "FILE", "Take the bytes from there; - is standard input"},
        [OPTION_CLEAR] = {"clear", 0, NULL, "Forget what is shown: next time what is written now"},
        [OPTION_WATCH] = {"watch", 0, NULL, "Print every second how fast pages are written"},
        [OPTION_FORMAT] = {"format", 0, "FORMAT", "openmetrics (the default) or prometheus"},
        [OPTION_SVG] = {"svg", 0, "FILE", "Draw a vector picture; - is standard output"},
        [OPTION_HTML] = {"html", 0, "FILE",
                         "Draw a page to zoom and search in; - is standard output"},
        [OPTION_FROM] = {"from", 0, "GENERATION", "Show what has changed since then"},
        [OPTION_DELAY] = {"delay", 'd', "TIME", "From one tick to the next; 2s if not given"},
        [OPTION_ITERATIONS] = {"iterations", 0, "N", "End after so many ticks"},
        [OPTION_SORT] = {"sort", 0, "COLUMN",
                         "name, state, owner, generation, commits (the default), exits, slots, "
                         "mapped, resident or dirty"},
        [OPTION_BATCH] = {"batch", 'b', NULL, "Print tick after tick, also on a terminal"},
        [OPTION_UNTIL_GENERATION] = {"until-generation", 0, "N",
                                     "End when the VM has reached generation N"},
};

/* getopt's values for long options stand above all letters. */
enum { LONG_OPTION = 256 };

static void fill_getopt(struct option *options, char *letters) {
        *letters++ = ':'; /* tell a missing argument from an unknown option */
        for (int i = 0; i < OPTION_N; i++) {
                const OptionInfo *info = &option_info[i];

                if (info->name)
                        *options++ = (struct option){
                                .name = info->name,
                                .has_arg = info->argument ? required_argument : no_argument,
                                .val = LONG_OPTION + i,
                        };
                if (!info->letter)
                        continue;
                *letters++ = info->letter;
                if (info->argument)
                        *letters++ = ':';
        }
        *options = (struct option){};
        *letters = '\0';
}

Option option_find(const char *word, size_t length) {
        for (Option option = 0; option < OPTION_N; option++) {
                const OptionInfo *info = &option_info[option];

                if (length == 2 && word[0] == '-' && info->letter && word[1] == info->letter)
                        return option;
                if (length > 2 && strncmp(word, "--", 2) == 0 && info->name &&
                    strlen(info->name) == length - 2 &&
                    strncmp(word + 2, info->name, length - 2) == 0)
                        return option;
        }
        return OPTION_N;
}

static int option_from_getopt(int value) {
        if (value >= LONG_OPTION)
                return value - LONG_OPTION;
        for (int i = 0; i < OPTION_N; i++)
                if (option_info[i].letter == value)
                        return i;
        return -EINVAL;
}

static int refuse(int value, char **argv) {
        int option = option_from_getopt(optopt);

        if (value == ':')
                return fail("option --%s needs an argument: %s", option_info[option].name,
                            option_info[option].argument);
        if (optopt >= LONG_OPTION)
                return fail("option --%s takes no argument",
                            option_info[optopt - LONG_OPTION].name);
        if (optopt)
                return fail("unknown option -%c; see guestmapctl --help", optopt);
        return fail("unknown option %s; see guestmapctl --help", argv[optind - 1]);
}

int option_parse(int argc, char **argv, const char *given[static OPTION_N], char ***ret_words) {
        struct option options[OPTION_N + 1];
        char letters[2 * OPTION_N + 2];
        int value;

        fill_getopt(options, letters);
        while ((value = getopt_long(argc, argv, letters, options, NULL)) >= 0) {
                if (value == '?' || value == ':')
                        return refuse(value, argv);
                given[option_from_getopt(value)] = optarg ? optarg : "";
        }
        *ret_words = argv + optind;
        return 0;
}
