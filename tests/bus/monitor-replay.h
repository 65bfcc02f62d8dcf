/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Replay: the views that the JSON lines of a monitor lead to
 *
 * Whenever a line names a space and a generation, the replay must be the view that the space had
 * then; the test fails if it is not, or if a change does not fit. A view is an object with its
 * sections by their first addresses; views are an object with them by space.
 */

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct Replay Replay;

struct Replay {
        json_object *views; /* as replayed */
        json_object *past;  /* by generation: the views that there were */
        unsigned n_commits, n_gaps, n_changes, n_checked;
};

void replay_init(Replay *replay);
void replay_deinit(Replay *replay);

/* The views that there were at a generation, which it takes. */
void replay_remember(Replay *replay, uint64_t generation, json_object *views);
/* Another VM comes: no view is known, and none has been replayed. */
void replay_forget(Replay *replay);

/* Whole lines only; what is behind them is for the next time. */
void replay_take_lines(Replay *replay, FILE *lines);
/* Whether the views are those of that generation. */
bool replay_is_at(const Replay *replay, uint64_t generation);
