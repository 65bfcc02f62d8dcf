/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "daemon/vm/history.h"
#include "lib/memory/diff.h"
#include "lib/util/cleanup.h"

static int compare_name(const PastSpace *a, const PastSpace *b) {
        return strcmp(a->name, b->name);
}

RB_GENERATE_STATIC(PastSpaces, PastSpace, by_name, compare_name)

/* Spaces of the past */

static PastSpace *find_space(const History *history, const char *name) {
        PastSpace *space = RB_ROOT(&history->spaces);

        while (space) {
                int order = strcmp(name, space->name);

                if (order == 0)
                        break;
                space = order < 0 ? RB_LEFT(space, by_name) : RB_RIGHT(space, by_name);
        }
        return space;
}

static PastSpace *get_space(History *history, const char *name) {
        PastSpace *space = find_space(history, name);
        size_t size = strlen(name) + 1;

        if (space)
                return space;
        space = calloc(1, sizeof(*space) + size);
        if (!space)
                return NULL;
        CDS_INIT_LIST_HEAD(&space->deltas);
        memcpy(space->name, name, size);
        RB_INSERT(PastSpaces, &history->spaces, space);
        return space;
}

static void drop_space(History *history, PastSpace *space) {
        if (!cds_list_empty(&space->deltas))
                return;
        RB_REMOVE(PastSpaces, &history->spaces, space);
        free(space);
}

/* Forgetting */

void history_init(History *history, uint64_t generation, size_t size_max) {
        *history = (History){.floor = generation, .size_max = size_max};
        CDS_INIT_LIST_HEAD(&history->deltas);
        RB_INIT(&history->spaces);
}

static void forget_oldest(History *history) {
        Delta *delta = cds_list_first_entry(&history->deltas, Delta, link);

        history->floor = delta->generation;
        history->size -= delta->size;
        cds_list_del(&delta->link);
        cds_list_del(&delta->siblings);
        drop_space(history, delta->space);
        free(delta);
}

static void forget_all(History *history, uint64_t generation) {
        while (!cds_list_empty(&history->deltas))
                forget_oldest(history);
        history->floor = generation;
}

void history_deinit(History *history) {
        forget_all(history, history->floor);
}

/* Rows */

/* Which section it is: no two of one view are the same. */
static int compare_sections(const DeltaRow *a, const DeltaRow *b) {
        if (a->range.first != b->range.first)
                return a->range.first < b->range.first ? -1 : 1;
        if (a->range.last != b->range.last)
                return a->range.last < b->range.last ? -1 : 1;
        if (a->offset != b->offset)
                return a->offset < b->offset ? -1 : 1;
        if (a->backing != b->backing)
                return a->backing < b->backing ? -1 : 1;
        if (a->kind != b->kind)
                return a->kind < b->kind ? -1 : 1;
        if (a->flags != b->flags)
                return a->flags < b->flags ? -1 : 1;
        return strcmp(a->region, b->region);
}

static int compare_rows(const void *a, const void *b) {
        const DeltaRow *x = a, *y = b;
        int order = compare_sections(x, y);

        return order != 0 ? order : x->sign - y->sign;
}

/* Remembering */

static size_t diff_n_rows(const Diff *diff) {
        return diff->removed.n + diff->added.n + 2 * diff->n_relogged;
}

/* To whoever keeps a list, a section whose dirty logging changed is another one. */
static const Section *diff_row(const Diff *diff, size_t i, int8_t *ret_sign) {
        const Relogged *relogged;

        *ret_sign = -1;
        if (i < diff->removed.n)
                return &diff->removed.items[i];
        i -= diff->removed.n;
        if (i < diff->added.n) {
                *ret_sign = 1;
                return &diff->added.items[i];
        }
        i -= diff->added.n;
        relogged = &diff->relogged[i / 2];
        *ret_sign = i % 2 ? 1 : -1;
        return i % 2 ? &relogged->new : &relogged->old;
}

/*
 * What a delta takes; counted no further than it may be, since names of a million regions take a
 * while to look at. Rows side by side of one region, such as the pieces of RAM, share a name.
 */
static size_t delta_size(const Diff *diff, size_t size_max) {
        size_t n_rows = diff_n_rows(diff), size = sizeof(Delta) + n_rows * sizeof(DeltaRow);
        const Region *region = NULL;
        int8_t sign;

        for (size_t i = 0; i < n_rows && size <= size_max; i++) {
                const Section *section = diff_row(diff, i, &sign);

                if (section->region != region)
                        size += strlen(section->region->name) + 1;
                region = section->region;
        }
        return size;
}

static void delta_fill(Delta *delta, const Diff *diff, size_t n_rows) {
        char *behind = (char *)&delta->rows[n_rows], *name = behind;
        const Region *region = NULL;

        for (size_t i = 0; i < n_rows; i++) {
                DeltaRow *row = &delta->rows[i];
                const Section *section = diff_row(diff, i, &row->sign);

                if (section->region != region) {
                        region = section->region;
                        name = behind;
                        behind = stpcpy(name, region->name) + 1;
                }
                row->range = section->range;
                row->offset = section->offset;
                row->backing = region->backing ? region->backing->id : 0;
                row->region = name;
                row->kind = section->kind;
                row->flags = section->flags;
        }
        delta->n_rows = n_rows;
        if (diff->n_relogged > 0)
                qsort(delta->rows, n_rows, sizeof(*delta->rows), compare_rows);
}

static Delta *delta_new(const Diff *diff, size_t size_max) {
        size_t n_rows = diff_n_rows(diff), size = delta_size(diff, size_max);
        Delta *delta;

        if (size > size_max) {
                n_rows = 0;
                size = sizeof(*delta);
        }
        delta = malloc(size);
        if (!delta)
                return NULL;
        *delta = (Delta){.size = size};
        delta_fill(delta, diff, n_rows);
        return delta;
}

/* Where a delta begins. A space that is new, or was not there for a while, was empty till now. */
static uint64_t delta_since(const History *history, PastSpace *space, uint64_t since) {
        if (!cds_list_empty(&space->deltas))
                return cds_list_entry(space->deltas.prev, Delta, siblings)->generation;
        return since > 0 ? since : history->floor;
}

static int add_change(History *history, const SpaceChange *change, uint64_t generation) {
        PastSpace *space = get_space(history, change->space);
        Delta *delta;

        if (!space)
                return -ENOMEM;
        delta = delta_new(change->diff, history->size_max / 4);
        if (!delta) {
                drop_space(history, space);
                return -ENOMEM;
        }
        delta->since = delta_since(history, space, change->since);
        delta->generation = generation;
        delta->space = space;
        cds_list_add_tail(&delta->link, &history->deltas);
        cds_list_add_tail(&delta->siblings, &space->deltas);
        history->size += delta->size;
        return 0;
}

void history_add(History *history, const Commit *commit) {
        for (size_t i = 0; i < commit->n_changes; i++) {
                /* Else it was ioeventfds alone: no section came or went. */
                if (!diff_has_sections(commit->changes[i].diff))
                        continue;
                if (add_change(history, &commit->changes[i], commit->generation) < 0) {
                        forget_all(history, commit->generation);
                        return;
                }
        }
        while (history->size > history->size_max)
                forget_oldest(history);
}

/* Asking */

const Delta *history_next(const History *history, const Delta *delta) {
        if (delta->link.next == &history->deltas)
                return NULL;
        return cds_list_entry(delta->link.next, Delta, link);
}

const Delta *history_from(const History *history, uint64_t generation) {
        const Delta *first = NULL;
        Delta *delta;

        cds_list_for_each_entry_reverse(delta, &history->deltas, link) {
                if (delta->generation < generation)
                        break;
                first = delta;
        }
        return first;
}

size_t history_n_rows(const History *history, uint64_t generation) {
        size_t n_rows = 0;

        if (history->floor >= generation)
                return SIZE_MAX;
        for (const Delta *delta = history_from(history, generation); delta;
             delta = history_next(history, delta)) {
                if (delta->n_rows == 0)
                        return SIZE_MAX;
                n_rows += delta->n_rows;
        }
        return n_rows;
}

/* A net change, as far back as it has been looked at. */

typedef struct Net Net;
typedef struct NetRow NetRow;

struct NetRow {
        RB_ENTRY(NetRow) entry;
        DeltaRow row;
};

RB_HEAD(NetRows, NetRow);

struct Net {
        struct NetRows rows;
        size_t n;
};

static int compare_net_rows(const NetRow *a, const NetRow *b) {
        return compare_sections(&a->row, &b->row);
}

RB_GENERATE_STATIC(NetRows, NetRow, entry, compare_net_rows)

static void net_remove(Net *net, NetRow *row) {
        RB_REMOVE(NetRows, &net->rows, row);
        net->n--;
        free(row);
}

static void net_deinit(Net *net) {
        NetRow *row, *next;

        RB_FOREACH_SAFE(row, NetRows, &net->rows, next)
                net_remove(net, row);
}

/*
 * One and the same section is in a view or not, so that it comes and goes by turns: if it is there
 * already it went or came later on, and the two are nothing.
 */
static int net_add_row(Net *net, const DeltaRow *row) {
        NetRow *added, *inverse;

        added = malloc(sizeof(*added));
        if (!added)
                return -ENOMEM;
        added->row = *row;
        inverse = RB_INSERT(NetRows, &net->rows, added);
        if (inverse) {
                free(added);
                net_remove(net, inverse);
        } else
                net->n++;
        return net->n > HISTORY_NET_ROWS_MAX ? HISTORY_E_FORGOTTEN : 0;
}

/* Backwards: in a commit, too, what goes does so before anything comes. */
static int net_add_delta(Net *net, const Delta *delta) {
        int r = delta->n_rows > 0 ? 0 : HISTORY_E_FORGOTTEN;

        for (size_t i = delta->n_rows; r == 0 && i > 0; i--)
                r = net_add_row(net, &delta->rows[i - 1]);
        return r;
}

static int net_add_space(Net *net, const History *history, const char *name, uint64_t since) {
        const PastSpace *space = find_space(history, name);
        uint64_t reached = history->floor;
        Delta *delta;
        int r = 0;

        if (space)
                cds_list_for_each_entry_reverse(delta, &space->deltas, siblings) {
                        if (r != 0 || delta->generation <= since)
                                break;
                        r = net_add_delta(net, delta);
                        reached = MIN_OF(reached, delta->since);
                }
        return r == 0 && reached > since ? HISTORY_E_FORGOTTEN : r;
}

int history_compose(const History *history, const char *space, uint64_t since, DeltaRow **ret_rows,
                    size_t *ret_n_rows) {
        _cleanup_(net_deinit) Net net = {};
        NetRow *row;
        size_t n = 0;
        int r;

        r = net_add_space(&net, history, space, since);
        if (r != 0)
                return r;
        *ret_rows = reallocarray(NULL, net.n + 1, sizeof(**ret_rows));
        if (!*ret_rows)
                return -ENOMEM;
        RB_FOREACH(row, NetRows, &net.rows)
                (*ret_rows)[n++] = row->row;
        *ret_n_rows = n;
        return 0;
}
