/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/pager.h"
#include "lib/util/cleanup.h"

/* In the child. less leaves at once when all fits on a screen, and starts no shell or editor. */
_Noreturn static void run_pager(const char *command, int input) {
        dup2(input, STDIN_FILENO);
        setenv("LESS", "FRSXMK", 0);
        setenv("LESSSECURE", "1", 1);
        if (command)
                execlp("sh", "sh", "-c", command, (char *)NULL);
        execlp("less", "less", (char *)NULL);
        execlp("more", "more", (char *)NULL);
        execlp("cat", "cat", (char *)NULL);
        _exit(EXIT_FAILURE);
}

pid_t pager_open(void) {
        const char *command = getenv("PAGER");
        int ends[2];
        pid_t pid;

        if (!isatty(STDOUT_FILENO))
                return 0;
        if (command && (!*command || strcmp(command, "cat") == 0))
                return 0;
        if (pipe2(ends, O_CLOEXEC) < 0)
                return 0;
        fflush(stdout);
        pid = fork();
        if (pid == 0)
                run_pager(command, ends[0]);
        if (pid > 0)
                dup2(ends[1], STDOUT_FILENO);
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
