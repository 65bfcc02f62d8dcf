/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Regions with memory; see memory.h. */

#include "tests/common/memory.h"

void must_add_memory(Map *map, Edit edit) {
        _cleanup_(backing_unrefp) Backing *backing = NULL;
        static uint64_t last_id;
        Detail detail = {};

        if (backing_new_memfd(&backing, ++last_id, edit.name, edit.size, NULL, &detail) != 0) {
                fprintf(stderr, "%s\n", detail.text);
                abort();
        }
        edit.backing = backing;
        must_edit(map, edit);
}

uint8_t *must_host(Map *map, const char *name) {
        return must_find(map, name)->backing->host;
}
