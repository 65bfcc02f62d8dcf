/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "daemon/vm/equip.h"
#include "daemon/vm/fd-store.h"
#include "daemon/vm/journal-record.h"
#include "daemon/vm/recovery.h"
#include "daemon/vm/startup.h"
#include "daemon/vm/vcpus.h"
#include "lib/memory/handler-socket.h"
#include "lib/memory/populate.h"

/* What the journal of a durable VM is called once that is destroyed. */
#define DESTROYED_NAME "destroyed"

static int find_memory(VM *vm, const Region *region, const Cancel *cancel, Detail *detail) {
        Backing *backing = region->backing;
        int r, fd;

        if (!backing || !backing_is_absent(backing))
                return 0;
        fd = fd_store_find(vm->store, "backing", backing->stored);
        if (fd < 0)
                vm->lost |= VM_LOST_MEMORY;
        r = fd < 0 ? backing_renew(backing, region->name, detail)
                   : backing_adopt(backing, region->name, fd, detail);
        if (r == 0 && backing->spec.prealloc)
                r = backing_populate(backing, region->name, cancel, detail);
        return r != 0 ? r : vm_keep_backing(vm, region->name, backing, detail);
}

static int find_ioeventfd(VM *vm, const Region *region, IOEventFD *ioeventfd, Detail *detail) {
        int fd;

        if (ioeventfd->fd >= 0)
                return 0;
        fd = fd_store_find(vm->store, "ioeventfd", ioeventfd->stored);
        if (fd < 0)
                vm->lost |= VM_LOST_IOEVENTFDS;
        ioeventfd->fd =
                fd < 0 ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (ioeventfd->fd < 0)
                return -errno;
        return vm_keep_ioeventfd(vm, region->name, ioeventfd, detail);
}

static int find_ioeventfds(VM *vm, const Region *region, Detail *detail) {
        IOEventFD *ioeventfd = ioeventfds_first(&region->ioeventfds, 0);
        int r = 0;

        for (; r == 0 && ioeventfd; ioeventfd = ioeventfd_next(ioeventfd))
                r = find_ioeventfd(vm, region, ioeventfd, detail);
        return r;
}

static int find_socket(VM *vm, const Region *region, Detail *detail) {
        Handler *handler = region->handler;

        if (handler && handler->stored == HANDLER_SOCKET_LOST)
                vm->lost |= VM_LOST_HANDLERS;
        if (!handler_is_socket(handler))
                return 0;
        return vm_keep_socket(vm, region->name, handler, detail);
}

/* What regions need from the host, those that there are in the end. */
static int find_descriptors(VM *vm, const Cancel *cancel, Detail *detail) {
        Region *region;
        int r = 0;

        RB_FOREACH(region, RegionsByName, &vm->map->regions) {
                r = find_memory(vm, region, cancel, detail);
                if (r == 0)
                        r = find_ioeventfds(vm, region, detail);
                if (r == 0)
                        r = find_socket(vm, region, detail);
                if (r != 0)
                        break;
        }
        return r != 0 ? r : fd_store_settle(vm->store, detail);
}

/* Brings what is in the tree into force, as that generation. On failure it is still there. */
static int commit_at(VM *vm, uint64_t generation, Detail *detail) {
        _cleanup_(commit_freep) Commit *commit = NULL;
        uint64_t place = vm->map->last_place;
        int r;

        if (map_is_unchanged(vm->map)) {
                map_rollback(vm->map, 0);
                vm->map->last_place = place;
                map_set_generation(vm->map, generation);
                return 0;
        }
        if (generation == 0)
                return detail_set(detail, VM_E_DAMAGED, "there are edits, and no generation");
        map_set_generation(vm->map, generation - 1);
        r = commit_new(&commit, vm->map, detail);
        return r != 0 ? r : commit_apply(commit, detail);
}

/*
 * The outcomes of a commit that was written to the journal and then could not be applied. What else
 * stands in the way now, memory above all, did not then, and may be gone for the next process.
 */
static bool is_refused(int r) {
        return r == MAP_E_KVM || r == MAP_E_NO_SLOTS;
}

/* Without its last commit if it has to be, and another one comes before. */
static int commit(Replay *replay, const Cancel *cancel, Detail *dropped, Detail *detail) {
        VM *vm = replay->vm;
        int r;

        r = find_descriptors(vm, cancel, detail);
        if (r != 0)
                return r;
        r = commit_at(vm, replay->now.generation, detail);
        if (!is_refused(r) || replay->now.confirmed || replay->before.generation == 0)
                return r;
        *dropped = *detail;
        replay->now = replay->before;
        vm->lost = 0;
        map_rollback(vm->map, replay->before.mark);
        r = find_descriptors(vm, cancel, detail);
        return r != 0 ? r : commit_at(vm, replay->now.generation, detail);
}

static int continue_journal(const Replay *replay, const char *directory) {
        _cleanup_(journal_freep) Journal *journal = NULL;
        int r;

        r = journal_open(&journal, directory, replay->durable, replay->now.end,
                         replay->now.sequence);
        if (r < 0)
                return r;
        journal->snapshot = replay->snapshot;
        r = record_new(&replay->vm->record, journal);
        if (r == 0)
                TAKE_PTR(journal);
        return r;
}

static int recover_from(Recovered *ret, const char *directory, FDStore *store, Detail *detail) {
        _cleanup_(replay_deinit) Replay replay = {.store = store};
        _cleanup_(startup_deinit) Startup startup;
        _cleanup_(freep) char *bytes = NULL;
        size_t length;
        int r;

        startup_init(&startup);
        r = journal_read(directory, JOURNAL_NAME, &bytes, &length);
        if (r == -ENOENT)
                return 0;
        if (r == 0)
                r = journal_replay(&replay, bytes, length, detail);
        memcpy(ret->name, replay.name, sizeof(ret->name));
        if (r == 0)
                r = commit(&replay, &startup.cancel, &ret->dropped, detail);
        if (r == 0)
                r = continue_journal(&replay, directory);
        if (r > 0)
                detail_prefix(detail, "%s/journal: ", directory);
        if (r != 0 && r != VM_E_DAMAGED)
                return r;
        if (r == VM_E_DAMAGED && replay.vm)
                map_set_generation(replay.vm->map, replay.now.generation);
        ret->torn = replay.torn;
        ret->where = replay.where;
        ret->vm = TAKE_PTR(replay.vm);
        return r;
}

/* What is no commit, as it was. */
static int recover_facts(VM *vm, const char *directory, Detail *detail) {
        int r;

        vm->directory = directory;
        if (!directory)
                return 0;
        r = facts_read(&vm->facts, directory, detail);
        if (r > 0)
                detail_prefix(detail, "%s/" FACTS_NAME ": ", directory);
        if (r == 0 && vm->facts.dirty_log != 0)
                r = map_log_global_start(vm->map, (unsigned)vm->facts.dirty_log, detail);
        if (r != 0)
                return r;
        if (vm->facts.paused)
                vcpus_pause(vm->vcpus);
        return 0;
}

/* What another process noted of written pages has gone with it: all of them count as written. */
static void mark_memory(VM *vm) {
        Region *region;

        cds_list_for_each_entry(region, &vm->map->backed, link)
                backing_mark(region->backing, 0, region->backing->size);
}

static VM *identify_in(const char *directory) {
        _cleanup_(replay_deinit) Replay replay = {.accelerator = "none"};
        _cleanup_(freep) char *bytes = NULL;
        size_t length;

        if (journal_read(directory, JOURNAL_NAME, &bytes, &length) == 0)
                (void)journal_replay(&replay, bytes, length, NULL);
        if (replay.vm)
                map_set_generation(replay.vm->map, replay.now.generation);
        return TAKE_PTR(replay.vm);
}

/* Who it was that cannot be made now: to know that takes no more than the journal. */
static VM *identify(const Places *places) {
        VM *vm = places->state ? identify_in(places->state) : NULL;

        return vm || !places->runtime ? vm : identify_in(places->runtime);
}

static bool is_marked_destroyed(const char *directory) {
        _cleanup_(closep) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd >= 0 && faccessat(fd, DESTROYED_NAME, F_OK, 0) == 0;
}

static void count(uint64_t number, int fd, void *userdata) {
        ++*(uint64_t *)userdata;
}

/* Whose it was only the journal said. */
static int check_orphans(const Places *places, FDStore *store, Detail *detail) {
        const char *state = places->state, *runtime = places->runtime;
        uint64_t n = 0;

        fd_store_list(store, "backing", count, &n);
        if (n == 0 || (!state && !runtime))
                return 0;
        return detail_set(detail, VM_E_DAMAGED,
                          "there is no journal in %s%s%s, and memory of %" PRIu64
                          " backings was kept",
                          runtime ?: "", runtime && state ? " or " : "", state ?: "", n);
}

int recover(Recovered *ret, const Places *places, FDStore *store, Detail *detail) {
        int r = 0;

        *ret = (Recovered){};
        if (places->state)
                r = recover_from(ret, places->state, store, detail);
        if (r == 0 && !ret->vm && places->runtime)
                r = recover_from(ret, places->runtime, store, detail);
        if (r == 0 && !ret->vm && places->state)
                ret->destroyed = is_marked_destroyed(places->state);
        if (r == 0 && !ret->vm && !ret->destroyed)
                r = check_orphans(places, store, detail);
        if (r == 0 && ret->vm)
                r = recover_facts(ret->vm, places->runtime, detail);
        if (r != 0 && r != VM_E_DAMAGED) {
                vm_free(ret->vm);
                ret->vm = identify(places);
        } else if (r == 0 && ret->vm)
                mark_memory(ret->vm);
        return r;
}

/* The journal last: the other files mean nothing without it. */
static const char *const files[] = {"vcpus", "facts", "facts.new", "journal.new", "journal"};

static void remove_files(const char *directory) {
        _cleanup_(closep) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (size_t i = 0; fd >= 0 && i < ELEMENTS_OF(files); i++)
                (void)unlinkat(fd, files[i], 0);
}

void recovery_forget(const Places *places) {
        if (places->state)
                remove_files(places->state);
        if (places->runtime)
                remove_files(places->runtime);
}

/* From one moment to the next: there is the journal, or this. */
static int mark_destroyed(const char *directory) {
        _cleanup_(closep) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 || renameat(fd, JOURNAL_NAME, fd, DESTROYED_NAME) < 0 || fsync(fd) < 0)
                return -errno;
        return 0;
}

int recovery_destroy(const Places *places) {
        int r = places->state ? mark_destroyed(places->state) : 0;

        recovery_forget(places);
        return r == -ENOENT ? 0 : r;
}
