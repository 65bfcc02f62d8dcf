/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/manager/directory.h"
#include "daemon/manager/link-dbus.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/recovery-dbus.h"
#include "daemon/manager/runtime-dir.h"
#include "daemon/manager/spawn.h"

typedef struct Places Places;

/* Where a VM's process finds its things. */
struct Places {
        char directory[PATH_MAX];
        char notify[PATH_MAX + sizeof(RUNTIME_DIR_NOTIFY)];
        char state[PATH_MAX];
};

static void find_places(const VM *vm, Places *places) {
        const Settings *settings = &vm->manager->settings;

        snprintf(places->directory, sizeof(places->directory), "%s/%s" RUNTIME_DIR_SUFFIX,
                 settings->runtime_dir, vm->instance);
        snprintf(places->notify, sizeof(places->notify), "%s" RUNTIME_DIR_NOTIFY,
                 places->directory);
        snprintf(places->state, sizeof(places->state), "%s/%s", settings->state_dir, vm->instance);
}

static int prepare(VM *vm, const Places *places) {
        int r;

        r = directory_make(places->directory);
        if (r >= 0 && vm->durable)
                r = directory_make(places->state);
        if (r < 0 || vm->store)
                return r;
        return fd_store_new(&vm->store, vm->manager->event, places->notify);
}

/* The socket first, then what was stored. */
static int start(VM *vm, const Places *places, int listener) {
        NamedFD passed[FD_STORE_MAX + 1] = {{listener, (char *)"bus"}};
        const NamedFD *stored;
        size_t n;

        fd_store_drain(vm->store);
        stored = fd_store_list(vm->store, &n);
        for (size_t i = 0; i < n; i++)
                passed[i + 1] = stored[i];
        return process_spawn(&vm->process, vm->manager->event,
                             &(ProcessStart){
                                     .program = vm->manager->settings.vmd,
                                     .passed = passed,
                                     .n_passed = n + 1,
                                     .notify_socket = places->notify,
                                     .runtime_directory = places->directory,
                                     .state_directory = vm->durable ? places->state : NULL,
                             },
                             recovery_process_ended, vm);
}

int spawn_start(VM *vm) {
        const char *runtime_dir = vm->manager->settings.runtime_dir;
        _cleanup_(closep) int listener = -1;
        Places places;
        int r;

        find_places(vm, &places);
        r = runtime_dir_listen(runtime_dir, vm->instance, &listener);
        if (r < 0)
                return r;
        r = prepare(vm, &places);
        if (r >= 0)
                r = start(vm, &places, listener);
        if (r < 0)
                runtime_dir_remove(runtime_dir, vm->instance);
        return r;
}

int spawn_adopt(VM *vm) {
        Places places;
        int r;

        find_places(vm, &places);
        vm->unoffered = !vm->store;
        r = prepare(vm, &places);
        if (r < 0 || vm->process)
                return r;
        r = process_adopt(&vm->process, vm->manager->event, link_fd(vm->link),
                          recovery_process_ended, vm);
        return r == -ESRCH ? 0 : r;
}

void spawn_directory(const VM *vm, char path[static PATH_MAX]) {
        Places places;

        find_places(vm, &places);
        snprintf(path, PATH_MAX, "%s", vm->durable ? places.state : places.directory);
}

void spawn_remove(VM *vm) {
        Places places;

        find_places(vm, &places);
        directory_remove(places.directory);
        runtime_dir_remove(vm->manager->settings.runtime_dir, vm->instance);
}
