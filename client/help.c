/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The pages that --help prints, made from the tables of verbs and options
 */

#include <stdio.h>
#include <string.h>

#include "client/verb.h"

enum {
        HELP_COLUMN = 30, /* where explanations begin */
        HELP_WIDTH = 80,
        HELP_FEW = 4, /* so many verbs are named; more are "edits" */
};

/* Words from the column where the line stands, broken before HELP_WIDTH. */
static void print_wrapped(const char *text, size_t indent) {
        size_t column = indent;

        while (*text) {
                size_t length = strcspn(text, " ");

                if (column > indent && column + 1 + length > HELP_WIDTH) {
                        printf("\n%*s", (int)indent, "");
                        column = indent;
                }
                column += printf("%s%.*s", column > indent ? " " : "", (int)length, text);
                text += length;
                text += *text == ' ';
        }
        putchar('\n');
}

/* What is explained, then the explanation: on a line of its own if need be. */
static void print_entry(const char *entry, const char *text) {
        if (strlen(entry) + 2 > HELP_COLUMN)
                printf("%s\n%*s", entry, HELP_COLUMN, "");
        else
                printf("%-*s", HELP_COLUMN, entry);
        print_wrapped(text, HELP_COLUMN);
}

static void print_verb(const Verb *verb) {
        char entry[128];

        snprintf(entry, sizeof(entry), "  %s %s", verb->name, verb->arguments);
        print_entry(entry, verb->help);
}

static void print_verbs(const Output *output) {
        for (const Verb *verb = verbs; verb->help; verb++) {
                if (verb->name) {
                        print_verb(verb);
                        continue;
                }
                putchar('\n');
                print_line(output, PAINT_HEADER, "%s", verb->help);
        }
}

/* Appends " (create)": which verbs take the option. */
static void append_takers(char *text, size_t size, Option option) {
        char names[128] = "";
        size_t n = 0;

        for (const Verb *verb = verbs; verb->help; verb++) {
                if (!(verb->options & OPTION_BIT(option)) || n++ >= HELP_FEW)
                        continue;
                strcat(names, *names ? ", " : "");
                strcat(names, verb->name);
        }
        snprintf(text + strlen(text), size - strlen(text), " (%s)", n > HELP_FEW ? "edits" : names);
}

/* Options that only some verbs have tell which, but not on the page of one. */
static void print_option(Option option, const Verb *verb) {
        const OptionInfo *info = &option_info[option];
        char entry[64], text[256];

        snprintf(entry, sizeof(entry), "  %c%c %s%s%s%s", info->letter ? '-' : ' ',
                 info->letter ? info->letter : ' ', info->name ? "--" : "",
                 info->name ? info->name : "", info->argument ? "=" : "",
                 info->argument ? info->argument : "");
        snprintf(text, sizeof(text), "%s", info->help);
        if (option >= OPTION_GLOBAL_END && !verb)
                append_takers(text, sizeof(text), option);
        print_entry(entry, text);
}

static void print_options(const Output *output) {
        putchar('\n');
        print_line(output, PAINT_HEADER, "Options");
        for (Option option = 0; option < OPTION_GLOBAL_END; option++)
                print_option(option, NULL);
        putchar('\n');
        print_line(output, PAINT_HEADER, "Options of some verbs");
        for (Option option = OPTION_GLOBAL_END; option < OPTION_N; option++)
                print_option(option, NULL);
}

/* What a status means of verbs for which it is not the usual. */
static void append_meanings(char *text, size_t size, int status) {
        for (const Verb *verb = verbs; verb->help; verb++)
                if (verb->statuses[status])
                        snprintf(text + strlen(text), size - strlen(text), "%s%s: %s",
                                 *text ? "; " : "", verb->name, verb->statuses[status]);
}

static void print_statuses(const Output *output) {
        static const char *const usual[EXIT_STATUSES] = {
                "Done",
                "Failed: the reason is on standard error, nothing has changed",
        };

        print_line(output, PAINT_HEADER, "Exit status");
        for (int status = 0; status < EXIT_STATUSES; status++) {
                char entry[8], text[1024];

                snprintf(entry, sizeof(entry), "  %d", status);
                snprintf(text, sizeof(text), "%s", usual[status] ? usual[status] : "");
                append_meanings(text, sizeof(text), status);
                print_entry(entry, text);
        }
}

static void print_rest(const Output *output) {
        putchar('\n');
        print_line(output, PAINT_HEADER, "Values");
        print_entry("  KIND", "container, ram, rom, romd, mmio or reserved");
        print_entry(
                "  SIZE, OFFSET, ADDRESS",
                "4096, 0x1000, or with KiB, MiB, GiB, TiB or K, M, G, T; a size may also be 2^64");
        putchar('\n');
        print_statuses(output);
        putchar('\n');
        print_line(output, PAINT_HEADER, "Examples");
        puts("  guestmapctl create pc\n"
             "  guestmapctl add pc dimm0 ram 1GiB system 4GiB\n"
             "  guestmapctl flat pc memory\n"
             "  id=$(guestmapctl begin pc)\n"
             "  guestmapctl move pc dimm0 \"\" --transaction=$id\n"
             "  guestmapctl add pc dimm1 ram 1GiB system 4GiB --transaction=$id\n"
             "  guestmapctl commit pc $id\n"
             "\n"
             "On the system bus only root and the group guestmap-watch receive what monitor "
             "shows.");
}

void help_print(const Output *output) {
        puts("guestmapctl [OPTIONS] VERB ...\n\n"
             "Look at and change the memory maps of virtual machines. Each verb has a page of its\n"
             "own: guestmapctl VERB --help");
        print_verbs(output);
        print_options(output);
        print_rest(output);
}

static void print_verb_options(const Output *output, const Verb *verb) {
        if (!verb->options)
                return;
        putchar('\n');
        print_line(output, PAINT_HEADER, "Options, beside those that guestmapctl --help tells");
        for (Option option = OPTION_GLOBAL_END; option < OPTION_N; option++)
                if (verb->options & OPTION_BIT(option))
                        print_option(option, verb);
}

static void print_verb_statuses(const Output *output, const Verb *verb) {
        bool any = false;

        for (int status = 0; status < EXIT_STATUSES; status++) {
                if (!verb->statuses[status])
                        continue;
                if (!any)
                        putchar('\n');
                if (!any)
                        print_line(output, PAINT_HEADER, "Exit status");
                any = true;
                printf("  %d  %s\n", status, verb->statuses[status]);
        }
}

static void print_verb_example(const Output *output, const Verb *verb) {
        const char *line = verb->example;

        putchar('\n');
        print_line(output, PAINT_HEADER, "Example");
        while (line && *line) {
                int length = (int)strcspn(line, "\n");

                printf("  %.*s\n", length, line);
                line += length + (line[length] == '\n');
        }
}

bool help_print_group(const char *word) {
        bool any = false;

        for (const Verb *verb = verbs; verb->help; verb++) {
                if (!verb_is_of_group(verb, word))
                        continue;
                if (!any)
                        printf("guestmapctl [OPTIONS] %s VERB ...\n\n", word);
                any = true;
                print_verb(verb);
        }
        return any;
}

void help_print_verb(const Output *output, const Verb *verb) {
        char text[512];

        printf("guestmapctl [OPTIONS] %s%s%s\n\n", verb->name, *verb->arguments ? " " : "",
               verb->arguments);
        snprintf(text, sizeof(text), "%s.%s%s", verb->help, verb->more ? " " : "",
                 verb->more ? verb->more : "");
        print_wrapped(text, 0);
        print_verb_options(output, verb);
        print_verb_statuses(output, verb);
        print_verb_example(output, verb);
}
