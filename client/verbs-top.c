/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * top: what VMs do, on a terminal until q is typed, or tick after tick into a pipe
 */

#include <ctype.h>
#include <string.h>
#include <time.h>

#include "client/client.h"
#include "client/clock.h"
#include "client/number.h"
#include "client/screen.h"
#include "client/top.h"
#include "client/verb.h"

typedef struct Run Run;

#define DELAY_USEC     UINT64_C(2000000)
#define DELAY_MIN_USEC UINT64_C(100000)
#define PATIENCE_USEC  UINT64_C(1000000)

/* On a screen. */
enum {
        LINES_ABOVE = 3, /* what all VMs do, a blank line, the header */
        LINES_BELOW = 2,
        VMS_MIN = 3,
};

struct Run {
        Top top;
        uint64_t delay_usec;
        uint64_t iterations; /* 0: without end */
};

static int find_column(const char *word, TopColumn *ret) {
        for (TopColumn column = 0; column < N_TOP_COLUMNS; column++) {
                if (strcmp(top_column_word(column), word) != 0)
                        continue;
                *ret = column;
                return 0;
        }
        return fail("--sort=%s: there are name, state, owner, generation, commits, exits, slots, "
                    "mapped, resident and dirty",
                    word);
}

static int read_options(const Client *client, Run *run) {
        const char *const *options = client->options;
        int r = 0;

        if (options[OPTION_SORT])
                r = find_column(options[OPTION_SORT], &run->top.column);
        if (r == 0 && options[OPTION_DELAY])
                r = client_timeout(options[OPTION_DELAY], &run->delay_usec);
        if (r == 0 && options[OPTION_ITERATIONS])
                r = client_number(options[OPTION_ITERATIONS], "iterations", &run->iterations);
        if (r == 0 && run->delay_usec < DELAY_MIN_USEC)
                return fail("--delay=%s: at least 100ms", options[OPTION_DELAY]);
        return r;
}

static bool is_last(const Run *run, uint64_t n) {
        return run->iterations > 0 && n >= run->iterations;
}

static int run_batch(Run *run) {
        const struct timespec delay = {
                .tv_sec = (time_t)(run->delay_usec / 1000000),
                .tv_nsec = (long)(run->delay_usec % 1000000) * 1000,
        };

        for (uint64_t n = 1;; n++) {
                int r = top_tick(&run->top);

                if (r < 0)
                        return r;
                top_print(&run->top);
                if (fflush(stdout) != 0)
                        return fail_errno(-errno, "cannot write");
                if (is_last(run, n))
                        return 0;
                if (run->top.client->output.json == JSON_OFF)
                        putchar('\n');
                nanosleep(&delay, NULL);
        }
}

/* Below the VMs; what is not shown of them is told. */
static void print_keys(const Top *top) {
        size_t n = top_shown(top);

        if (n < top->n)
                printf("%zu to %zu of %zu VMs: arrow and page keys scroll", top->first + 1,
                       top->first + n, top->n);
        printf("\nq quit  sort: Name sTate Owner Gen Commits Exits Slots Mapped Resident Dirty\n");
}

/* A very low screen has VMs rather than the keys. Returns whether these are wanted. */
static bool fit(Top *top) {
        bool legend = top->client->output.legend;
        int above = legend ? LINES_ABOVE : 0, below = legend ? LINES_BELOW : 0;
        int height = screen_height() - above;
        bool keys = legend && height - below >= VMS_MIN;

        top->width = screen_width();
        top->room = (size_t)MAX_OF(height - (keys ? below : 0), 1);
        top_scroll(top, 0);
        return keys;
}

/* Printed as into a pipe, but that it is kept. */
static void draw(Run *run) {
        bool keys = fit(&run->top);
        FILE *terminal = stdout;
        char *text = NULL;
        size_t length;

        stdout = must(open_memstream(&text, &length));
        top_print(&run->top);
        if (keys)
                print_keys(&run->top);
        fclose(stdout);
        stdout = terminal;
        screen_show(must(text));
        free(text);
}

static void scroll_by_key(Top *top, int key) {
        ssize_t page = (ssize_t)top->room, all = (ssize_t)top->n;

        switch (key) {
        case KEY_UP:
                return top_scroll(top, -1);
        case KEY_DOWN:
                return top_scroll(top, 1);
        case KEY_PAGE_UP:
                return top_scroll(top, -page);
        case KEY_PAGE_DOWN:
                return top_scroll(top, page);
        case KEY_HOME:
                return top_scroll(top, -all);
        case KEY_END:
                return top_scroll(top, all);
        }
}

/* The first letter of a column; that of "slots" is taken, so "state" has another. */
static void sort_by_key(Run *run, int key) {
        for (TopColumn column = 0; column < N_TOP_COLUMNS; column++) {
                int letter = column == TOP_STATE ? 't' : top_column_word(column)[0];

                if (tolower(key) == letter)
                        top_sort(&run->top, column);
        }
}

/* Until the next tick is due. False: the end. */
static bool wait_for_tick(Run *run, uint64_t until_usec) {
        for (;;) {
                int what = 0;
                ScreenEvent event = screen_wait(until_usec, &what);

                if (event == SCREEN_NOTHING || (event == SCREEN_KEY && what == ' '))
                        return true;
                if (event == SCREEN_END)
                        screen_die(what);
                if (event == SCREEN_KEY && what == 'q')
                        return false;
                if (event == SCREEN_KEY && what >= KEY_OTHER)
                        scroll_by_key(&run->top, what);
                else if (event == SCREEN_KEY)
                        sort_by_key(run, what);
                draw(run);
        }
}

static int run_on_screen(Run *run) {
        int r = 0;

        for (uint64_t n = 1; r == 0; n++) {
                draw(run);
                if (is_last(run, n) || !wait_for_tick(run, clock_deadline(run->delay_usec)))
                        break;
                r = top_tick(&run->top);
        }
        return r;
}

/*
 * On the screen signals are heard between ticks only, so the first tick, which may have to wait
 * long, comes before that. What goes wrong is told when the usual screen is back.
 */
static int run_interactive(Run *run) {
        char *failure = NULL;
        FILE *errors = stderr;
        size_t length;
        int r;

        r = top_tick(&run->top);
        if (r < 0)
                return r;
        r = screen_enter();
        if (r < 0)
                return fail_errno(r, "top: standard input is no terminal; there is --batch");
        stderr = must(open_memstream(&failure, &length));
        r = run_on_screen(run);
        screen_leave();
        fclose(stderr);
        stderr = errors;
        fputs(must(failure), stderr);
        free(failure);
        return r;
}

int verb_top(Client *client, char **arguments) {
        Run run = {
                .top = {.client = client, .usec = PATIENCE_USEC, .column = TOP_COMMITS},
                .delay_usec = DELAY_USEC,
        };
        bool is_batch = client_given(client, OPTION_BATCH) || client->output.json != JSON_OFF ||
                        !isatty(STDOUT_FILENO);
        int r;

        r = read_options(client, &run);
        if (r == 0)
                r = is_batch ? run_batch(&run) : run_interactive(&run);
        top_deinit(&run.top);
        return r;
}
