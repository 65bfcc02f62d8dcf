/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/errors.h"
#include "api/names.h"
#include "client/memory-copy.h"
#include "client/number.h"

typedef struct Copier Copier;
typedef struct Row Row;

/* A section that is host memory. */
struct Row {
        Range range;
        uint64_t backing;
        uint64_t offset; /* in the backing's file */
};

struct Copier {
        Client *client;
        const char *vm_path;
        const char *space_path;
        Sink *sink;
        Row *rows; /* in address order */
        size_t n_rows;
        size_t n_allocated;
        uint64_t backing; /* whose descriptor this is */
        int fd;           /* -1: none yet */
};

static int sink_failed(const Sink *sink) {
        return fail_errno(-errno, "cannot write %s", sink->name);
}

int sink_open(Sink *sink, const char *path) {
        struct stat status;

        *sink = (Sink){.name = path, .fd = STDOUT_FILENO};
        if (strcmp(path, "-") == 0)
                return 0;
        sink->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        sink->made = sink->fd >= 0;
        if (sink->fd < 0 && errno == EEXIST)
                sink->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (sink->fd < 0)
                return fail_errno(-errno, "cannot open %s", path);
        sink->regular = fstat(sink->fd, &status) == 0 && S_ISREG(status.st_mode);
        return 0;
}

/* Not before there is something in its place. */
static int sink_begin(Sink *sink) {
        if (sink->begun)
                return 0;
        sink->begun = true;
        return sink->regular && ftruncate(sink->fd, 0) < 0 ? sink_failed(sink) : 0;
}

int sink_close(Sink *sink) {
        int r = 0;

        if (sink->regular && sink->begun && ftruncate(sink->fd, lseek(sink->fd, 0, SEEK_CUR)) < 0)
                r = sink_failed(sink);
        if (sink->made && !sink->begun)
                (void)unlink(sink->name);
        if (sink->fd != STDOUT_FILENO && close(sink->fd) < 0 && r == 0)
                r = sink_failed(sink);
        return r;
}

int sink_write(Sink *sink, const void *data, size_t n) {
        const char *at = data;
        int r;

        r = sink_begin(sink);
        while (r == 0 && n > 0) {
                ssize_t written = write(sink->fd, at, n);

                if (written < 0 && errno != EINTR)
                        return sink_failed(sink);
                if (written > 0) {
                        at += written;
                        n -= (size_t)written;
                }
        }
        return r;
}

static int sink_skip(Sink *sink, uint64_t n) {
        static const char zeroes[65536];
        int r;

        r = sink_begin(sink);
        if (r == 0 && sink->regular)
                return lseek(sink->fd, (off_t)n, SEEK_CUR) < 0 ? sink_failed(sink) : 0;
        while (r == 0 && n > 0) {
                size_t part = MIN_OF(n, sizeof(zeroes));

                r = sink_write(sink, zeroes, part);
                n -= part;
        }
        return r;
}

static int copier_read_rows(Copier *copier, sd_bus_message *reply) {
        uint64_t generation;
        uint32_t flags;
        Row row;
        int r;

        r = sd_bus_message_read(reply, "t", &generation);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(ttttu)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(reply, "(ttttu)", &row.range.first, &row.range.last,
                                        &row.backing, &row.offset, &flags)) > 0) {
                must_reserve(&copier->rows, &copier->n_allocated, copier->n_rows, 1);
                copier->rows[copier->n_rows++] = row;
        }
        return r;
}

static int copier_fetch_rows(Copier *copier) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL, *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = client_request(copier->client, &request, copier->space_path,
                           GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetMemoryTable");
        if (r < 0)
                return r;
        r = client_try(copier->client, request, &error, &reply);
        if (sd_bus_error_has_name(&error, GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_TOO_LARGE))
                return -EOPNOTSUPP;
        if (r < 0)
                return client_print_error(copier->client, &error, r);
        r = copier_read_rows(copier, reply);
        return r < 0 ? client_cannot_read(r) : 0;
}

/* Where no memory is: the service has the words for what is there instead. */
static int refuse_address(Copier *copier, uint64_t address) {
        int r;

        r = client_method(copier->client, NULL, copier->space_path,
                          GUESTMAP_INTERFACE_ADDRESS_SPACE, "Read", "tt", address, UINT64_C(1));
        return r < 0 ? r : fail("the map changed at %s meanwhile", number_hex(address).text);
}

static int copier_ask_for(Copier *copier, uint64_t backing, sd_bus_message **ret_reply) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = client_request(copier->client, &request, copier->vm_path, GUESTMAP_INTERFACE_VM,
                           "GetBacking");
        if (r < 0)
                return r;
        r = sd_bus_message_append(request, "tb", backing, 0);
        if (r < 0)
                return client_cannot_ask(r);
        r = client_try(copier->client, request, &error, ret_reply);
        if (sd_bus_error_has_name(&error, GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_NOT_SUPPORTED))
                return -EOPNOTSUPP;
        return r < 0 ? client_print_error(copier->client, &error, r) : 0;
}

static int copier_open(Copier *copier, uint64_t backing) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r, fd;

        if (copier->fd >= 0 && copier->backing == backing)
                return 0;
        r = copier_ask_for(copier, backing, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "h", &fd);
        if (r < 0)
                return client_cannot_read(r);
        safe_close(copier->fd);
        copier->backing = backing;
        copier->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return copier->fd < 0 ? fail_errno(-errno, "cannot keep a descriptor") : 0;
}

/* How much of what begins at the offset is a hole, or data; all is data if nobody can tell. */
static uint64_t run_length(int fd, uint64_t offset, uint64_t n, bool *ret_hole) {
        off_t data = lseek(fd, (off_t)offset, SEEK_DATA), hole;

        *ret_hole = data > (off_t)offset || (data < 0 && errno == ENXIO);
        if (data > (off_t)offset)
                return MIN_OF(n, (uint64_t)data - offset);
        hole = data < 0 ? -1 : lseek(fd, (off_t)offset, SEEK_HOLE);
        return hole > (off_t)offset ? MIN_OF(n, (uint64_t)hole - offset) : n;
}

static int copy_data(Copier *copier, uint64_t offset, uint64_t n) {
        static char buffer[GUESTMAP_ACCESS_MAX];
        int r = 0;

        while (r == 0 && n > 0) {
                ssize_t got = pread(copier->fd, buffer, MIN_OF(n, sizeof(buffer)), (off_t)offset);

                if (got <= 0)
                        return fail_errno(got < 0 ? -errno : -EIO, "cannot read the memory");
                r = sink_write(copier->sink, buffer, (size_t)got);
                offset += (uint64_t)got;
                n -= (uint64_t)got;
        }
        return r;
}

static int copy_row(Copier *copier, const Row *row, Range part) {
        uint64_t offset = row->offset + (part.first - row->range.first), left = range_size(part);
        int r;

        r = copier_open(copier, row->backing);
        while (r == 0 && left > 0) {
                bool hole;
                uint64_t n = run_length(copier->fd, offset, left, &hole);

                r = hole ? sink_skip(copier->sink, n) : copy_data(copier, offset, n);
                offset += n;
                left -= n;
        }
        return r;
}

/* Whether rows cover all of the range, so that nothing is copied if they do not. */
static int check_rows(Copier *copier, Range range) {
        uint64_t next = range.first;

        for (size_t i = 0; i < copier->n_rows; i++) {
                Range row = copier->rows[i].range;

                if (row.last < next)
                        continue;
                if (row.first > next)
                        break;
                if (row.last >= range.last)
                        return 0;
                next = row.last + 1;
        }
        return refuse_address(copier, next);
}

/*
 * Of memory that callers have passed in there is not always a descriptor, and not always a file as
 * long as it was: that is the service's to read, or to have words for.
 */
static int check_files(Copier *copier, Range range) {
        struct stat status;
        int r = 0;

        for (size_t i = 0; r == 0 && i < copier->n_rows; i++) {
                const Row *row = &copier->rows[i];

                if (row->range.last < range.first || row->range.first > range.last)
                        continue;
                r = copier_open(copier, row->backing);
                if (r == 0 && (fstat(copier->fd, &status) < 0 || !S_ISREG(status.st_mode) ||
                               row->offset + range_size(row->range) > (uint64_t)status.st_size))
                        r = -EOPNOTSUPP;
        }
        return r;
}

static int copy_rows(Copier *copier, Range range) {
        int r;

        r = check_rows(copier, range);
        if (r == 0)
                r = check_files(copier, range);
        for (size_t i = 0; r == 0 && i < copier->n_rows; i++) {
                Range part;

                if (range_intersect(copier->rows[i].range, range, &part))
                        r = copy_row(copier, &copier->rows[i], part);
        }
        return r;
}

int memory_copy(Client *client, const char *vm_path, const char *space_path, Range range,
                Sink *sink) {
        Copier copier = {client, vm_path, space_path, sink, .fd = -1};
        int r;

        if (!client_passes_fds(client))
                return -EOPNOTSUPP;
        r = copier_fetch_rows(&copier);
        if (r == 0)
                r = copy_rows(&copier, range);
        safe_close(copier.fd);
        free(copier.rows);
        return r;
}
