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

enum {
        HEIGHT_DEFAULT = 24,
        ESCAPE_MSEC = 50, /* the bytes of one key come together */
};

/* What terminals send for them behind ESC. */
static const struct {
        const char *text;
        ScreenKey key;
} sequences[] = {
        {"[A", KEY_UP},       {"OA", KEY_UP},         {"[B", KEY_DOWN}, {"OB", KEY_DOWN},
        {"[5~", KEY_PAGE_UP}, {"[6~", KEY_PAGE_DOWN}, {"[H", KEY_HOME}, {"OH", KEY_HOME},
        {"[1~", KEY_HOME},    {"[7~", KEY_HOME},      {"[F", KEY_END},  {"OF", KEY_END},
        {"[4~", KEY_END},     {"[8~", KEY_END},
};

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

int screen_height(void) {
        struct winsize size = {};

        (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
        return size.ws_row > 0 ? size.ws_row : HEIGHT_DEFAULT;
}

void screen_show(const char *text) {
        char *picture = NULL;
        size_t length;
        FILE *out = must(open_memstream(&picture, &length));
        int height = screen_height();

        fputs("\033[H", out);
        for (int row = 0; *text && row < height; row++) {
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

/* What follows at once; false: nothing. */
static bool take_next(unsigned char *ret) {
        struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};

        return poll(&fd, 1, ESCAPE_MSEC) > 0 && read(STDIN_FILENO, ret, 1) == 1;
}

/* The rest of a key that begins with ESC: an introducer, parameters, a final byte. */
static ScreenKey take_sequence(void) {
        char text[8] = "";
        unsigned char byte;

        for (size_t n = 0; n + 1 < sizeof(text) && take_next(&byte); n++) {
                text[n] = (char)byte;
                if (n > 0 && byte >= '@' && byte <= '~')
                        break;
        }
        for (size_t i = 0; i < ELEMENTS_OF(sequences); i++)
                if (strcmp(sequences[i].text, text) == 0)
                        return sequences[i].key;
        return KEY_OTHER;
}

/* A terminal that has gone is the end, too. */
static ScreenEvent take_key(int *ret) {
        unsigned char key;
        ssize_t n = read(STDIN_FILENO, &key, 1);

        if (n <= 0) {
                *ret = SIGHUP;
                return SCREEN_END;
        }
        *ret = key == '\033' ? (int)take_sequence() : key;
        return SCREEN_KEY;
}

ScreenEvent screen_wait(uint64_t until_usec, int *ret) {
        struct pollfd fds[] = {{.fd = signals, .events = POLLIN},
                               {.fd = STDIN_FILENO, .events = POLLIN}};
        uint64_t msec = clock_left(until_usec) / 1000 + 1;

        if (poll(fds, 2, (int)MIN_OF(msec, (uint64_t)INT_MAX)) <= 0)
                return SCREEN_NOTHING;
        return fds[0].revents ? take_signal(ret) : take_key(ret);
}
