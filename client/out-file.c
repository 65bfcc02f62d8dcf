/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/client.h"
#include "client/out-file.h"

static int print_into(FILE *out, const char *path, OutFilePrint print, void *userdata) {
        print(userdata, out);
        if (fflush(out) != 0 || ferror(out))
                return fail_errno(-errno, "cannot write %s", path);
        return 0;
}

static int write_through(const char *path, OutFilePrint print, void *userdata) {
        _cleanup_(fclosep) FILE *out = fopen(path, "we");

        if (!out)
                return fail_errno(-errno, "cannot open %s", path);
        return print_into(out, path, print, userdata);
}

static mode_t mode_of_new(void) {
        mode_t mask = umask(0);

        umask(mask);
        return DEFFILEMODE & ~mask;
}

static int be_like(int fd, const struct stat *replaced) {
        if (!replaced)
                return fchmod(fd, mode_of_new());
        if (fchown(fd, (uid_t)-1, replaced->st_gid) < 0)
                return -1;
        return fchmod(fd, replaced->st_mode & ACCESSPERMS);
}

/* A file beside it, of a name that nobody can have taken before; -1 where there can be none. */
static int open_beside(char *template, const struct stat *replaced) {
        int fd = mkostemp(template, O_CLOEXEC);

        if (fd < 0 || be_like(fd, replaced) == 0)
                return fd;
        (void)unlink(template);
        close(fd);
        return -1;
}

static int replace(const char *path, const struct stat *replaced, OutFilePrint print,
                   void *userdata) {
        _cleanup_(freep) char *new_path = NULL;
        FILE *out;
        int fd, r;

        if (asprintf(&new_path, "%s.XXXXXX", path) < 0)
                must(NULL);
        fd = open_beside(new_path, replaced);
        if (fd < 0)
                return write_through(path, print, userdata);
        out = must(fdopen(fd, "w"));
        r = print_into(out, new_path, print, userdata);
        if (fclose(out) != 0 && r == 0)
                r = fail_errno(-errno, "cannot write %s", new_path);
        if (r == 0 && rename(new_path, path) < 0)
                r = fail_errno(-errno, "cannot replace %s", path);
        if (r < 0)
                (void)unlink(new_path);
        return r;
}

/* What others have put there, a link above all, is for the kernel to follow, or to refuse. */
static bool is_own(const struct stat *st) {
        return S_ISREG(st->st_mode) && st->st_uid == geteuid();
}

int out_file_write(const char *path, OutFilePrint print, void *userdata) {
        struct stat st;

        if (strcmp(path, "-") == 0)
                return print_into(stdout, "standard output", print, userdata);
        if (lstat(path, &st) < 0)
                return replace(path, NULL, print, userdata);
        return is_own(&st) ? replace(path, &st, print, userdata)
                           : write_through(path, print, userdata);
}
