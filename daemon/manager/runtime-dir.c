/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "daemon/manager/runtime-dir.h"
#include "daemon/manager/vm.h"

static int socket_address(struct sockaddr_un *ret, const char *dir, const char *instance) {
        int n;

        *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
        n = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/%s", dir, instance);
        return (size_t)n < sizeof(ret->sun_path) ? 0 : -ENAMETOOLONG;
}

int runtime_dir_prepare(const char *dir) {
        struct stat st;

        if (strlen(dir) + 1 + VM_INSTANCE_MAX + strlen(RUNTIME_DIR_SUFFIX RUNTIME_DIR_NOTIFY) >=
            sizeof(((struct sockaddr_un *)NULL)->sun_path))
                return -ENAMETOOLONG;
        if (mkdir(dir, 0700) < 0 && errno != EEXIST)
                return -errno;
        if (stat(dir, &st) < 0)
                return -errno;
        if (!S_ISDIR(st.st_mode))
                return -ENOTDIR;
        if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & (S_IWGRP | S_IWOTH)))
                return -EPERM;
        return 0;
}

int runtime_dir_listen(const char *dir, const char *instance, int *ret_fd) {
        _cleanup_(closep) int fd = -1;
        struct sockaddr_un address;
        mode_t mask;
        int r;

        r = socket_address(&address, dir, instance);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        mask = umask(0177);
        r = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
        umask(mask);
        if (r < 0)
                return r;
        if (listen(fd, SOMAXCONN) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int runtime_dir_connect(const char *dir, const char *instance, int *ret_fd) {
        _cleanup_(closep) int fd = -1;
        struct sockaddr_un address;
        int r;

        r = socket_address(&address, dir, instance);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

void runtime_dir_remove(const char *dir, const char *instance) {
        struct sockaddr_un address;

        if (socket_address(&address, dir, instance) >= 0)
                (void)unlink(address.sun_path);
}

static bool is_socket(DIR *stream, const char *name) {
        struct stat st;

        return fstatat(dirfd(stream), name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode);
}

/* The VM that an entry is of, once for each: its directory counts where there is no socket. */
static bool read_instance(DIR *stream, const char *name, char instance[VM_INSTANCE_MAX + 1]) {
        size_t length = strcspn(name, ".");

        if (length > VM_INSTANCE_MAX)
                return false;
        snprintf(instance, VM_INSTANCE_MAX + 1, "%.*s", (int)length, name);
        if (!vm_instance_is_valid(instance))
                return false;
        return name[length] == '\0' ? is_socket(stream, name)
                                    : strcmp(name + length, RUNTIME_DIR_SUFFIX) == 0 &&
                                              !is_socket(stream, instance);
}

int runtime_dir_scan(const char *dir, int (*found)(const char *instance, void *userdata),
                     void *userdata) {
        char instance[VM_INSTANCE_MAX + 1];
        struct dirent *entry;
        DIR *stream;
        int r = 0;

        stream = opendir(dir);
        if (!stream)
                return -errno;
        while (r >= 0 && (entry = readdir(stream)))
                if (read_instance(stream, entry->d_name, instance))
                        r = found(instance, userdata);
        closedir(stream);
        return r;
}
