/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * guestmapctl: the map of a VM from a shell
 *
 * Each run is one verb; everything goes through D-Bus, org.guestmap1(5).
 */

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "client/complete.h"
#include "client/pager.h"
#include "client/verb.h"

static int parse_json_mode(const char *word, JSONMode *ret) {
        static const char *const modes[] = {
                [JSON_OFF] = "off",
                [JSON_SHORT] = "short",
                [JSON_PRETTY] = "pretty",
        };

        for (size_t i = 0; i < ELEMENTS_OF(modes); i++) {
                if (strcmp(word, modes[i]) != 0)
                        continue;
                *ret = i;
                return 0;
        }
        return fail("--json=%s: there are short, pretty and off", word);
}

/* What is printed is UTF-8 in any locale, and is measured as that. */
static bool take_locale(void) {
        bool unicode;

        setlocale(LC_CTYPE, "");
        unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
        setlocale(LC_CTYPE, "C.UTF-8");
        return unicode;
}

static int output_init(Client *client) {
        Output *output = &client->output;

        output->plain = client_given(client, OPTION_PLAIN);
        output->legend = !client_given(client, OPTION_NO_LEGEND);
        output->colour = print_wants_colour();
        output->unicode = take_locale();
        if (client_given(client, OPTION_JSON))
                return parse_json_mode(client->options[OPTION_JSON], &output->json);
        if (client_given(client, OPTION_JSON_AUTO))
                output->json = isatty(STDOUT_FILENO) ? JSON_PRETTY : JSON_SHORT;
        return 0;
}

/* Of the verb, or the group of verbs, that the words begin with, if there is a word. */
static int run_help(const Client *client, char **words) {
        const Verb *verb;
        char **arguments;
        pid_t pager;
        int r;

        if (words[0] && !words[1] && help_print_group(words[0]))
                return 0;
        if (words[0]) {
                r = verb_find(words, &verb, &arguments);
                if (r >= 0)
                        help_print_verb(&client->output, verb);
                return r;
        }
        pager = client_given(client, OPTION_NO_PAGER) ? 0 : pager_open();
        help_print(&client->output);
        pager_close(pager);
        return 0;
}

static int run_verb(Client *client, char **words) {
        const Verb *verb;
        char **arguments;
        pid_t pager = 0;
        int r;

        r = verb_find(words, &verb, &arguments);
        if (r < 0)
                return r;
        r = verb_check_arguments(verb, arguments);
        if (r < 0)
                return r;
        r = verb_check_options(verb, client);
        if (r < 0)
                return r;
        if (verb->paged && !client_given(client, OPTION_NO_PAGER))
                pager = pager_open();
        r = verb->run(client, arguments);
        pager_close(pager);
        return r;
}

static int run(Client *client, int argc, char **argv) {
        char **words;
        int r;

        if (argc > 1 && strcmp(argv[1], "__complete") == 0)
                return complete(client, argc - 1, argv + 1);
        r = option_parse(argc, argv, client->options, &words);
        if (r < 0)
                return r;
        r = output_init(client);
        if (r < 0)
                return r;
        if (words[0] && strcmp(words[0], "help") == 0)
                return run_help(client, words + 1);
        if (client_given(client, OPTION_HELP))
                return run_help(client, words);
        if (client_given(client, OPTION_VERSION)) {
                puts("guestmapctl " GUESTMAP_VERSION);
                return 0;
        }
        if (!words[0])
                return fail("which verb? See guestmapctl --help");
        return run_verb(client, words);
}

int main(int argc, char **argv) {
        Client client = {};
        int r;

        r = run(&client, argc, argv);
        client_deinit(&client);
        if (r >= 0 && (fflush(stdout) != 0 || ferror(stdout)))
                r = fail_errno(-errno, "cannot write the output");
        return r < 0 ? EXIT_FAILURE : r;
}
