/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <string.h>

#include "client/complete.h"
#include "client/verb.h"

typedef struct Argument Argument;

/* What stands for a word of a synopsis, or for the argument of an option. */
struct Argument {
        const char *what; /* the word, or an option by its name */
        int (*ask)(const Completion *completion);
        const char *words; /* with blanks between */
        const char *shell; /* what the shell itself knows */
};

/* All there are: a synopsis with another word is one that nobody has thought about. */
static const Argument arguments_known[] = {
        {"VM", complete_vms},
        {"REGION", complete_regions},
        {"cancel REGION", complete_preparing},
        {"PARENT", complete_regions},
        {"TARGET", complete_regions},
        {"ROOT", complete_regions},
        {"SPACE", complete_spaces},
        {"ID", complete_transactions},
        {"INDEX", complete_vcpus},
        {"REGISTER=VALUE", complete_registers},
        {"PROPERTY=VALUE",
         .words = "size= offset= priority= target-offset= enabled=yes enabled=no readonly=yes "
                  "readonly=no nonvolatile=yes nonvolatile=no unmergeable=yes unmergeable=no "
                  "romd=yes romd=no dirty-log=yes dirty-log=no"},
        {"KIND", .words = "container ram rom romd mmio reserved"},
        {"HANDLER", .words = "none constant latch log"},
        {"MODE", .words = "real flat long"},
        {"--json", .words = "short pretty off"},
        {"--accelerator", .words = "kvm none"},
        {"COLUMN", .words = "name state owner generation commits exits slots mapped resident "
                            "dirty"},
        {"FORMAT", .words = "openmetrics prometheus"},
        {"--hugepage-size", .words = "2MiB 1GiB"},
        {"--numa-policy", .words = "bind preferred interleave"},
        {"FILE", .shell = "files"},
        {"DIR", .shell = "files"},
        {"TREE", .shell = "files"},
        {"FLAT", .shell = "files"},
        {"--host", .shell = "hosts"},
        /* To be thought of by who types. */
        {"ADDRESS"},
        {"BYTES"},
        {"CONTAINER"},
        {"DATA"},
        {"EXITS"},
        {"FIRST-LAST"},
        {"GENERATION"},
        {"LENGTH"},
        {"N"},
        {"NAME"},
        {"NODES"},
        {"OFFSET"},
        {"PAGE-TABLES"},
        {"SINCE"},
        {"SIZE"},
        {"TARGET-OFFSET"},
        {"TIME"},
        {"VALUE"},
};

void complete_offer(const Completion *completion, const char *candidate, const char *remark) {
        if (strncmp(candidate, completion->word, strlen(completion->word)) != 0)
                return;
        printf("%s%s%s%s\n", completion->before, candidate, remark ? "\t" : "",
               remark ? remark : "");
}

static const Argument *argument_find(const char *what, size_t length) {
        for (size_t i = 0; i < ELEMENTS_OF(arguments_known); i++)
                if (strncmp(arguments_known[i].what, what, length) == 0 &&
                    !arguments_known[i].what[length])
                        return &arguments_known[i];
        return NULL;
}

static void offer_words(const Completion *completion, const char *words) {
        while (*words) {
                int length = (int)strcspn(words, " ");
                char word[32];

                snprintf(word, sizeof(word), "%.*s", length, words);
                complete_offer(completion, word, NULL);
                words += length;
                words += *words == ' ';
        }
}

/* `what` is a word or two, as in VM|DIR, with what a synopsis has around them. */
static int offer_argument(const Completion *completion, const char *what, size_t length) {
        static const char around[] = "[]|.";
        const char *end = what + length;

        for (what += strspn(what, around); what < end; what += strspn(what, around)) {
                size_t n = MIN_OF(strcspn(what, around), (size_t)(end - what));
                const Argument *argument = argument_find(what, n);
                int r;

                if (!argument)
                        return fail("nobody has said what completes %.*s", (int)n, what);
                if (argument->words)
                        offer_words(completion, argument->words);
                if (argument->shell)
                        printf("\t%s\n", argument->shell);
                r = argument->ask ? argument->ask(completion) : 0;
                if (r < 0)
                        return r;
                what += n;
        }
        return 0;
}

/* By the option's own name, where that says more than what its argument is called. */
static int offer_value(const Completion *completion, Option option) {
        const OptionInfo *info = &option_info[option];
        char name[64];
        size_t length = snprintf(name, sizeof(name), "--%s", info->name);

        if (argument_find(name, length))
                return offer_argument(completion, name, length);
        return offer_argument(completion, info->argument, strlen(info->argument));
}

/* Of the verb, NULL before there is one. */
static int offer_options(const Completion *completion, const Verb *verb) {
        for (Option option = 0; option < OPTION_N; option++) {
                const OptionInfo *info = &option_info[option];
                char candidate[64];

                if (!info->name || client_given(completion->client, option))
                        continue;
                if (verb && option >= OPTION_GLOBAL_END && !(verb->options & OPTION_BIT(option)))
                        continue;
                snprintf(candidate, sizeof(candidate), "--%s%s", info->name,
                         info->argument ? "=" : "");
                complete_offer(completion, candidate, info->help);
        }
        return 0;
}

/* Of verbs with two words the first, then the second. */
static int offer_verbs(const Completion *completion, const char *first) {
        size_t length = first ? strlen(first) : 0;
        char last[32] = "";

        for (const Verb *verb = verbs; verb->help; verb++) {
                char candidate[32];

                if (!verb->name || strncmp(verb->name, first ? first : "", length) != 0)
                        continue;
                if (first && verb->name[length] != ' ')
                        continue;
                snprintf(candidate, sizeof(candidate), "%s", verb->name + length + (first != NULL));
                candidate[strcspn(candidate, " ")] = '\0';
                if (strcmp(candidate, last) != 0)
                        complete_offer(completion, candidate,
                                       first || !strchr(verb->name, ' ') ? verb->help : NULL);
                memcpy(last, candidate, sizeof(last));
        }
        return 0;
}

/* By the verb's own name before it, where another verb's argument of that name is anything else. */
static int offer_verb_argument(const Completion *completion, const Verb *verb, const char *what,
                               size_t length) {
        char name[64];
        size_t n = snprintf(name, sizeof(name), "%s %.*s", verb->name, (int)length, what);
        const Argument *argument = argument_find(name, n);

        return argument ? argument->ask(completion) : offer_argument(completion, what, length);
}

static int offer_next_argument(const Completion *completion, const Verb *verb) {
        const char *what = verb->arguments;
        size_t length = strcspn(what, " ");

        for (char **argument = completion->arguments; *argument; argument++) {
                if (what[length]) {
                        what += length + 1;
                        length = strcspn(what, " ");
                } else if (what[length ? length - 1 : 0] != '.') {
                        return 0;
                }
        }
        return offer_verb_argument(completion, verb, what, length);
}

static int offer_word(Completion *completion, char **words) {
        const Verb *verb = verb_match(words, &completion->arguments);
        const char *equals = strchr(completion->word, '=');
        bool help = words[0] && strcmp(words[0], "help") == 0;
        Option option;

        if (completion->word[0] == '-' && equals) {
                option = option_find(completion->word, equals - completion->word);
                if (option == OPTION_N)
                        return 0;
                completion->before = strndupa(completion->word, equals + 1 - completion->word);
                completion->word = equals + 1;
                return offer_value(completion, option);
        }
        if (completion->word[0] == '-')
                return offer_options(completion, verb);
        if (verb)
                return offer_next_argument(completion, verb);
        if (!words[0])
                complete_offer(completion, "help", "Show the page of a verb");
        words += help;
        return words[0] && words[1] ? 0 : offer_verbs(completion, words[0]);
}

/* The option whose argument comes next; OPTION_N if there is none. */
static Option option_waiting(const char *word) {
        Option option = option_find(word, strlen(word));

        return option < OPTION_N && option_info[option].argument ? option : OPTION_N;
}

int complete(Client *client, int argc, char **argv) {
        Completion completion = {.client = client, .word = "", .before = ""};
        Option waiting;
        char **words;
        int r;

        client->unattended = true;
        if (argc > 1)
                completion.word = argv[--argc];
        waiting = argc > 1 ? option_waiting(argv[argc - 1]) : OPTION_N;
        if (waiting != OPTION_N)
                argc--;
        argv[argc] = NULL;
        r = option_parse(argc, argv, client->options, &words);
        if (r < 0)
                return r;
        if (waiting == OPTION_N)
                return offer_word(&completion, words);
        verb_match(words, &completion.arguments);
        return offer_value(&completion, waiting);
}
