/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "daemon/common/log.h"
#include "daemon/manager/directory.h"
#include "daemon/manager/durable.h"

#define SUFFIX     ".vm"
#define NEW_SUFFIX ".new"
#define UNMADE     "unmade" /* behind the rest */

static int path_of(char path[static PATH_MAX], const char *dir, const char *instance,
                   const char *suffix) {
        return snprintf(path, PATH_MAX, "%s/%s%s", dir, instance, suffix) < PATH_MAX
                       ? 0
                       : -ENAMETOOLONG;
}

static int write_to(const char *path, const VM *vm) {
        _cleanup_(fclosep) FILE *file = fopen(path, "we");

        if (!file)
                return -errno;
        fprintf(file, "%s %s %" PRIu32 "%s\n", vm->name, vm->id, vm->owner,
                vm->unmade ? " " UNMADE : "");
        if (fflush(file) == EOF || fsync(fileno(file)) < 0)
                return -errno;
        return 0;
}

int durable_add(const char *dir, const VM *vm) {
        char path[PATH_MAX], new[PATH_MAX];
        int r;

        r = directory_make(dir);
        if (r >= 0)
                r = path_of(path, dir, vm->instance, SUFFIX);
        if (r >= 0)
                r = path_of(new, dir, vm->instance, NEW_SUFFIX);
        if (r < 0)
                return r;
        r = write_to(new, vm);
        if (r >= 0 && rename(new, path) < 0)
                r = -errno;
        if (r < 0)
                (void)unlink(new);
        return r < 0 ? r : directory_sync(dir);
}

int durable_confirm(const char *dir, VM *vm) {
        if (!vm->unmade)
                return 0;
        vm->unmade = false;
        return durable_add(dir, vm);
}

void durable_remove(const char *dir, const char *instance) {
        char path[PATH_MAX];

        if (path_of(path, dir, instance, "") >= 0)
                directory_remove(path);
        if (path_of(path, dir, instance, SUFFIX) < 0)
                return;
        (void)unlink(path);
        (void)directory_sync(dir);
}

bool durable_has(const char *dir, const char *instance) {
        char path[PATH_MAX];

        return path_of(path, dir, instance, SUFFIX) >= 0 && access(path, F_OK) == 0;
}

static bool read_from(DIR *stream, const char *file, DurableVM *vm) {
        _cleanup_(closep) int fd = openat(dirfd(stream), file, O_RDONLY | O_CLOEXEC);
        char text[sizeof(*vm) + 16], word[sizeof(UNMADE)] = "";
        ssize_t n;
        int fields;

        n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        if (n < 0)
                return false;
        text[n] = '\0';
        fields = sscanf(text, "%63s %32s %" SCNu32 " %6s", vm->name, vm->id, &vm->owner, word);
        vm->unmade = strcmp(word, UNMADE) == 0;
        return fields == 3 + vm->unmade && strlen(vm->id) == VM_ID_LENGTH &&
               vm_name_is_valid(vm->name);
}

/* Whether the file's name is one of ours: the instance is in front of the suffix. */
static bool read_instance(const char *file, char instance[static VM_INSTANCE_MAX + 1]) {
        const char *suffix = strrchr(file, '.');

        if (!suffix || strcmp(suffix, SUFFIX) != 0 || suffix - file > VM_INSTANCE_MAX)
                return false;
        snprintf(instance, VM_INSTANCE_MAX + 1, "%.*s", (int)(suffix - file), file);
        return vm_instance_is_valid(instance);
}

int durable_scan(const char *dir, int (*found)(const DurableVM *vm, void *userdata),
                 void *userdata) {
        struct dirent *entry;
        DIR *stream;
        int r = 0;

        stream = opendir(dir);
        if (!stream)
                return errno == ENOENT ? 0 : -errno;
        while (r >= 0 && (entry = readdir(stream))) {
                DurableVM vm = {};

                if (!read_instance(entry->d_name, vm.instance))
                        continue;
                if (read_from(stream, entry->d_name, &vm))
                        r = found(&vm, userdata);
                else
                        log_warning("%s/%s: does not say which VM it is", dir, entry->d_name);
        }
        closedir(stream);
        return r;
}
