/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What runs of real machines cost in slot operations, state after state and back again
 *
 *   bench-slot-runs [--steps]
 *
 * For each run: slot operations, slot-bearing sections removed and added, steps with more of the
 * former than of the latter, and bytes of unchanged memory remapped. With --steps also each step.
 */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "lib/util/rcu.h"
#include "tests/common/apply.h"
#include "tests/golden/corpus.h"
#include "tests/golden/run-step.h"

typedef struct Run {
        bool print_steps;
        size_t n_steps;
        size_t n_over; /* steps with more operations than sections changed */
        StepCost sum;
} Run;

static void take_step(Run *run, VM *vm, const Case *step) {
        StepCost cost = run_step(vm, step->layout);

        run->n_steps++;
        run->n_over += cost.n_ops > cost.n_sections;
        run->sum.n_ops += cost.n_ops;
        run->sum.n_sections += cost.n_sections;
        run->sum.bytes_unchanged += cost.bytes_unchanged;
        if (run->print_steps)
                printf("{\"bench\":\"slot-run-step\",\"step\":\"%s\",\"operations\":%zu,"
                       "\"sections_changed\":%zu,\"bytes_unchanged\":%" PRIu64 "}\n",
                       step->name, cost.n_ops, cost.n_sections, cost.bytes_unchanged);
}

static void run_corpus(const char *prefix, bool print_steps) {
        _cleanup_(corpus_free) Corpus corpus = corpus_load(CORPUS, prefix);
        _cleanup_(vm_freep) VM *vm = must_vm("none");
        Run run = {.print_steps = print_steps};

        must_apply(vm, corpus.cases[0].layout);
        for (size_t i = 1; i < corpus.n; i++)
                take_step(&run, vm, &corpus.cases[i]);
        for (size_t i = corpus.n - 1; i-- > 0;)
                take_step(&run, vm, &corpus.cases[i]);
        printf("{\"bench\":\"slot-run\",\"run\":\"%s\",\"steps\":%zu,\"operations\":%zu,"
               "\"sections_changed\":%zu,\"steps_over\":%zu,\"bytes_unchanged\":%" PRIu64 "}\n",
               prefix, run.n_steps, run.sum.n_ops, run.sum.n_sections, run.n_over,
               run.sum.bytes_unchanged);
}

int main(int argc, char **argv) {
        static const struct option options[] = {{"steps", no_argument, NULL, 's'}, {}};
        static const char *const prefixes[] = {"pc-rich-", "pc-hotplug-", "q35-fuzz0-",
                                               "virt-fuzz0-"};
        bool print_steps = false;
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
                if (c == 's')
                        print_steps = true;
                else
                        return EXIT_FAILURE;
        rcu_register();
        for (size_t i = 0; i < ELEMENTS_OF(prefixes); i++)
                run_corpus(prefixes[i], print_steps);
        rcu_unregister();
        return EXIT_SUCCESS;
}
