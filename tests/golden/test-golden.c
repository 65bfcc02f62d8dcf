/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Every case of the corpus, from its document to its flat views; then the document that the VM
 * gives back must make the same map again, and ask nothing of the one that it came from.
 */

#include "lib/util/rcu.h"
#include "tests/common/apply.h"
#include "tests/common/unit.h"
#include "tests/golden/corpus.h"

#define N_CASES 148

static void test_case(void **state) {
        const Case *golden = *state;
        _cleanup_(vm_freep) VM *vm = must_vm("none"), *again = must_vm("none");
        _cleanup_(freep) char *layout = NULL, *layout_again = NULL;

        must_apply(vm, golden->layout);
        assert_views(vm, golden);
        assert_int_equal(must_apply(vm, golden->layout).n_edits, 0);

        layout = must_layout(vm);
        assert_int_equal(must_apply(vm, layout).n_edits, 0);
        must_apply(again, layout);
        assert_views(again, golden);
        layout_again = must_layout(again);
        assert_string_equal(layout, layout_again);
}

static void test_count(void **state) {
        assert_int_equal(*(size_t *)*state, N_CASES);
}

int main(void) {
        Corpus corpus = corpus_load(CORPUS, "");
        struct CMUnitTest *tests = calloc(corpus.n + 1, sizeof(*tests));
        int failed;

        rcu_register();
        for (size_t i = 0; i < corpus.n; i++) {
                tests[i] =
                        (struct CMUnitTest)cmocka_unit_test_prestate(test_case, &corpus.cases[i]);
                tests[i].name = corpus.cases[i].name;
        }
        tests[corpus.n] = (struct CMUnitTest)cmocka_unit_test_prestate(test_count, &corpus.n);
        failed = _cmocka_run_group_tests("golden", tests, corpus.n + 1, NULL, NULL);
        free(tests);
        corpus_free(&corpus);
        rcu_unregister();
        return failed;
}
