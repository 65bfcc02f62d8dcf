/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/number.h"
#include "client/pager.h"
#include "lib/util/cleanup.h"

static const char *pager_command(void) {
        const char *command = getenv("SYSTEMD_PAGER");

        return command ? command : getenv("PAGER");
}

static const char *less_options(void) {
        const char *options = getenv("SYSTEMD_LESS");

        return options ? options : "FRSXMK";
}

static bool may_start_programs(void) {
        const char *secure = getenv("SYSTEMD_PAGERSECURE");
        bool value;

        return secure && number_parse_bool(secure, &value) >= 0 && !value;
}

/* In the child. */
_Noreturn static void run_pager(const char *command, int input) {
        const char *charset = getenv("SYSTEMD_LESSCHARSET");

        dup2(input, STDIN_FILENO);
        setenv("LESS", less_options(), 1);
        if (charset)
                setenv("LESSCHARSET", charset, 1);
        if (may_start_programs())
                unsetenv("LESSSECURE");
        else
                setenv("LESSSECURE", "1", 1);
        if (command)
                execlp("sh", "sh", "-c", command, (char *)NULL);
        execlp("pager", "pager", (char *)NULL);
        execlp("less", "less", (char *)NULL);
        execlp("more", "more", (char *)NULL);
        execlp("cat", "cat", (char *)NULL);
        _exit(EXIT_FAILURE);
}

static bool wants_pager(const char *command) {
        const char *terminal = getenv("TERM");

        if (!isatty(STDOUT_FILENO) || !terminal || strcmp(terminal, "dumb") == 0)
                return false;
        return !command || (*command && strcmp(command, "cat") != 0);
}

pid_t pager_open(void) {
        const char *command = pager_command();
        int ends[2];
        pid_t pid;

        if (!wants_pager(command) || pipe2(ends, O_CLOEXEC) < 0)
                return 0;
        fflush(stdout);
        pid = fork();
        if (pid == 0)
                run_pager(command, ends[0]);
        if (pid > 0)
                dup2(ends[1], STDOUT_FILENO);
        if (pid > 0 && !strchr(less_options(), 'K'))
                signal(SIGINT, SIG_IGN); /* less, without K, takes it as the end of a search */
        close(ends[0]);
        close(ends[1]);
        return MAX_OF(pid, 0);
}

void pager_close(pid_t pager) {
        if (pager == 0)
                return;
        signal(SIGPIPE, SIG_IGN); /* the reader may have left before the end: nobody's error */
        if (!freopen("/dev/null", "we", stdout))
                close(STDOUT_FILENO);
        while (waitpid(pager, NULL, 0) < 0 && errno == EINTR)
                ;
}
