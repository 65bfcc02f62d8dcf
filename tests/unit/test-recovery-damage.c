/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Recovery from a journal that ends or has changed anywhere, and records that find no room. */

#include <signal.h>
#include <stdio.h>

#include "daemon/vm/journal-record.h"
#include "tests/unit/home-scene.h"

/* A journal whose bytes the test changes, and what it led to at each commit. */
typedef struct Story {
        char *bytes;
        size_t length;
        size_t ends[8]; /* of the journal after each commit */
        char *texts[8]; /* of the VM then */
        size_t n;
} Story;

static void story_note(Story *story, Home *home) {
        story->ends[story->n] = home->vm->record->journal->end;
        story->texts[story->n++] = home_text(home);
}

static void story_init(Story *story, Home *home) {
        *story = (Story){};
        story_note(story, home);
        home_must_apply(home, PATCH(MMIO("m", "0") AND RAM("a", "64KiB", "1MiB")));
        story_note(story, home);
        home_must_apply(home, PATCH("{\"enable-region\": {\"name\": \"m\", \"enabled\": false}}"));
        story_note(story, home);
        home_must_apply(home, PATCH("{\"remove-region\": {\"name\": \"a\"}}"));
        story_note(story, home);
        assert_int_equal(journal_read(home->directory, JOURNAL_NAME, &story->bytes, &story->length),
                         0);
        assert_int_equal(story->length, story->ends[story->n - 1]);
}

static void story_deinit(Story *story) {
        for (size_t i = 0; i < story->n; i++)
                free(story->texts[i]);
        free(story->bytes);
}

static void write_journal(const Home *home, const char *bytes, size_t length) {
        FILE *file = fopen(home_file(home, JOURNAL_NAME), "w");

        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, length, file), length);
        assert_int_equal(fclose(file), 0);
}

/* The last state that is whole, up to that many bytes. */
static const char *text_at(const Story *story, size_t length) {
        size_t i = story->n - 1;

        while (story->ends[i] > length)
                i--;
        return story->texts[i];
}

static void test_cut_anywhere(void **state) {
        Home *home = *state;
        Recovered recovered;
        Story story;

        story_init(&story, home);
        for (size_t length = story.ends[0]; length <= story.length; length++) {
                write_journal(home, story.bytes, length);
                assert_int_equal(home_restart(home, &recovered, NULL), 0);
                assert_text(home_text(home), text_at(&story, length));
                if (length % 32 != 0)
                        continue;
                /* And from there on as if nothing had been. */
                home_must_apply(home, PATCH(MMIO("z", "0x5000")));
                must_be_the_same_again(home);
        }
        for (size_t length = 0; length < story.ends[0]; length += 7) {
                write_journal(home, story.bytes, length);
                if (home_restart(home, &recovered, NULL) == 0)
                        assert_int_equal(home->vm->map->generation, 0);
        }
        story_deinit(&story);
}

static void test_flipped_anywhere(void **state) {
        size_t n_whole = 0, n_damaged = 0;
        Home *home = *state;
        Recovered recovered;
        Detail detail;
        Story story;
        int r;

        story_init(&story, home);
        for (size_t at = 0; at < story.length; at += 5) {
                story.bytes[at] ^= (char)(1 << at % 8);
                write_journal(home, story.bytes, story.length);
                story.bytes[at] ^= (char)(1 << at % 8);
                r = home_restart(home, &recovered, &detail);
                if (r == 0) {
                        assert_text(home_text(home), text_at(&story, at));
                        assert_true(recovered.torn > 0);
                        n_whole++;
                } else {
                        assert_int_equal(r, VM_E_DAMAGED);
                        n_damaged++;
                }
        }
        assert_true(n_whole > 0 && n_damaged > 0);
        story_deinit(&story);
}

static void test_disk_full(void **state) {
        _cleanup_(freep) char *before = NULL;
        Home *home = *state;
        Detail detail;
        uint64_t end;
        int r;

        signal(SIGXFSZ, SIG_IGN);
        before = home_text(home);
        end = home->vm->record->journal->end;
        for (uint64_t room = 0;; room++) {
                limit_files(end + room);
                r = home_apply(home, PATCH(MMIO("m", "0")), &detail);
                limit_files(UINT64_MAX);
                if (r == 0)
                        break;
                assert_int_equal(r, VM_E_NO_SPACE);
                assert_text(home_text(home), before);
        }
        assert_int_equal(home->vm->map->generation, 2);
        must_be_the_same_again(home);
}

static void test_facts_disk_full(void **state) {
        Facts facts = {.transactions = 1000};
        Home *home = *state;
        Detail detail;
        int r;

        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(facts_set(home->vm, &facts, NULL), 0);
        for (uint64_t room = 0;; room++) {
                limit_files(room);
                r = facts_set(home->vm, &(Facts){.transactions = 2000}, &detail);
                limit_files(UINT64_MAX);
                if (r == 0)
                        break;
                assert_int_equal(r, VM_E_NO_SPACE);
                assert_int_equal(home->vm->facts.transactions, 1000);
                assert_int_equal(facts_read(&facts, home->directory, NULL), 0);
                assert_int_equal(facts.transactions, 1000);
        }
        assert_int_equal(facts_read(&facts, home->directory, NULL), 0);
        assert_int_equal(facts.transactions, 2000);
}

#define TEST(function)                                                                             \
        cmocka_unit_test_setup_teardown(function, home_scene_setup, home_scene_teardown)

UNIT_TESTS(TEST(test_cut_anywhere), TEST(test_flipped_anywhere), TEST(test_disk_full),
           TEST(test_facts_disk_full));
