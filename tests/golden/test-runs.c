/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Four runs of real machines, each applied state after state to one VM
 *
 * What a step of a run asks of the slots is compared with what changed between the two views. Over
 * a whole run, there are no more operations than slot-bearing sections that went and came; in each
 * step no more than that either, where a section that goes counts once for each slot that held it.
 * RAM that stays keeps its contents.
 */

#include <inttypes.h>
#include <string.h>

#include "lib/util/rcu.h"
#include "tests/common/apply.h"
#include "tests/common/slot-check.h"
#include "tests/common/unit.h"
#include "tests/golden/corpus.h"
#include "tests/golden/run-step.h"

typedef struct Costly Costly;
typedef struct Run Run;

struct Run {
        const char *prefix;
        const char *accelerator;
        size_t n_steps;
};

/* A step that takes more operations than sections went and came. */
struct Costly {
        const char *name;
        bool back; /* on the way back */
        size_t n_ops;
        size_t n_sections;
};

/*
 * All there are. In each of them memory goes as a whole that earlier steps have cut, and a delete
 * for each piece is what that takes: nobody could know when it was cut, and to join it before would
 * have unmapped memory that did not change.
 */
static const Costly costly[] = {
        /* The RAM of a VGA adapter, in two pieces, moves to where it shows in three. */
        {"pc-rich-22-bars-on-ioapic", false, 5, 4},
        /* Shadow RAM, in nine pieces, becomes read-only. */
        {"pc-rich-05-pam-all-ro", true, 10, 3},
        /* The RAM of a VGA adapter, in eight pieces, moves to where it shows in four. */
        {"q35-fuzz0-02-seed-100-step-22", true, 22, 20},
};

/* A value that tells RAM by name and backing. */
static uint64_t mark_of(const Region *region) {
        uint64_t mark = region->backing->id;

        for (const char *c = region->name; *c; c++)
                mark = mark * 31 + (unsigned char)*c;
        return mark | 1;
}

static uint64_t *last_word(const Region *region) {
        return (uint64_t *)((char *)region->backing->host + region->backing->mapped) - 1;
}

/* RAM that is new reads as zero, and is marked; RAM that stayed has its marks. */
static void check_marks(VM *vm, json_object *before) {
        Region *region;

        RB_FOREACH(region, RegionsByName, &vm->map->regions) {
                uint64_t *first, mark = 0;

                if (!region->backing)
                        continue;
                first = region->backing->host;
                if (json_object_object_get_ex(before, region->name, NULL))
                        mark = mark_of(region);
                if (*first != mark || *last_word(region) != mark)
                        fail_msg("region %s: 0x%" PRIx64 ", expected 0x%" PRIx64, region->name,
                                 *first, mark);
                *first = *last_word(region) = mark_of(region);
        }
}

/* The names of all RAM there is. */
static json_object *ram_names(const VM *vm) {
        json_object *names = json_object_new_object();
        Region *region;

        RB_FOREACH(region, RegionsByName, &vm->map->regions)
                if (region->backing)
                        json_object_object_add(names, region->name, NULL);
        return names;
}

static const Costly *find_costly(const char *name, bool back) {
        for (size_t i = 0; i < ELEMENTS_OF(costly); i++)
                if (strcmp(costly[i].name, name) == 0 && costly[i].back == back)
                        return &costly[i];
        return NULL;
}

static void check_cost(const Case *step, bool back, const StepCost *cost) {
        const Costly *known = find_costly(step->name, back);
        bool holds = known ? cost->n_ops == known->n_ops && cost->n_sections == known->n_sections
                           : cost->n_ops <= cost->n_sections;

        if (!holds || cost->n_ops > cost->n_pieces)
                fail_msg("%s: %zu slot operations, %zu sections changed, in %zu pieces", step->name,
                         cost->n_ops, cost->n_sections, cost->n_pieces);
}

static void check_step(VM *vm, const Case *step, bool back, StepCost *sum) {
        json_object *before = ram_names(vm);
        _cleanup_(flat_view_unrefp) FlatView *view = NULL;
        StepCost cost = run_step(vm, step->layout);

        check_cost(step, back, &cost);
        sum->n_ops += cost.n_ops;
        sum->n_sections += cost.n_sections;
        assert_views(vm, step);
        view = run_view(vm);
        assert_null(check_slots(vm->slots, vm->accelerator, view));
        check_marks(vm, before);
        json_object_put(before);
        assert_int_equal(must_apply(vm, step->layout).n_edits, 0);
}

static void test_run(void **state) {
        const Run *run = *state;
        _cleanup_(vm_freep) VM *vm = NULL;
        _cleanup_(corpus_free) Corpus corpus = corpus_load(CORPUS, run->prefix);
        StepCost sum = {};

        assert_int_equal(corpus.n, run->n_steps);
        vm = must_vm(run->accelerator);
        must_apply(vm, corpus.cases[0].layout);
        assert_views(vm, &corpus.cases[0]);
        check_marks(vm, NULL);
        for (size_t i = 1; i < corpus.n; i++)
                check_step(vm, &corpus.cases[i], false, &sum);
        /* And back again: what went comes, RAM that had gone is new. */
        for (size_t i = corpus.n - 1; i-- > 0;)
                check_step(vm, &corpus.cases[i], true, &sum);
        assert_true(sum.n_ops <= sum.n_sections);
}

#define RUN(prefix, accelerator, n)                                                                \
        {"run " prefix, test_run, NULL, NULL, &(Run){prefix "-", accelerator, n}}

/* With the accelerator that is named, or none. */
int main(int argc, char **argv) {
        const char *accelerator = argc > 1 ? argv[1] : "none";
        const struct CMUnitTest tests[] = {
                RUN("pc-rich", accelerator, 23),
                RUN("pc-hotplug", accelerator, 12),
                RUN("q35-fuzz0", accelerator, 8),
                RUN("virt-fuzz0", accelerator, 8),
        };
        int r = strcmp(accelerator, "kvm") == 0 ? kvm_probe() : 0;

        if (r < 0) {
                printf("1..0 # SKIP /dev/kvm cannot be used here: %s\n", strerror(-r));
                return 0; /* to a reader of TAP, that line says it all */
        }
        rcu_register();
        r = cmocka_run_group_tests(tests, NULL, NULL);
        rcu_unregister();
        return r;
}
