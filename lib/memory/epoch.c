/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdbool.h>

#include "lib/memory/epoch.h"

int epoch_new(Epoch **ret) {
        Epoch *epoch;

        epoch = calloc(1, sizeof(*epoch));
        if (!epoch)
                return -ENOMEM;
        urcu_ref_init(&epoch->ref);
        *ret = epoch;
        return 0;
}

Epoch *epoch_ref(Epoch *epoch) {
        if (epoch)
                urcu_ref_get(&epoch->ref);
        return epoch;
}

static void epoch_free(Epoch *epoch) {
        for (size_t i = 0; i < epoch->n_regions; i++)
                region_unref(epoch->regions[i]);
        free(epoch->regions);
        free(epoch);
}

/* A chain may be as long as the commits that a reader slept through: no recursion. */
Epoch *epoch_unref(Epoch *epoch) {
        while (epoch && uatomic_sub_return(&epoch->ref.refcount, 1) == 0) {
                Epoch *next = epoch->next;

                epoch_free(epoch);
                epoch = next;
        }
        return NULL;
}

void epoch_close(Epoch *epoch, Epoch *next, Region **regions, size_t n_regions) {
        epoch->next = epoch_ref(next);
        epoch->regions = regions;
        epoch->n_regions = n_regions;
}
