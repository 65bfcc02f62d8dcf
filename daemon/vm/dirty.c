/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A file is sealed before it is filled, through a mapping that the seal lets be: once bits have
 * been cleared nothing can fail any more.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/vm/dirty.h"
#include "daemon/vm/dump.h"
#include "lib/util/array.h"
#include "lib/util/string-table.h"

typedef struct Bitmaps Bitmaps;

/* The file while it is filled. */
struct Bitmaps {
        int fd;
        uint8_t *at;
        size_t size;
};

static void bitmaps_deinit(Bitmaps *bitmaps) {
        if (bitmaps->at)
                munmap(bitmaps->at, bitmaps->size);
        safe_close(bitmaps->fd);
}

static int bitmaps_seal(int fd) {
        int seals = F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

        return fcntl(fd, F_ADD_SEALS, seals) < 0 ? -errno : 0;
}

/* On failure the file is still to be closed. */
static int bitmaps_make(Bitmaps *bitmaps, size_t size) {
        void *at;
        int r;

        r = dump_open("dirty", &bitmaps->fd);
        if (r < 0)
                return r;
        if (ftruncate(bitmaps->fd, (off_t)size) < 0)
                return -errno;
        at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bitmaps->fd, 0);
        if (at == MAP_FAILED)
                return -errno;
        bitmaps->at = at;
        bitmaps->size = size;
        return bitmaps_seal(bitmaps->fd);
}

static int bitmaps_init(Bitmaps *bitmaps, size_t size, Detail *detail) {
        int r;

        *bitmaps = (Bitmaps){.fd = -1};
        r = bitmaps_make(bitmaps, size);
        return r == 0 ? 0
                      : detail_set(detail, MAP_E_NO_MEMORY, "dirty pages: no memfd to be had: %s",
                                   strerror(-r));
}

/* What is not cleared is found once more by who asks next. */
static void note_found(VM *vm, bool clear, uint64_t n_pages) {
        vm->counters.dirty_pages += clear ? n_pages : 0;
}

int dirty_get_region(VM *vm, const Region *region, bool clear, int *ret_fd, Detail *detail) {
        uint64_t n_pages = (region->state.size - 1) / vm->accelerator->page_size + 1;
        _cleanup_(bitmaps_deinit) Bitmaps bitmaps = {.fd = -1};
        int r;

        if (!region->backing || !page_log_has(&region->backing->log, PAGE_LOG_REGION))
                return detail_set(detail, VM_E_NOT_SUPPORTED,
                                  "region \"%s\": its dirty log was never started", region->name);
        r = bitmaps_init(&bitmaps, page_log_words(n_pages) * sizeof(uint64_t), detail);
        if (r == 0)
                r = dirty_log_sync(vm->dirty_log, region->backing, clear, detail);
        if (r != 0)
                return r;
        note_found(vm, clear,
                   page_log_read(&region->backing->log, PAGE_LOG_REGION, n_pages, clear,
                                 (uint64_t *)bitmaps.at));
        *ret_fd = TAKE_FD(bitmaps.fd);
        return 0;
}

/* The backings whose pages have been logged for the VM. */
typedef struct Logged {
        Backing **items;
        size_t n;
        size_t allocated;
} Logged;

static void logged_deinit(Logged *logged) {
        free(logged->items);
}

static int compare_id(const void *a, const void *b) {
        uint64_t left = (*(Backing *const *)a)->id, right = (*(Backing *const *)b)->id;

        return (left > right) - (left < right);
}

static int logged_find(Logged *logged, Map *map) {
        Region *region;
        int r;

        map_check_in(map);
        cds_list_for_each_entry(region, &map->backed, link) {
                if (!page_log_has(&region->backing->log, PAGE_LOG_VM))
                        continue;
                r = array_reserve(&logged->items, &logged->allocated, logged->n, 1);
                if (r < 0)
                        return r;
                logged->items[logged->n++] = region->backing;
        }
        if (logged->n > 1)
                qsort(logged->items, logged->n, sizeof(*logged->items), compare_id);
        return 0;
}

static size_t rows_end(const Logged *logged) {
        return sizeof(DirtyIndex) + logged->n * sizeof(DirtyRow);
}

static size_t file_size(const Logged *logged) {
        size_t size = rows_end(logged);

        for (size_t i = 0; i < logged->n; i++)
                size += page_log_words(logged->items[i]->log.n_pages) * sizeof(uint64_t);
        return size;
}

static void fill(const Bitmaps *bitmaps, VM *vm, const Logged *logged, bool clear) {
        DirtyIndex *index = (DirtyIndex *)bitmaps->at;
        DirtyRow *rows = (DirtyRow *)(index + 1);
        size_t offset = rows_end(logged);

        *index = (DirtyIndex){
                .magic = "gmdirty\1",
                .generation = vm->map->generation,
                .page_size = vm->accelerator->page_size,
                .n_rows = logged->n,
        };
        for (size_t i = 0; i < logged->n; i++) {
                PageLog *log = &logged->items[i]->log;

                rows[i] = (DirtyRow){
                        .backing = logged->items[i]->id,
                        .n_pages = log->n_pages,
                        .n_dirty = page_log_read(log, PAGE_LOG_VM, log->n_pages, clear,
                                                 (uint64_t *)(bitmaps->at + offset)),
                        .offset = offset,
                };
                note_found(vm, clear, rows[i].n_dirty);
                offset += page_log_words(log->n_pages) * sizeof(uint64_t);
        }
}

int dirty_get_vm(VM *vm, bool clear, int *ret_fd, Detail *detail) {
        _cleanup_(bitmaps_deinit) Bitmaps bitmaps = {.fd = -1};
        _cleanup_(logged_deinit) Logged logged = {};
        int r;

        r = logged_find(&logged, vm->map);
        if (r < 0)
                return r;
        if (logged.n == 0 && vm->map->log_global == 0)
                return detail_set(detail, VM_E_NOT_SUPPORTED,
                                  "VM \"%s\": its dirty log was never started", vm->name);
        r = bitmaps_init(&bitmaps, file_size(&logged), detail);
        if (r == 0)
                r = dirty_log_sync(vm->dirty_log, NULL, clear, detail);
        if (r != 0)
                return r;
        fill(&bitmaps, vm, &logged, clear);
        *ret_fd = TAKE_FD(bitmaps.fd);
        return 0;
}

int dirty_reason_from_string(const char *word, unsigned *ret, Detail *detail) {
        static const char *const reasons[] = {"migration", "rate"};
        int i = string_table_find(reasons, ELEMENTS_OF(reasons), word);

        if (i < 0)
                return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                  "reason \"%.64s\" is neither \"migration\" nor \"rate\"", word);
        *ret = 1u << i;
        return 0;
}
