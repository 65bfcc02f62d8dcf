/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Top: what VMs do, from one tick to the next
 *
 * A tick asks guestmapd and all VMs for their metrics. Rates are those since the tick before; of a
 * VM, or a process of it, that was not there then, since it began.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/client.h"

typedef struct Top Top;
typedef struct TopVM TopVM;

typedef enum TopColumn {
        TOP_NAME,
        TOP_STATE,
        TOP_OWNER,
        TOP_GENERATION,
        TOP_COMMITS,
        TOP_EXITS,
        TOP_SLOTS,
        TOP_MAPPED,
        TOP_RESIDENT,
        TOP_DIRTY,
        N_TOP_COLUMNS,
} TopColumn;

struct TopVM {
        char *name;
        char *state;
        bool is_up; /* has answered; else the rest is zero, but for the generation */
        bool is_logged;
        double start;                  /* seconds after 1970 */
        double numbers[N_TOP_COLUMNS]; /* counts for those that have a rate */
        double rates[N_TOP_COLUMNS];   /* a second */
};

struct Top {
        Client *client;
        uint64_t usec; /* how long a VM is waited for */
        int width;     /* columns of the screen; 0: there is room for all */
        size_t room;   /* VMs that a screen shows, from `first` on; 0: all */
        size_t first;
        TopColumn column;
        bool reversed;
        bool is_down; /* guestmapd, at the last tick */
        double at;    /* seconds after 1970, when it was asked */
        TopVM *vms;
        size_t n;
        double before_at;
        TopVM *before;
        size_t n_before;
};

void top_deinit(Top *top);
/* Asks, and sorts. The first tick starts guestmapd, and waits for that; no other does. */
int top_tick(Top *top);
/* Sorts by another column; by the same the other way round. */
void top_sort(Top *top, TopColumn column);
/* How many VMs are printed. */
size_t top_shown(const Top *top);
/* So many VMs on, or back if negative, as far as the last of them fill the room. */
void top_scroll(Top *top, ssize_t by);
/* For people or machines, as is wanted. */
void top_print(const Top *top);

/* The word for a column, as --sort takes it; its first letter is its key. */
const char *top_column_word(TopColumn column);
