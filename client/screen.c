/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "client/clock.h"
#include "client/print.h"
#include "client/screen.h"

#define ENTER "\033[?1049h\033[?25l\033[?7l\033[H\033[J" /* no cursor, no wrapping */
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

static bool is_entered;
static struct termios usual;
static int signals = -1;

static void write_all(const char *text, size_t length) {
        while (length > 0) {
                ssize_t n = write(STDOUT_FILENO, text, length);

                if (n < 0 && errno != EINTR && errno != EAGAIN)
                        return;
                text += n > 0 ? n : 0;
                length -= n > 0 ? (size_t)n : 0;
        }
}

/* What is typed comes at once and is not shown; ^C still is a signal. */
static int take_terminal(void) {
        struct termios mode;

        if (tcgetattr(STDIN_FILENO, &usual) < 0)
                return -errno;
        mode = usual;
        mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        mode.c_cc[VMIN] = 0;
        mode.c_cc[VTIME] = 0;
        if (tcsetattr(STDIN_FILENO, TCSADRAIN, &mode) < 0)
                return -errno;
        write_all(ENTER, strlen(ENTER));
        is_entered = true;
        return 0;
}

void screen_leave(void) {
        if (!is_entered)
                return;
        is_entered = false;
        write_all(LEAVE, strlen(LEAVE));
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &usual);
}

static int hear_signals(void) {
        static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
        sigset_t set;

        sigemptyset(&set);
        for (size_t i = 0; i < ELEMENTS_OF(numbers); i++)
                sigaddset(&set, numbers[i]);
        sigprocmask(SIG_BLOCK, &set, NULL);
        signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        return signals < 0 ? -errno : 0;
}

static void at_exit(void) {
        screen_leave();
        if (signals >= 0)
                (void)close(signals);
}

int screen_enter(void) {
        int r;

        if (!isatty(STDOUT_FILENO))
                return -ENOTTY;
        (void)atexit(at_exit);
        r = hear_signals();
        return r == 0 ? take_terminal() : r;
}

int screen_width(void) {
        struct winsize size = {};

        (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
        return size.ws_col;
}

void screen_show(const char *text) {
        struct winsize size = {.ws_row = 24};
        char *picture = NULL;
        size_t length;
        FILE *out = must(open_memstream(&picture, &length));

        (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
        fputs("\033[H", out);
        for (unsigned row = 0; *text && row < size.ws_row; row++) {
                size_t n = strcspn(text, "\n");

                fprintf(out, "%s%.*s\033[K", row ? "\r\n" : "", (int)n, text);
                text += n + (text[n] != '\0');
        }
        fputs("\033[J", out);
        fclose(out);
        write_all(must(picture), length);
        free(picture);
}

_Noreturn void screen_die(int number) {
        sigset_t set;

        screen_leave();
        sigemptyset(&set);
        sigaddset(&set, number);
        (void)signal(number, SIG_DFL);
        (void)raise(number);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        _exit(EXIT_FAILURE);
}

static ScreenEvent take_signal(int *ret) {
        struct signalfd_siginfo info;

        if (read(signals, &info, sizeof(info)) != sizeof(info))
                return SCREEN_REDRAW;
        *ret = (int)info.ssi_signo;
        if (*ret == SIGWINCH)
                return SCREEN_REDRAW;
        if (*ret != SIGTSTP)
                return SCREEN_END;
        screen_leave();
        (void)raise(SIGSTOP);
        (void)take_terminal();
        return SCREEN_REDRAW;
}

/* A terminal that has gone is the end, too. */
static ScreenEvent take_key(int *ret) {
        unsigned char key;
        ssize_t n = read(STDIN_FILENO, &key, 1);

        *ret = n > 0 ? key : SIGHUP;
        return n > 0 ? SCREEN_KEY : SCREEN_END;
}

ScreenEvent screen_wait(uint64_t until_usec, int *ret) {
        struct pollfd fds[] = {{.fd = signals, .events = POLLIN},
                               {.fd = STDIN_FILENO, .events = POLLIN}};
        uint64_t msec = clock_left(until_usec) / 1000 + 1;

        if (poll(fds, 2, (int)MIN_OF(msec, (uint64_t)INT_MAX)) <= 0)
                return SCREEN_NOTHING;
        return fds[0].revents ? take_signal(ret) : take_key(ret);
}
