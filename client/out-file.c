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

/* As the file that is replaced has it, or as one has it that open() makes. */
static mode_t mode_of(const struct stat *replaced) {
        mode_t mask;

        if (replaced)
                return replaced->st_mode & ALLPERMS;
        mask = umask(0);
        umask(mask);
        return DEFFILEMODE & ~mask;
}

/* Under another name until it is complete, which nobody can have taken before. */
static int replace(const char *path, const struct stat *replaced, OutFilePrint print,
                   void *userdata) {
        _cleanup_(freep) char *new_path = NULL;
        _cleanup_(fclosep) FILE *out = NULL;
        int fd, r;

        if (asprintf(&new_path, "%s.XXXXXX", path) < 0)
                must(NULL);
        fd = mkostemp(new_path, O_CLOEXEC);
        if (fd < 0)
                return fail_errno(-errno, "cannot make a file beside %s", path);
        out = must(fdopen(fd, "w"));
        r = print_into(out, new_path, print, userdata);
        if (r == 0 && (fchmod(fd, mode_of(replaced)) < 0 || rename(new_path, path) < 0))
                r = fail_errno(-errno, "cannot replace %s", path);
        if (r < 0)
                (void)unlink(new_path);
        return r;
}

int out_file_write(const char *path, OutFilePrint print, void *userdata) {
        _cleanup_(freep) char *target = NULL;
        struct stat st;

        if (strcmp(path, "-") == 0)
                return print_into(stdout, "standard output", print, userdata);
        target = realpath(path, NULL);
        if (target && stat(target, &st) == 0 && S_ISREG(st.st_mode))
                return replace(target, &st, print, userdata);
        /* A link that leads nowhere yet is followed, too. */
        if (target || lstat(path, &st) == 0)
                return write_through(path, print, userdata);
        return replace(path, NULL, print, userdata);
}
