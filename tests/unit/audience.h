/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the tests of listeners share: a map and two listeners that write down what they are told
 *
 * "hi" has priority 10 and registered first, "lo" has 0. Region "ram" lies at 0, "device" (mmio) at
 * 0x2000.
 */

#include "lib/memory/map-error.h"
#include "tests/common/scene.h"
#include "tests/common/trace.h"
#include "tests/common/unit.h"

typedef struct Audience {
        Map *map;
        TraceText out;
        Trace lo, hi;
} Audience;

/* For cmocka: *state is an Audience whose replay was dropped. */
int audience_setup(void **state);
int audience_teardown(void **state);

Trace audience_trace(Audience *f, const char *name, int priority);
void audience_join(Audience *f, Trace *trace);
/* What all wrote since the last call. */
void told(Audience *f, const char *expected);

#define PREPARED "lo prepare\nhi prepare\nlo apply\nhi apply\n"
#define BEGUN    PREPARED "lo published\nhi published\nlo begin\nhi begin\n"
#define ENDED    "lo commit\nhi commit\nlo settle\nhi settle\n"
