/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Quota scene: a guestmapd with the test's configuration, VM "vm1", and limits that are reached
 */

#include "tests/bus/forward-client.h"

#define VM1   GUESTMAP_PATH_VM "/vm1"
#define VM2   GUESTMAP_PATH_VM "/vm2"
#define QUOTA GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_QUOTA_EXCEEDED

typedef struct Answers Answers;
typedef struct QuotaScene QuotaScene;

struct QuotaScene {
        char directory[32]; /* $XDG_CONFIG_HOME */
        World world;
        sd_bus *client;
};

/* What came of calls under way. */
struct Answers {
        unsigned n;
        unsigned n_refused; /* by this quota */
        const char *quota;
};

/* The scene becomes the test's state. */
int quota_scene_open(void **state, const char *config);
int quota_scene_teardown(void **state);

/* Returns when guestmapd goes by the configuration. */
void reload(QuotaScene *scene, const char *config);
uint64_t limit(QuotaScene *scene, const char *wanted);

/* A region that is placed nowhere, in a VM or transaction. */
void add(QuotaScene *scene, const char *map, const char *name, const char *kind, uint64_t size);
void refuse_add(QuotaScene *scene, const char *quota, const char *map, const char *name,
                const char *kind, uint64_t size);

int on_answer(sd_bus_message *m, void *answers, sd_bus_error *error);
void wait_for_answers(sd_bus *bus, const Answers *answers, unsigned n);
