/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The order in which listeners are called about random commits
 *
 *   test-listener-order [SEED]
 *
 * Five listeners, some of equal priority, one of a single address space and one that wants to hear
 * of unchanged sections, write all they are told into one log. It must be what listener.h says:
 *
 * I1: stages follow one another, spaces by name, deletions before the rest, sections and what
 *     belongs to each ascend.
 * I2: each single thing is told to all who have the callback and follow the space, one after the
 *     other: what goes in descending priority, all else ascending.
 * I3: of a space that changed, every section of the new view is added or stays.
 */

#include <inttypes.h>
#include <string.h>

#include "lib/memory/commit.h"
#include "lib/memory/listener.h"
#include "tests/common/scene.h"
#include "tests/property/generator.h"

typedef struct Note Note;
typedef struct Voice Voice;
typedef struct World World;

enum { STEPS = 1000, N_VOICES = 5, NOTES_MAX = 1 << 16 };

/* In the order of a commit. */
typedef enum Stage {
        STAGE_PREPARE,
        STAGE_APPLY,
        STAGE_PUBLISHED,
        STAGE_BEGIN,
        STAGE_SECTIONS,
        STAGE_EVENTFD_DEL,
        STAGE_EVENTFD_ADD,
        STAGE_COMMIT,
        STAGE_SETTLE,
} Stage;

/* What is told about a section, in its order: first of all that goes, then of the rest. */
typedef enum Step {
        STEP_COALESCED_DEL,
        STEP_REGION_DEL,
        STEP_REGION_ADD,
        STEP_REGION_NOP,
        STEP_COALESCED_ADD, /* to a section that is new; before its log begins */
        STEP_LOG_START,
        STEP_LOG_STOP,
        STEP_COALESCED_ADD_KEPT, /* to one that stays; after its log has begun or ended */
        STEP_EVENTFD,
        N_STEPS,
} Step;

struct Note {
        Stage stage;
        Step step;         /* N_STEPS: it is about no section */
        const char *space; /* of those below; NULL: about none */
        uint64_t section;  /* its first address */
        uint64_t at;       /* first address of the zone or ioeventfd, or of the section */
        const void *what;  /* the ioeventfd */
        unsigned voice;
};

/* A listener. They stand in the order in which they are to be called. */
struct Voice {
        Listener listener; /* first: callbacks cast */
        World *world;
        unsigned number;
};

struct World {
        Map *map;
        Generator generator;
        Voice voices[N_VOICES];
        Note *notes;
        size_t n_notes;
        uint64_t seed;
        uint64_t step;
};

static uint64_t n_told[N_STEPS + 1]; /* in all lives */

static const char *const spaces[] = {"dma", "io", "memory"};

static void expect(const World *world, bool holds, size_t i, const char *what) {
        if (holds)
                return;
        fprintf(stderr, "seed %" PRIu64 ", step %" PRIu64 ", note %zu: %s\n", world->seed,
                world->step, i, what);
        for (size_t n = i > 8 ? i - 8 : 0; n < world->n_notes && n < i + 8; n++)
                fprintf(stderr, "  %zu: stage %d step %d %s %" PRIx64 " %" PRIx64 " to %u\n", n,
                        world->notes[n].stage, world->notes[n].step,
                        world->notes[n].space ? world->notes[n].space : "", world->notes[n].section,
                        world->notes[n].at, world->notes[n].voice);
        exit(EXIT_FAILURE);
}

/* Taking notes */

/* One of the names that live as long as the program. */
static const char *lasting(const char *name) {
        for (size_t i = 0; i < ELEMENTS_OF(spaces); i++)
                if (strcmp(spaces[i], name) == 0)
                        return spaces[i];
        abort();
}

static void note(Listener *listener, Note new) {
        Voice *voice = (Voice *)listener;
        World *world = voice->world;

        if (world->n_notes == NOTES_MAX)
                abort();
        new.voice = voice->number;
        world->notes[world->n_notes++] = new;
}

static void note_section(Listener *listener, Stage stage, Step step, const ListenerSection *told,
                         uint64_t at, const void *what) {
        note(listener,
             (Note){stage, step, lasting(told->space), told->section.range.first, at, what, 0});
}

static void note_itself(Listener *listener, Step step, const ListenerSection *told) {
        note_section(listener, STAGE_SECTIONS, step, told, told->section.range.first, NULL);
}

static void note_plain(Listener *listener, Stage stage) {
        note(listener, (Note){.stage = stage, .step = N_STEPS});
}

static int on_prepare(Listener *listener, const Commit *commit, Detail *detail) {
        note_plain(listener, STAGE_PREPARE);
        return 0;
}

static int on_apply(Listener *listener, const Commit *commit, Detail *detail) {
        note_plain(listener, STAGE_APPLY);
        return 0;
}

static void on_published(Listener *listener, const Commit *commit) {
        note_plain(listener, STAGE_PUBLISHED);
}

static void on_settle(Listener *listener, const Commit *commit) {
        note_plain(listener, STAGE_SETTLE);
}

static void on_begin(Listener *listener) {
        note_plain(listener, STAGE_BEGIN);
}

static void on_commit(Listener *listener) {
        note_plain(listener, STAGE_COMMIT);
}

static void on_add(Listener *listener, const ListenerSection *told) {
        note_itself(listener, STEP_REGION_ADD, told);
}

static void on_del(Listener *listener, const ListenerSection *told) {
        note_itself(listener, STEP_REGION_DEL, told);
}

static void on_nop(Listener *listener, const ListenerSection *told) {
        note_itself(listener, STEP_REGION_NOP, told);
}

static void on_log_start(Listener *listener, const ListenerSection *told, unsigned old,
                         unsigned new) {
        note_itself(listener, STEP_LOG_START, told);
}

static void on_log_stop(Listener *listener, const ListenerSection *told, unsigned old,
                        unsigned new) {
        note_itself(listener, STEP_LOG_STOP, told);
}

static void on_coalesced_del(Listener *listener, const ListenerSection *told, Range zone) {
        note_section(listener, STAGE_SECTIONS, STEP_COALESCED_DEL, told, zone.first, NULL);
}

/* Whether that listener has been told that the section is new. */
static bool is_new(const World *world, unsigned voice, const ListenerSection *told) {
        for (size_t i = world->n_notes; i-- > 0;)
                if (world->notes[i].voice == voice && world->notes[i].step == STEP_REGION_ADD &&
                    world->notes[i].section == told->section.range.first &&
                    world->notes[i].space == lasting(told->space))
                        return true;
        return false;
}

static void on_coalesced_add(Listener *listener, const ListenerSection *told, Range zone) {
        const Voice *voice = (Voice *)listener;

        note_section(listener, STAGE_SECTIONS,
                     is_new(voice->world, voice->number, told) ? STEP_COALESCED_ADD
                                                               : STEP_COALESCED_ADD_KEPT,
                     told, zone.first, NULL);
}

static uint64_t address_of(const ListenerSection *told, const IOEventFD *ioeventfd) {
        return told->section.range.first + (ioeventfd->offset - told->section.offset);
}

static void on_eventfd_del(Listener *listener, const ListenerSection *told,
                           const IOEventFD *ioeventfd) {
        note_section(listener, STAGE_EVENTFD_DEL, STEP_EVENTFD, told, address_of(told, ioeventfd),
                     ioeventfd);
}

static void on_eventfd_add(Listener *listener, const ListenerSection *told,
                           const IOEventFD *ioeventfd) {
        note_section(listener, STAGE_EVENTFD_ADD, STEP_EVENTFD, told, address_of(told, ioeventfd),
                     ioeventfd);
}

#define OPS                                                                                        \
        .prepare = on_prepare, .apply = on_apply, .published = on_published, .settle = on_settle,  \
        .begin = on_begin, .commit = on_commit, .region_add = on_add, .region_del = on_del,        \
        .log_start = on_log_start, .log_stop = on_log_stop, .eventfd_add = on_eventfd_add,         \
        .eventfd_del = on_eventfd_del, .coalesced_add = on_coalesced_add,                          \
        .coalesced_del = on_coalesced_del

static const ListenerOps ops = {OPS};
static const ListenerOps ops_with_nop = {OPS, .region_nop = on_nop};

/* Looking at them */

static bool is_deletion(const Note *note) {
        return note->step == STEP_COALESCED_DEL || note->step == STEP_REGION_DEL;
}

static bool goes(const Note *note) {
        return is_deletion(note) || note->step == STEP_LOG_STOP || note->stage == STAGE_EVENTFD_DEL;
}

static int compare_numbers(uint64_t a, uint64_t b) {
        return (a > b) - (a < b);
}

static int compare_notes(const Note *a, const Note *b) {
        int order = compare_numbers(a->stage, b->stage);

        if (order == 0 && a->space && b->space)
                order = strcmp(a->space, b->space);
        if (order == 0)
                order = is_deletion(b) - is_deletion(a);
        if (order == 0 && a->stage == STAGE_SECTIONS)
                order = compare_numbers(a->section, b->section);
        if (order == 0)
                order = compare_numbers(a->step, b->step);
        return order ? order : compare_numbers(a->at, b->at);
}

static bool same_thing(const Note *a, const Note *b) {
        return compare_notes(a, b) == 0 && a->what == b->what;
}

static bool hears(const Voice *voice, const Note *note) {
        if (note->step == STEP_REGION_NOP && !voice->listener.ops->region_nop)
                return false;
        return !note->space || !voice->listener.space ||
               strcmp(voice->listener.space, note->space) == 0;
}

/* From note i on, one thing is told to everybody. Returns the note behind. */
static size_t check_thing(const World *world, size_t i) {
        const Note *first = &world->notes[i];

        for (unsigned n = 0; n < N_VOICES; n++) {
                unsigned voice = goes(first) ? N_VOICES - 1 - n : n;

                if (!hears(&world->voices[voice], first))
                        continue;
                expect(world, i < world->n_notes && same_thing(first, &world->notes[i]), i,
                       "somebody is left out");
                expect(world, world->notes[i].voice == voice, i, "it is another one's turn");
                i++;
        }
        return i;
}

/* How many sections of the space the first listener, who hears of all, was told to be there. */
static size_t n_there(const World *world, const char *space) {
        size_t n = 0;

        for (size_t i = 0; i < world->n_notes; i++) {
                const Note *note = &world->notes[i];

                n += note->space == space && note->voice == 0 &&
                     (note->step == STEP_REGION_ADD || note->step == STEP_REGION_NOP);
        }
        return n;
}

static void check_notes(World *world) {
        size_t next;

        for (size_t i = 0; i < world->n_notes; i = next) {
                next = check_thing(world, i);
                if (next < world->n_notes)
                        expect(world, compare_notes(&world->notes[i], &world->notes[next]) <= 0,
                               next, "it comes too late");
        }
        for (size_t i = 0; i < ELEMENTS_OF(spaces); i++) {
                const FlatView *view = scene_published(world->map, spaces[i]);
                size_t n = n_there(world, spaces[i]);

                expect(world, n == 0 || (view && n == flat_view_n_sections(view)), 0,
                       "a section is neither new nor unchanged");
        }
        for (size_t i = 0; i < world->n_notes; i++)
                n_told[world->notes[i].step]++;
        world->n_notes = 0;
}

/* The life of a map */

static void make_edits(World *world, uint64_t n) {
        while (n-- > 0) {
                Edit edit = generator_next(&world->generator);

                (void)map_edit(world->map, &edit, NULL);
                edit_deinit(&edit);
        }
}

static void make_roots(World *world) {
        Edit root = generator_root(&world->generator);
        Edit memory = generator_memory(&world->generator);

        (void)map_edit(world->map, &root, NULL);
        (void)map_edit(world->map, &memory, NULL);
        edit_deinit(&root);
        edit_deinit(&memory);
}

static void commit(World *world) {
        _cleanup_(commit_freep) Commit *commit = NULL;

        if (commit_new(&commit, world->map, NULL) != 0)
                map_rollback(world->map, 0);
        else
                expect(world, commit_apply(commit, NULL) == 0, 0, "a commit failed");
}

/* In the order in which they register; at which place they are to be called. */
static void register_voices(World *world) {
        static const struct {
                unsigned number;
                int priority;
                const char *space;
        } rows[N_VOICES] = {
                {2, 10, NULL}, {0, 0, NULL}, {3, 10, NULL}, {4, 20, "memory"}, {1, 0, NULL}};

        for (size_t i = 0; i < N_VOICES; i++) {
                Voice *voice = &world->voices[rows[i].number];

                *voice = (Voice){.listener = {.ops = rows[i].number % 3 ? &ops : &ops_with_nop,
                                              .priority = rows[i].priority,
                                              .space = rows[i].space},
                                 .world = world,
                                 .number = rows[i].number};
                if (listener_register(&voice->listener, world->map, NULL) != 0)
                        abort();
        }
        world->n_notes = 0;
}

static void live(uint64_t seed, uint64_t number) {
        World world = {.seed = seed, .map = scene_new_empty()};

        world.notes = calloc(NOTES_MAX, sizeof(*world.notes));
        if (!world.notes || generator_init(&world.generator, seed, world.map, false) != 0)
                abort();
        register_voices(&world);
        make_roots(&world);
        make_edits(&world, 60);
        for (world.step = 0; world.step < STEPS; world.step++) {
                commit(&world);
                check_notes(&world);
                make_roots(&world);
                make_edits(&world, 1 + random_below(&world.generator.random, 6));
        }
        map_rollback(world.map, 0);
        for (unsigned i = 0; i < N_VOICES; i++)
                listener_unregister(&world.voices[i].listener, world.map);
        map_free(world.map);
        generator_deinit(&world.generator);
        free(world.notes);
        printf("ok %" PRIu64 " - seed %" PRIu64 "\n", number, seed);
}

static bool everything_was_told(void) {
        bool all = true;

        for (int step = 0; step <= N_STEPS; step++) {
                printf("# step %d: %" PRIu64 " calls\n", step, n_told[step]);
                all &= n_told[step] > 0;
        }
        return all;
}

int main(int argc, char **argv) {
        uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1, n = argc > 1 ? 1 : 8;

        for (uint64_t i = 0; i < n; i++)
                live(first + i, i + 1);
        printf("%s %" PRIu64 " - each callback was among them\n",
               everything_was_told() ? "ok" : "not ok", n + 1);
        printf("1..%" PRIu64 "\n", n + 1);
        return EXIT_SUCCESS;
}
