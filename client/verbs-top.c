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

/* Printed as into a pipe, but that it is kept. */
static void draw(Run *run) {
        FILE *terminal = stdout;
        char *text = NULL;
        size_t length;

        run->top.width = screen_width();
        stdout = must(open_memstream(&text, &length));
        top_print(&run->top);
        if (run->top.client->output.legend)
                fputs("\nq quit  sort: Name sTate Owner Gen Commits Exits Slots Mapped Resident "
                      "Dirty\n",
                      stdout);
        fclose(stdout);
        stdout = terminal;
        screen_show(must(text));
        free(text);
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
                if (event == SCREEN_KEY)
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
