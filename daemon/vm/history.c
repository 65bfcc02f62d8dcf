/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "daemon/vm/history.h"
#include "lib/memory/diff.h"

void history_init(History *history, uint64_t generation) {
        *history = (History){.floor = generation};
        CDS_INIT_LIST_HEAD(&history->deltas);
}

static void history_forget(History *history, Delta *delta) {
        if (delta->generation > history->floor)
                history->floor = delta->generation;
        history->n_deltas--;
        history->n_rows -= delta->n_rows;
        cds_list_del(&delta->link);
        free(delta);
}

static Delta *history_oldest(History *history) {
        return cds_list_first_entry(&history->deltas, Delta, link);
}

static void history_forget_all(History *history, uint64_t generation) {
        while (!cds_list_empty(&history->deltas))
                history_forget(history, history_oldest(history));
        history->floor = generation;
}

void history_deinit(History *history) {
        history_forget_all(history, history->floor);
}

/* Order of rows that no two sections of one view share. */
static int row_compare(const void *a, const void *b) {
        const DeltaRow *x = a, *y = b;
        int r;

        if (x->range.first != y->range.first)
                return x->range.first < y->range.first ? -1 : 1;
        if (x->range.last != y->range.last)
                return x->range.last < y->range.last ? -1 : 1;
        if (x->offset != y->offset)
                return x->offset < y->offset ? -1 : 1;
        if (x->backing != y->backing)
                return x->backing < y->backing ? -1 : 1;
        if (x->kind != y->kind)
                return x->kind < y->kind ? -1 : 1;
        if (x->flags != y->flags)
                return x->flags < y->flags ? -1 : 1;
        r = strcmp(x->region, y->region);
        if (r != 0)
                return r;
        return x->sign - y->sign;
}

static bool row_same(const DeltaRow *a, const DeltaRow *b) {
        DeltaRow x = *a;

        x.sign = b->sign;
        return row_compare(&x, b) == 0;
}

static size_t diff_n_rows(const Diff *diff) {
        return diff->removed.n + diff->added.n + 2 * diff->n_relogged;
}

static size_t section_name_size(const Section *section) {
        return strlen(section->region->name) + 1;
}

static size_t diff_names_size(const Diff *diff) {
        size_t size = 0;

        for (size_t i = 0; i < diff->removed.n; i++)
                size += section_name_size(&diff->removed.items[i]);
        for (size_t i = 0; i < diff->added.n; i++)
                size += section_name_size(&diff->added.items[i]);
        for (size_t i = 0; i < diff->n_relogged; i++)
                size += 2 * section_name_size(&diff->relogged[i].old);
        return size;
}

static void delta_append(Delta *delta, const Section *section, int sign, char **names) {
        DeltaRow *row = &delta->rows[delta->n_rows++];

        *row = (DeltaRow){
                .range = section->range,
                .offset = section->offset,
                .backing = section->region->backing ? section->region->backing->id : 0,
                .region = *names,
                .kind = section->kind,
                .flags = section->flags,
                .sign = (int8_t)sign,
        };
        *names = stpcpy(*names, section->region->name) + 1;
}

/* To whoever keeps a list, a section whose dirty logging changed is another one. */
static int delta_new(Delta **ret, const SpaceChange *change, uint64_t generation) {
        const Diff *diff = change->diff;
        size_t n_rows = diff_n_rows(diff);
        Delta *delta;
        char *names;

        delta = malloc(sizeof(*delta) + n_rows * sizeof(*delta->rows) + diff_names_size(diff) +
                       strlen(change->space) + 1);
        if (!delta)
                return -ENOMEM;
        names = (char *)&delta->rows[n_rows];
        *delta = (Delta){.generation = generation, .space = names};
        names = stpcpy(names, change->space) + 1;
        for (size_t i = 0; i < diff->removed.n; i++)
                delta_append(delta, &diff->removed.items[i], -1, &names);
        for (size_t i = 0; i < diff->added.n; i++)
                delta_append(delta, &diff->added.items[i], 1, &names);
        for (size_t i = 0; i < diff->n_relogged; i++) {
                delta_append(delta, &diff->relogged[i].old, -1, &names);
                delta_append(delta, &diff->relogged[i].new, 1, &names);
        }
        qsort(delta->rows, delta->n_rows, sizeof(*delta->rows), row_compare);
        *ret = delta;
        return 0;
}

static size_t commit_n_rows(const Commit *commit) {
        size_t n = 0;

        for (size_t i = 0; i < commit->n_changes; i++)
                n += diff_n_rows(commit->changes[i].diff);
        return n;
}

void history_add(History *history, const Commit *commit) {
        if (commit->n_changes > HISTORY_DELTAS_MAX || commit_n_rows(commit) > HISTORY_ROWS_MAX) {
                history_forget_all(history, commit->generation);
                return;
        }
        for (size_t i = 0; i < commit->n_changes; i++) {
                Delta *delta;

                /* Ioeventfds alone: no section came or went. */
                if (diff_n_rows(commit->changes[i].diff) == 0)
                        continue;
                if (delta_new(&delta, &commit->changes[i], commit->generation) < 0) {
                        history_forget_all(history, commit->generation);
                        return;
                }
                cds_list_add_tail(&delta->link, &history->deltas);
                history->n_deltas++;
                history->n_rows += delta->n_rows;
        }
        while (history->n_deltas > HISTORY_DELTAS_MAX || history->n_rows > HISTORY_ROWS_MAX)
                history_forget(history, history_oldest(history));
}

bool history_reaches(const History *history, uint64_t generation) {
        return generation >= history->floor;
}

const Delta *history_next(const History *history, const Delta *delta) {
        if (delta->link.next == &history->deltas)
                return NULL;
        return cds_list_entry(delta->link.next, Delta, link);
}

const Delta *history_first(const History *history, uint64_t generation) {
        const Delta *first = NULL;
        Delta *delta;

        /* From the end: what is asked for is nearly always the latest. */
        cds_list_for_each_entry_reverse(delta, &history->deltas, link) {
                if (delta->generation < generation)
                        break;
                first = delta;
        }
        return first;
}

/*
 * An identical section is in a view or not, so that its comings and goings alternate: their sum
 * says whether it came, went, or is as it was.
 */
static size_t rows_reduce(DeltaRow *rows, size_t n_rows) {
        size_t n = 0;

        for (size_t i = 0, next; i < n_rows; i = next) {
                int sum = 0;

                for (next = i; next < n_rows && row_same(&rows[i], &rows[next]); next++)
                        sum += rows[next].sign;
                if (sum == 0)
                        continue;
                rows[n] = rows[i];
                rows[n++].sign = (int8_t)sum;
        }
        return n;
}

int history_compose(const History *history, const char *space, uint64_t since, DeltaRow **ret_rows,
                    size_t *ret_n_rows) {
        DeltaRow *rows;
        size_t n_rows = 0;

        rows = malloc((history->n_rows + 1) * sizeof(*rows));
        if (!rows)
                return -ENOMEM;
        for (const Delta *delta = history_first(history, since + 1); delta;
             delta = history_next(history, delta)) {
                if (strcmp(delta->space, space) != 0)
                        continue;
                memcpy(rows + n_rows, delta->rows, delta->n_rows * sizeof(*rows));
                n_rows += delta->n_rows;
        }
        qsort(rows, n_rows, sizeof(*rows), row_compare);
        *ret_rows = rows;
        *ret_n_rows = rows_reduce(rows, n_rows);
        return 0;
}
