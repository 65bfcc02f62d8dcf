/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Each piece is found anew: a handler may wait, and for that the read-side section is left.
 */

#include <endian.h>
#include <string.h>

#include "lib/memory/access.h"
#include "lib/memory/dispatch.h"

enum { ACCESS_MAX = 8 };

typedef struct Access Access;
typedef struct Addressee Addressee;

/* A piece of the guest's access, and its bytes. */
struct Access {
        Dispatcher *dispatcher;
        Piece piece;
        bool write;
        uint8_t *data;
        const Patience *patience;
        Detail *reason;
};

/* Whom a piece is for: one of them, or nobody who has not had it. */
struct Addressee {
        Handler *handler;
        IOEventFD *ioeventfd;
};

static void addressee_unref(Addressee *addressee) {
        handler_unref(addressee->handler);
        ioeventfd_unref(addressee->ioeventfd);
}

void dispatcher_init(Dispatcher *dispatcher, const Map *map, const char *space) {
        *dispatcher = (Dispatcher){};
        reader_init(&dispatcher->reader, map, space);
}

uint64_t dispatcher_n_unanswered(const Dispatcher *dispatcher) {
        return __atomic_load_n(&dispatcher->n_unassigned, __ATOMIC_RELAXED) +
               __atomic_load_n(&dispatcher->n_readonly, __ATOMIC_RELAXED);
}

static void count(uint64_t *n) {
        __atomic_add_fetch(n, 1, __ATOMIC_RELAXED);
}

static uint64_t value_of(const void *data, unsigned size) {
        uint64_t value = 0;

        memcpy(&value, data, size);
        return le64toh(value);
}

static void put_value(void *data, unsigned size, uint64_t value) {
        value = htole64(value);
        memcpy(data, &value, size);
}

static void answer_nothing(const Access *access, void *data, unsigned size) {
        count(&access->dispatcher->n_unassigned);
        if (!access->write)
                memset(data, 0xff, size);
}

static Piece find_piece(Dispatcher *dispatcher, Range range) {
        const Section *section = reader_find(&dispatcher->reader, range.first);
        Piece piece = {.range = range};
        PieceCursor cursor;

        if (section) {
                piece.range.last = MIN_OF(range.last, section->range.last);
                piece.section = section;
                piece.offset = section->offset + (range.first - section->range.first);
        } else if (dispatcher->reader.view) {
                pieces_begin(&cursor, dispatcher->reader.view, range);
                pieces_next(&cursor, &piece);
        }
        return piece;
}

/* As KVM compares: the value without a sign against all 64 bits. */
static bool rings(const Announced *announced, const Access *access, unsigned size) {
        const IOEventFD *ioeventfd = announced->ioeventfd;

        if (!ioeventfd || (ioeventfd->length != 0 && ioeventfd->length != size))
                return false;
        return !ioeventfd->match || value_of(access->data, size) == ioeventfd->data;
}

/* The one that the write is for. */
static IOEventFD *find_ioeventfd(const Access *access, unsigned size) {
        const FlatView *view = access->dispatcher->reader.view;
        uint64_t address = access->piece.range.first;
        ViewCursor cursor;
        const Announced *announced = flat_view_first_announced(view, &cursor, address);

        while (announced && announced->range.first == address && !rings(announced, access, size))
                announced = flat_view_next_announced(&cursor);
        return announced && announced->range.first == address ? announced->ioeventfd : NULL;
}

static int handle_part(const Access *access, Handler *handler, uint64_t offset, void *data,
                       unsigned size) {
        uint64_t value = 0;
        int r;

        if (size < handler->widths.min) {
                answer_nothing(access, data, size);
                return 0;
        }
        if (access->write)
                return handler_write(handler, offset, size, value_of(data, size), access->patience,
                                     access->reason);
        r = handler_read(handler, offset, size, &value, access->patience, access->reason);
        if (r == 0)
                put_value(data, size, value);
        return r;
}

static int handle(const Access *access, Handler *handler) {
        uint64_t n = range_size(access->piece.range), at = 0;
        int r = 0;

        while (r == 0 && at < n) {
                uint64_t offset = access->piece.offset + at;
                unsigned width = handler_width(handler, offset, n - at);

                r = handle_part(access, handler, offset, access->data + at, width);
                at += width;
        }
        return r;
}

/* Whose the registers are. Nobody: the piece has been served. */
static Addressee find_addressee(const Access *access, unsigned size) {
        const Section *section = access->piece.section;
        uint64_t generation = access->dispatcher->reader.generation;
        Addressee found = {};

        if (section && region_kind_has_registers(section->kind)) {
                if (access->write)
                        found.ioeventfd = find_ioeventfd(access, size);
                if (!found.ioeventfd)
                        found.handler = handler_in_force(section->region, generation);
        } else if (section && access->write && section_is_memory(section)) {
                count(&access->dispatcher->n_readonly);
                return found;
        }
        if (!found.handler && !found.ioeventfd)
                answer_nothing(access, access->data, size);
        return found;
}

/* What does not wait; otherwise who may, with a reference, to be called outside. */
static int serve_inside(const Access *access, Addressee *ret_waits) {
        Addressee found;

        if (piece_is_memory(&access->piece, access->write))
                return access->write ? piece_write(&access->piece, access->data, access->reason)
                                     : piece_read(&access->piece, access->data, access->reason);
        found = find_addressee(access, (unsigned)range_size(access->piece.range));
        if (found.handler && !found.handler->ops->waits)
                return handle(access, found.handler);
        *ret_waits = (Addressee){handler_ref(found.handler), ioeventfd_ref(found.ioeventfd)};
        return 0;
}

static int serve(Access *access, Range range) {
        _cleanup_(addressee_unref) Addressee waits = {};
        int r;

        rcu_enter();
        access->piece = find_piece(access->dispatcher, range);
        r = serve_inside(access, &waits);
        rcu_leave();
        if (waits.ioeventfd)
                ioeventfd_signal(waits.ioeventfd);
        return waits.handler ? handle(access, waits.handler) : r;
}

static int dispatch(Access *access, uint64_t address, unsigned size) {
        uint64_t last = address + (size - 1);
        int r;

        for (;;) {
                r = serve(access, (Range){address, last});
                if (r != 0 || access->piece.range.last == last)
                        return r;
                access->data += range_size(access->piece.range);
                address = access->piece.range.last + 1;
        }
}

int dispatch_read(Dispatcher *dispatcher, uint64_t address, void *data, unsigned size,
                  Detail *reason) {
        Access access = {.dispatcher = dispatcher,
                         .data = data,
                         .patience = dispatcher->patience,
                         .reason = reason};

        return dispatch(&access, address, size);
}

int dispatch_write(Dispatcher *dispatcher, uint64_t address, const void *data, unsigned size,
                   Detail *reason) {
        uint8_t copy[ACCESS_MAX];
        Access access = {.dispatcher = dispatcher,
                         .write = true,
                         .data = copy,
                         .patience = dispatcher->patience,
                         .reason = reason};

        memcpy(copy, data, size);
        return dispatch(&access, address, size);
}

/* In a read-side section. */
static Addressee postpone(Access *access, Range range) {
        access->piece = find_piece(access->dispatcher, range);
        if (!piece_is_memory(&access->piece, true))
                return find_addressee(access, (unsigned)range_size(access->piece.range));
        (void)piece_write(&access->piece, access->data, NULL);
        return (Addressee){};
}

bool dispatch_postpone(Dispatcher *dispatcher, uint64_t address, const void *data, unsigned size,
                       PendingWrite *ret) {
        PendingWrite write = {.address = address};
        Access access = {.dispatcher = dispatcher, .write = true, .data = write.data};
        Addressee found;

        memcpy(write.data, data, size);
        rcu_enter();
        found = postpone(&access, (Range){address, address + (size - 1)});
        write.handler = handler_ref(found.handler);
        write.ioeventfd = ioeventfd_ref(found.ioeventfd);
        rcu_leave();
        write.size = (uint8_t)range_size(access.piece.range);
        write.offset = access.piece.offset;
        if (!write.handler && !write.ioeventfd)
                return false;
        *ret = write;
        return true;
}

bool pending_write_waits(const PendingWrite *write) {
        return write->ioeventfd || write->handler->ops->waits;
}

void pending_write_deinit(PendingWrite *write) {
        handler_unref(write->handler);
        ioeventfd_unref(write->ioeventfd);
}

int dispatch_make(Dispatcher *dispatcher, const PendingWrite *write, const Patience *patience,
                  Detail *reason) {
        uint8_t copy[ACCESS_MAX];
        const Access access = {
                .dispatcher = dispatcher,
                .piece = {.range = {write->address, write->address + (write->size - 1u)},
                          .offset = write->offset},
                .write = true,
                .data = copy,
                .patience = patience,
                .reason = reason,
        };

        if (write->ioeventfd) {
                ioeventfd_signal(write->ioeventfd);
                return 0;
        }
        memcpy(copy, write->data, sizeof(copy));
        return handle(&access, write->handler);
}
