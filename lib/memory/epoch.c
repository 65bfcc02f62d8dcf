/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdbool.h>

#include "lib/memory/epoch.h"
#include "lib/memory/view-tree.h"

int epoch_new(Epoch **ret) {
        Epoch *epoch;

        epoch = calloc(1, sizeof(*epoch));
        if (!epoch)
                return -ENOMEM;
        urcu_ref_init(&epoch->ref);
        CDS_INIT_LIST_HEAD(&epoch->nodes);
        *ret = epoch;
        return 0;
}

Epoch *epoch_ref(Epoch *epoch) {
        if (epoch)
                urcu_ref_get(&epoch->ref);
        return epoch;
}

void hidden_free(Hidden *hidden, size_t n) {
        for (size_t i = 0; hidden && i < n; i++) {
                region_unref(hidden[i].region);
                ioeventfd_unref(hidden[i].ioeventfd);
                coalesced_unref(hidden[i].coalesced);
        }
        free(hidden);
}

static void epoch_free(Epoch *epoch) {
        hidden_free(epoch->hidden, epoch->n_hidden);
        view_nodes_free(&epoch->nodes);
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

void epoch_close(Epoch *epoch, Epoch *next, Hidden *hidden, size_t n_hidden) {
        epoch->next = epoch_ref(next);
        epoch->hidden = hidden;
        epoch->n_hidden = n_hidden;
}
