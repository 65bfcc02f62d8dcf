/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a guest may find at each address; see byte-model.h. */

#include <inttypes.h>
#include <string.h>

#include "lib/util/array.h"
#include "tests/kvm/byte-model.h"
#include "tests/property/oracle.h"

enum { REGISTER = 8, ALL_ONES = 0xff };

/* What somebody keeps: the bytes that he should have. They repeat from the first on. */
struct Store {
        uint8_t *bytes;
        uint64_t size;
        Backing *backing; /* either */
        Handler *handler; /* or; it is called for what it has */
        bool constant;
};

struct Spot {
        Store *read; /* NULL: nobody answers */
        Store *write;
        uint64_t offset; /* of the unit's first byte in either */
};

struct Doubt {
        uint8_t *cells[2]; /* NULL: nowhere, or it has been overwritten there */
        uint8_t byte;
        bool may_be_gone;
};

static void *must(void *memory) {
        if (!memory)
                abort();
        return memory;
}

void byte_model_init(ByteModel *model, uint64_t base, uint64_t unit, size_t n_units) {
        *model = (ByteModel){.base = base, .unit = unit, .n_units = n_units};
        model->before = must(calloc(n_units, sizeof(*model->before)));
        model->after = must(calloc(n_units, sizeof(*model->after)));
}

void byte_model_deinit(ByteModel *model) {
        for (size_t i = 0; i < model->n_stores; i++) {
                backing_unref(model->stores[i]->backing);
                handler_unref(model->stores[i]->handler);
                free(model->stores[i]->bytes);
                free(model->stores[i]);
        }
        free(model->stores);
        free(model->doubts);
        free(model->before);
        free(model->after);
}

/* Stores */

static uint64_t handler_has(Handler *handler) {
        uint64_t value;
        Detail reason;

        if (handler_read(handler, 0, REGISTER, &value, NULL, &reason) != 0)
                abort();
        return value;
}

static void add_store(ByteModel *model, Store store, const void *bytes) {
        store.bytes = must(malloc(store.size));
        memcpy(store.bytes, bytes, store.size);
        if (array_reserve(&model->stores, &model->n_stores_allocated, model->n_stores, 1) != 0)
                abort();
        model->stores[model->n_stores] = must(malloc(sizeof(store)));
        *model->stores[model->n_stores++] = store;
}

void byte_model_add_memory(ByteModel *model, Backing *backing) {
        add_store(model, (Store){.size = backing->size, .backing = backing_ref(backing)},
                  backing->host);
}

void byte_model_add_handler(ByteModel *model, Handler *handler) {
        bool constant = strcmp(handler->ops->kind, "constant") == 0;
        uint64_t value = handler_has(handler);

        add_store(model,
                  (Store){.size = REGISTER, .handler = handler_ref(handler), .constant = constant},
                  &value);
}

static Store *find_store(const ByteModel *model, const Backing *backing, const Handler *handler) {
        for (size_t i = 0; i < model->n_stores; i++)
                if (model->stores[i]->backing == backing && model->stores[i]->handler == handler)
                        return model->stores[i];
        return NULL;
}

/* Spots */

static Spot spot_of(const ByteModel *model, const Seen *seen) {
        const Region *region = seen->region;
        Store *memory, *handler;

        if (!region)
                return (Spot){};
        memory = find_store(model, region->backing, NULL);
        handler = find_store(model, NULL, region->handler);
        switch (region->kind) {
        case REGION_RAM:
                return (Spot){memory, seen->flags & REGION_READONLY ? NULL : memory, seen->offset};
        case REGION_ROMD:
                return (Spot){seen->flags & REGION_DIRECT_READ ? memory : handler,
                              handler && !handler->constant ? handler : NULL, seen->offset};
        case REGION_MMIO:
                return (Spot){handler, handler && !handler->constant ? handler : NULL,
                              seen->offset};
        default:
                return (Spot){};
        }
}

bool byte_model_look(ByteModel *model, Map *map, const Region *root) {
        Spot *spots = must(calloc(model->n_units, sizeof(*spots)));
        bool seen_all = true;
        Oracle oracle;
        Seen seen;

        oracle_init(&oracle, map);
        for (size_t i = 0; i < model->n_units && seen_all; i++) {
                seen_all = oracle_see(&oracle, root, i * model->unit, &seen);
                spots[i] = spot_of(model, &seen);
        }
        oracle_deinit(&oracle);
        if (!seen_all) {
                free(spots);
                return false;
        }
        free(model->before);
        model->before = model->after;
        model->after = spots;
        return true;
}

static uint8_t *cell_at(const ByteModel *model, bool before, bool write, uint64_t address) {
        uint64_t at = address - model->base;
        const Spot *spot;
        const Store *store;

        if (address < model->base || at / model->unit >= model->n_units)
                return NULL;
        spot = (before ? model->before : model->after) + at / model->unit;
        store = write ? spot->write : spot->read;
        return store ? &store->bytes[(spot->offset + at % model->unit) % store->size] : NULL;
}

/* Accesses */

static bool may_be(const ByteModel *model, const uint8_t *cell, uint8_t byte) {
        if (!cell)
                return byte == ALL_ONES;
        if (*cell == byte)
                return true;
        for (size_t i = 0; i < model->n_doubts; i++) {
                const Doubt *doubt = &model->doubts[i];

                if (doubt->byte == byte && (doubt->cells[0] == cell || doubt->cells[1] == cell))
                        return true;
        }
        return false;
}

bool byte_model_may_read(const ByteModel *model, Moment moment, uint64_t address, uint8_t byte) {
        if (moment != MOMENT_AFTER && may_be(model, cell_at(model, true, false, address), byte))
                return true;
        return moment != MOMENT_BEFORE &&
               may_be(model, cell_at(model, false, false, address), byte);
}

/* What was in doubt there may be gone; it is, if the cell is written for certain. */
static void overwrite(ByteModel *model, const uint8_t *cell, bool certain) {
        if (!cell)
                return;
        for (size_t i = 0; i < model->n_doubts; i++) {
                Doubt *doubt = &model->doubts[i];

                for (int side = 0; side < 2; side++)
                        if (doubt->cells[side] == cell) {
                                doubt->may_be_gone = true;
                                if (certain)
                                        doubt->cells[side] = NULL;
                        }
        }
}

void byte_model_write(ByteModel *model, Moment moment, uint64_t address, uint8_t byte) {
        uint8_t *before = cell_at(model, moment != MOMENT_AFTER, true, address);
        uint8_t *after = cell_at(model, moment == MOMENT_BEFORE, true, address);

        overwrite(model, before, before == after);
        overwrite(model, after, before == after);
        if (before == after) {
                if (before)
                        *before = byte;
                return;
        }
        if (array_reserve(&model->doubts, &model->n_doubts_allocated, model->n_doubts, 1) != 0)
                abort();
        model->doubts[model->n_doubts++] =
                (Doubt){{before, after}, byte, .may_be_gone = !before || !after};
}

/* Looking at what there is */

static bool settle_bytes(const ByteModel *model, Store *store, const uint8_t *actual,
                         Detail *detail) {
        if (memcmp(store->bytes, actual, store->size) == 0)
                return true;
        for (uint64_t i = 0; i < store->size; i++)
                if (!may_be(model, &store->bytes[i], actual[i]))
                        return detail_set(detail, false,
                                          "byte 0x%" PRIx64 " of a %s is 0x%02x, not 0x%02x", i,
                                          store->backing ? "backing" : store->handler->ops->kind,
                                          actual[i], store->bytes[i]);
        memcpy(store->bytes, actual, store->size);
        return true;
}

static bool settle_store(const ByteModel *model, Store *store, Detail *detail) {
        uint64_t value;

        if (store->backing)
                return settle_bytes(model, store, store->backing->host, detail);
        value = handler_has(store->handler);
        return settle_bytes(model, store, (const uint8_t *)&value, detail);
}

bool byte_model_settle(ByteModel *model, Detail *detail) {
        for (size_t i = 0; i < model->n_stores; i++)
                if (!settle_store(model, model->stores[i], detail))
                        return false;
        for (size_t i = 0; i < model->n_doubts; i++) {
                const Doubt *doubt = &model->doubts[i];

                if (!doubt->may_be_gone && *doubt->cells[0] != doubt->byte &&
                    *doubt->cells[1] != doubt->byte)
                        return detail_set(detail, false, "a byte 0x%02x was written nowhere",
                                          doubt->byte);
        }
        model->n_doubts = 0;
        return true;
}
