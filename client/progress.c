/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "api/names.h"
#include "client/clock.h"
#include "client/number.h"
#include "client/progress.h"

typedef struct Progress Progress;

enum {
        FIRST_ASK_USEC = 20000, /* most calls are answered by then */
        ASK_USEC = 200000,
        BAR_COLUMNS = 40,
        NAME_BYTES = 24, /* a longer name would not fit beside the bar */
};

struct Progress {
        Client *client;
        char *vm;              /* path; NULL: nobody is there to see how far it has come */
        sd_bus_message *reply; /* to the call */
        sd_bus_slot *asking;   /* NULL: not now */
        bool has_bar;
        uint64_t ask_at; /* CLOCK_MONOTONIC */
};

/* The bar */

static void draw(Progress *progress, const char *what, uint64_t there, uint64_t size) {
        unsigned percent = (unsigned)((double)there / (double)size * 100);
        int filled = (int)((double)there / (double)size * BAR_COLUMNS);

        fprintf(stderr, "\r%s [%.*s%*s] %3u%% of %s\033[K", what, filled,
                "########################################", BAR_COLUMNS - filled, "", percent,
                number_size(size).text);
        fflush(stderr);
        progress->has_bar = true;
}

static void erase(Progress *progress) {
        if (progress->has_bar)
                fputs("\r\033[K", stderr);
        progress->has_bar = false;
}

/* All that the VM prepares, as one: a call may bring many regions, not all of them by name. */
static int show(Progress *progress, sd_bus_message *reply) {
        uint64_t n = 0, there = 0, size = 0, item_there, item_size;
        const char *name = "", *item;
        bool has_more = false;
        char what[64];
        int r;

        r = sd_bus_message_enter_container(reply, 'v', "a(stt)");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(stt)");
        while (r >= 0 &&
               (r = sd_bus_message_read(reply, "(stt)", &item, &item_there, &item_size)) > 0) {
                name = item;
                there += item_there;
                size += item_size;
                if (*item)
                        n++;
                else
                        has_more = true;
        }
        if (n == 1 && strlen(name) <= NAME_BYTES)
                snprintf(what, sizeof(what), "%s", name);
        else
                snprintf(what, sizeof(what), "%s%" PRIu64 " region%s", has_more ? "over " : "", n,
                         PLURAL(n));
        if (r >= 0 && size > 0)
                draw(progress, what, there, size);
        return r;
}

static int on_preparing(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Progress *progress = userdata;

        progress->asking = sd_bus_slot_unref(progress->asking);
        progress->ask_at = clock_usec() + ASK_USEC;
        /* Who may not look sees no bar, and gets the answer all the same. */
        if (!sd_bus_message_is_method_error(m, NULL) && !progress->reply)
                (void)show(progress, m);
        return 0;
}

static int ask(Progress *progress) {
        return sd_bus_call_method_async(progress->client->bus, &progress->asking, GUESTMAP_SERVICE,
                                        progress->vm, "org.freedesktop.DBus.Properties", "Get",
                                        on_preparing, progress, "ss", GUESTMAP_INTERFACE_VM,
                                        "Preparing");
}

/* The call */

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Progress *progress = userdata;

        progress->reply = sd_bus_message_ref(m);
        return 0;
}

/* Who has blocked a signal has something to put in order before it may end the program. */
static bool is_interrupted(void) {
        sigset_t pending;

        return sigpending(&pending) == 0 &&
               (sigismember(&pending, SIGINT) > 0 || sigismember(&pending, SIGTERM) > 0);
}

static int wait_a_little(Progress *progress) {
        uint64_t now = clock_usec();

        if (is_interrupted())
                return -EINTR;
        if (!progress->vm || progress->asking)
                return sd_bus_wait(progress->client->bus, ASK_USEC);
        if (now >= progress->ask_at)
                return ask(progress);
        return sd_bus_wait(progress->client->bus, progress->ask_at - now);
}

/* Until both are answered: nothing of ours is left on the connection. */
static int wait_for_reply(Progress *progress) {
        int r = 0;

        while (r >= 0 && (!progress->reply || progress->asking)) {
                r = sd_bus_process(progress->client->bus, NULL);
                if (r == 0 && !progress->reply)
                        r = wait_a_little(progress);
                else if (r == 0)
                        r = sd_bus_wait(progress->client->bus, UINT64_MAX);
        }
        return r;
}

static int try(Progress *progress, sd_bus_message *request, sd_bus_error *error) {
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        int r;

        r = sd_bus_call_async(progress->client->bus, &slot, request, on_reply, progress,
                              UINT64_MAX);
        if (r >= 0)
                r = wait_for_reply(progress);
        erase(progress);
        if (r < 0 || !sd_bus_message_is_method_error(progress->reply, NULL))
                return r;
        return sd_bus_error_copy(error, sd_bus_message_get_error(progress->reply));
}

int progress_try(Client *client, sd_bus_message *request, sd_bus_error *error,
                 sd_bus_message **ret_reply) {
        Progress progress = {.client = client, .ask_at = clock_usec() + FIRST_ASK_USEC};
        int r;

        if (isatty(STDERR_FILENO))
                progress.vm = client_vm_of(sd_bus_message_get_path(request));
        r = try(&progress, request, error);
        sd_bus_slot_unref(progress.asking);
        free(progress.vm);
        if (r < 0)
                sd_bus_message_unref(progress.reply);
        else
                *ret_reply = progress.reply;
        return r < 0 ? r : 0;
}

int progress_call(Client *client, sd_bus_message *request, sd_bus_message **ret_reply) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = progress_try(client, request, &error, ret_reply);
        return r < 0 ? client_print_error(client, &error, r) : 0;
}
