/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A committer on a mocked kernel, and commits made by hand
 *
 * Memory is never touched, so backings have invented addresses: the memory of region "a" (backing
 * 1) begins at 0xa0000000, that of "b" at 0xb0000000, up to "f".
 */

#include "lib/kvm/slots.h"
#include "tests/common/unit.h"

typedef struct SlotsChange SlotsChange;
typedef struct SlotsScene SlotsScene;

enum { SLOTS_SCENE_REGIONS = 6 };

struct SlotsScene {
        Accelerator *kvm;
        Slots *slots;
        Backing backings[SLOTS_SCENE_REGIONS];
        Region *regions[SLOTS_SCENE_REGIONS];
        FlatView *view; /* of "memory", as last committed */
        Detail detail;
};

/* A commit that gives an address space another view than the scene's. */
struct SlotsChange {
        FlatView *view;
        Diff diff;
        SpaceChange space;
        Commit commit;
};

/* The scene is the test's state. */
int slots_scene_setup(void **state);
int slots_scene_teardown(void **state);

/* Bytes [first, last] of region `name` from `offset` on. */
Section ram(const SlotsScene *scene, char name, uint64_t first, uint64_t last, uint64_t offset,
            uint8_t flags);

void slots_change_init(SlotsChange *change, SlotsScene *scene, const char *space,
                       const Section *sections, size_t n);
void slots_change_deinit(SlotsChange *change);
/* prepare(), and if that succeeds apply(). */
int slots_change_carry_out(SlotsChange *change, SlotsScene *scene);
void slots_change_settle(SlotsChange *change, SlotsScene *scene);

/* Gives "memory" these sections, from prepare() to settle(). On failure the view stays. */
int commit(SlotsScene *scene, const Section *sections, size_t n);
#define COMMIT(scene, ...)                                                                         \
        commit(scene, (const Section[]){__VA_ARGS__},                                              \
               sizeof((const Section[]){__VA_ARGS__}) / sizeof(Section))

/* What Slots says there is, in the words of mock-kvm.h, ascending by address. */
char *slots_text(const SlotsScene *scene);
