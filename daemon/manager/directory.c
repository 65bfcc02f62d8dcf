/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/manager/directory.h"
#include "lib/util/cleanup.h"

static int sync_above(const char *path) {
        const char *slash = strrchr(path, '/');
        char above[PATH_MAX];

        if (!slash)
                return directory_sync(".");
        snprintf(above, sizeof(above), "%.*s", (int)(slash - path) + 1, path);
        return directory_sync(above);
}

/* On disk when it returns: to sync what is in it would not help else. */
static int make_one(const char *path) {
        if (mkdir(path, 0700) < 0)
                return errno == EEXIST ? 0 : -errno;
        return sync_above(path);
}

int directory_make(const char *path) {
        char above[PATH_MAX];
        int r = 0;

        if (strlen(path) >= sizeof(above))
                return -ENAMETOOLONG;
        for (const char *end = strchr(path + 1, '/'); end && r >= 0; end = strchr(end + 1, '/')) {
                snprintf(above, sizeof(above), "%.*s", (int)(end - path), path);
                r = access(above, F_OK) < 0 ? make_one(above) : 0;
        }
        return r < 0 ? r : make_one(path);
}

int directory_sync(const char *path) {
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

void directory_remove(const char *path) {
        struct dirent *entry;
        DIR *stream;

        stream = opendir(path);
        if (!stream)
                return;
        while ((entry = readdir(stream)))
                (void)unlinkat(dirfd(stream), entry->d_name, 0); /* not "." and ".." */
        closedir(stream);
        (void)rmdir(path);
}
