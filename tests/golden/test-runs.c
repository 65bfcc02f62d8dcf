/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Four runs of real machines, each applied state after state to one VM
 *
 * What a step of a run asks of the slots is compared with what changed between the two views: no
 * more operations than slot-bearing sections that went and came. RAM that stays keeps its contents.
 */

#include <inttypes.h>
#include <string.h>

#include "lib/util/rcu.h"
#include "tests/common/apply.h"
#include "tests/common/unit.h"
#include "tests/golden/corpus.h"

typedef struct Run Run;

struct Run {
        const char *prefix;
        const char *accelerator;
        size_t n_steps;
};

/* Whether `section` is in the view as it is, and as a slot would show it. */
static bool view_has(const FlatView *view, const Section *section) {
        const Section *found = flat_view_find(view, section->range.first);

        return found && section_same(found, section);
}

/* How many sections of a view that bear slots another does not have. */
static size_t count_gone(const FlatView *view, const FlatView *other, const VM *vm) {
        ViewCursor cursor;
        Extent extent;
        size_t n = 0;

        for (const Section *s = flat_view_first(view, &cursor, 0); s; s = flat_view_next(&cursor))
                if (extent_from_section(s, vm->accelerator, &extent) && !view_has(other, s))
                        n++;
        return n;
}

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

static FlatView *memory_view(const VM *vm) {
        return flat_view_ref((FlatView *)snapshot_find(map_snapshot(vm->map), "memory"));
}

static void check_step(VM *vm, const Case *step) {
        _cleanup_(flat_view_unrefp) FlatView *old = memory_view(vm), *new = NULL;
        json_object *before = ram_names(vm);
        size_t allowed;
        Applied applied;

        applied = must_apply(vm, step->layout);
        assert_views(vm, step);
        new = memory_view(vm);
        allowed = count_gone(old, new, vm) + count_gone(new, old, vm);
        if (applied.n_slot_ops > allowed)
                fail_msg("%s: %zu slot operations, %zu sections changed", step->name,
                         applied.n_slot_ops, allowed);
        check_marks(vm, before);
        json_object_put(before);
        assert_int_equal(must_apply(vm, step->layout).n_edits, 0);
}

static void test_run(void **state) {
        const Run *run = *state;
        _cleanup_(vm_freep) VM *vm = NULL;
        _cleanup_(corpus_free) Corpus corpus = corpus_load(CORPUS, run->prefix);

        if (strcmp(run->accelerator, "kvm") == 0 && kvm_probe() < 0) {
                print_message("# /dev/kvm cannot be used: %s\n", strerror(-kvm_probe()));
                skip();
        }
        assert_int_equal(corpus.n, run->n_steps);
        vm = must_vm(run->accelerator);
        must_apply(vm, corpus.cases[0].layout);
        assert_views(vm, &corpus.cases[0]);
        check_marks(vm, NULL);
        for (size_t i = 1; i < corpus.n; i++)
                check_step(vm, &corpus.cases[i]);
        /* And back again: what went comes, RAM that had gone is new. */
        for (size_t i = corpus.n - 1; i-- > 0;)
                check_step(vm, &corpus.cases[i]);
}

#define RUN(prefix, accelerator, n)                                                                \
        {prefix " " accelerator, test_run, NULL, NULL, &(Run){prefix "-", accelerator, n}}

int main(void) {
        const struct CMUnitTest tests[] = {
                RUN("pc-rich", "none", 23),   RUN("pc-rich", "kvm", 23),
                RUN("pc-hotplug", "none", 12), RUN("pc-hotplug", "kvm", 12),
                RUN("q35-fuzz0", "none", 8),  RUN("q35-fuzz0", "kvm", 8),
                RUN("virt-fuzz0", "none", 8), RUN("virt-fuzz0", "kvm", 8),
        };
        int failed;

        rcu_register();
        failed = cmocka_run_group_tests(tests, NULL, NULL);
        rcu_unregister();
        return failed;
}
