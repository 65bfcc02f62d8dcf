/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Kill model: what a VM must have after each of a row of commits
 *
 * Regions that come and go, some of them RAM with a word of the client's in each, some of them
 * aliases; those that are there are moved and so on. A second address space comes and goes, too.
 * Commits are sent in bursts, each expecting the generation of the one before: whichever are
 * carried out, they are the first ones of the burst. So the generation says how many, and all else
 * has to fit it.
 *
 * Functions print what is wrong and return false.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "api/names.h"

#define MODEL_VM GUESTMAP_PATH_VM "/kill"

/* The first regions are RAM, then some have registers, the last ones are aliases. */
enum { MODEL_RAM = 12, MODEL_DEVICES = 36, MODEL_REGIONS = 48, MODEL_BURST = 8 };

typedef struct KillModel KillModel;
typedef struct ModelState ModelState;

/* A bit per region; all but the first are of regions that are present. */
struct ModelState {
        uint64_t present;
        uint64_t disabled; /* no RAM */
        uint64_t moved;    /* to the other of its two places */
        uint64_t raised;   /* in priority */
        uint64_t kicked;   /* devices that have an ioeventfd */
        uint64_t spaces;   /* the first bit: the second address space */
};

struct KillModel {
        uint64_t seed;
        uint64_t generation;                /* before the burst */
        ModelState states[MODEL_BURST + 1]; /* after so many of its commits */
        unsigned n_sent, n_acknowledged;
        unsigned n_unanswered;     /* commits and writes */
        bool failed;               /* one was answered as none may be */
        uint64_t words[MODEL_RAM]; /* what is in RAM that is present */

        /* A word that is being written: what was there may be there. */
        bool writing, written;
        unsigned target;
        uint64_t word;
};

uint64_t model_random(KillModel *model, uint64_t below);

/* Creates the VM. */
bool model_open(KillModel *model, sd_bus *bus, uint64_t seed, const char *accelerator);

/* Sends a burst, and a word for some RAM; returns at once. */
bool model_send(KillModel *model, sd_bus *bus);

/* Waits for all that was sent to be answered. */
bool model_await(KillModel *model, sd_bus *bus);

/* Whether the VM is as it must be; it is the start of the next burst. `lost`: RAM may be zero. */
bool model_check(KillModel *model, sd_bus *bus, bool lost);
