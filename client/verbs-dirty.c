/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * dirty: which pages of a region are written, and how fast
 *
 * To watch is to ask and clear every second. A log that was not on is on for just as long.
 */

#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "api/names.h"
#include "client/client.h"
#include "client/clock.h"
#include "client/json-print.h"
#include "client/number.h"
#include "client/verb.h"

typedef struct Dirty Dirty;

/* An answer of Region.GetDirty. */
struct Dirty {
        uint64_t generation;
        uint64_t page_size;
        const uint64_t *bits;
        size_t size; /* of the file */
};

static void dirty_deinit(Dirty *dirty) {
        if (dirty->bits)
                munmap((void *)dirty->bits, dirty->size);
}

static int map_bits(Dirty *dirty, int fd) {
        struct stat status;
        void *bits;

        if (fstat(fd, &status) < 0 || status.st_size <= 0)
                return fail_errno(-EIO, "cannot read the bitmap");
        bits = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (bits == MAP_FAILED)
                return fail_errno(-errno, "cannot read the bitmap");
        dirty->bits = bits;
        dirty->size = (size_t)status.st_size;
        return 0;
}

static int dirty_get(Dirty *dirty, Client *client, const char *region, bool clear) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int fd, r;

        r = client_method(client, &reply, region, GUESTMAP_INTERFACE_REGION, "GetDirty", "b",
                          clear);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "tth", &dirty->generation, &dirty->page_size, &fd);
        return r < 0 ? client_cannot_read(r) : map_bits(dirty, fd);
}

static bool is_dirty(const Dirty *dirty, uint64_t page) {
        return dirty->bits[page / 64] >> page % 64 & 1;
}

static uint64_t count_dirty(const Dirty *dirty) {
        uint64_t n = 0;

        for (size_t i = 0; i < dirty->size / sizeof(*dirty->bits); i++)
                n += (uint64_t)__builtin_popcountll(dirty->bits[i]);
        return n;
}

/* The pages from *page on that were written one beside the other; false if there are no more. */
static bool next_run(const Dirty *dirty, uint64_t *page, uint64_t *ret_n) {
        uint64_t end = dirty->size * 8, first;

        while (*page < end && !is_dirty(dirty, *page))
                *page += *page % 64 == 0 && !dirty->bits[*page / 64] ? 64 : 1;
        for (first = *page; *page < end && is_dirty(dirty, *page);)
                (*page)++;
        *ret_n = *page - first;
        return *ret_n > 0;
}

static void list_runs(const Dirty *dirty, Table *table, json_object *list) {
        for (uint64_t page = 0, n; next_run(dirty, &page, &n);) {
                uint64_t first = (page - n) * dirty->page_size;
                uint64_t last = page * dirty->page_size - 1;
                json_object *run = json_new_object();

                table_cell(table, "%s", number_hex(first).text);
                table_cell(table, "%s", number_hex(last).text);
                table_cell(table, "%" PRIu64, n);
                json_add_hex(run, "first", first);
                json_add_hex(run, "last", last);
                json_add_count(run, "pages", n);
                json_append(list, run);
        }
}

static int show_once(Client *client, const char *region) {
        static const Column columns[] = {{"FIRST", true}, {"LAST", true}, {"PAGES", true}};
        _cleanup_(table_freep) Table *table = table_new(columns, ELEMENTS_OF(columns));
        _cleanup_(json_putp) json_object *object = json_new_object();
        _cleanup_(dirty_deinit) Dirty dirty = {};
        json_object *list = json_new_array();
        uint64_t n;
        int r;

        json_add(object, "ranges", list);
        r = dirty_get(&dirty, client, region, client_given(client, OPTION_CLEAR));
        if (r < 0)
                return r;
        n = count_dirty(&dirty);
        json_add_count(object, "generation", dirty.generation);
        json_add_size(object, "page-size", dirty.page_size);
        json_add_count(object, "pages", n);
        list_runs(&dirty, table, list);
        output_print(&client->output, table, object);
        if (client->output.json == JSON_OFF && client->output.legend)
                printf("\n%" PRIu64 " page%s of %s.\n", n, PLURAL(n),
                       number_size(dirty.page_size).text);
        return 0;
}

static int is_logged(Client *client, const char *region, bool *ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r, on;

        r = client_method(client, &reply, region, "org.freedesktop.DBus.Properties", "Get", "ss",
                          GUESTMAP_INTERFACE_REGION, "DirtyLog");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "v", "b", &on);
        if (r < 0)
                return client_cannot_read(r);
        *ret = on;
        return 0;
}

static void print_rate(const Output *output, const Dirty *dirty, double seconds) {
        uint64_t n = count_dirty(dirty);
        uint64_t rate = (uint64_t)((double)n / seconds + 0.5);
        _cleanup_(json_putp) json_object *object = NULL;

        if (output->json == JSON_OFF) {
                printf("%" PRIu64 " page%s, %" PRIu64 " pages/s, %s/s\n", n, PLURAL(n), rate,
                       number_size_about(rate * dirty->page_size).text);
        } else {
                object = json_new_object();
                json_add_count(object, "pages", n);
                json_add_count(object, "pages-per-second", rate);
                json_add_count(object, "bytes-per-second", rate * dirty->page_size);
                json_print(output, object);
        }
        fflush(stdout);
}

/* Somebody else may have stopped it, who started it first: there is nothing to watch then. */
static int check_logged(Client *client, const char *region) {
        bool on = true;
        int r;

        r = is_logged(client, region, &on);
        return r == 0 && !on ? fail("dirty: the log was stopped by somebody else") : r;
}

/* Every second until one of the signals comes. */
static int watch_rate(Client *client, const char *region, const sigset_t *until) {
        const struct timespec second = {.tv_sec = 1};
        uint64_t before = clock_usec();

        while (sigtimedwait(until, NULL, &second) < 0) {
                _cleanup_(dirty_deinit) Dirty dirty = {};
                uint64_t since = before;
                int r;

                r = dirty_get(&dirty, client, region, true);
                if (r < 0)
                        return r;
                before = clock_usec();
                print_rate(&client->output, &dirty, (double)(before - since) / 1e6);
                r = check_logged(client, region);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int watch(Client *client, const char *region) {
        sigset_t until;
        bool was_on = false;
        int r;

        sigemptyset(&until);
        sigaddset(&until, SIGINT);
        sigaddset(&until, SIGTERM);
        sigprocmask(SIG_BLOCK, &until, NULL);
        r = is_logged(client, region, &was_on);
        if (r == 0 && !was_on)
                r = client_method(client, NULL, region, GUESTMAP_INTERFACE_REGION, "StartDirtyLog",
                                  NULL);
        if (r < 0)
                return r;
        r = watch_rate(client, region, &until);
        if (r == 0 && !was_on)
                r = client_method(client, NULL, region, GUESTMAP_INTERFACE_REGION, "StopDirtyLog",
                                  NULL);
        return r;
}

int verb_dirty(Client *client, char **arguments) {
        _cleanup_(freep) char *vm = NULL, *region = NULL;
        int r;

        r = client_need_fds(client, "the bitmap of dirty pages");
        if (r >= 0)
                r = client_find_vm(client, arguments[0], &vm);
        if (r >= 0)
                r = client_find_region(client, vm, arguments[1], &region);
        if (r < 0)
                return r;
        if (!client_given(client, OPTION_WATCH))
                return show_once(client, region);
        if (client_given(client, OPTION_CLEAR))
                return fail("dirty: --watch clears anyway");
        return watch(client, region);
}
