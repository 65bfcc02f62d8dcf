/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "lib/memory/handler.h"
#include "lib/memory/region.h"

typedef struct Register Register;

/* Eight bytes that repeat through a region. */
struct Register {
        Handler handler;
        uint64_t initial;
        uint64_t value; /* atomic */
};

enum { REGISTER_SIZE = 8 };

static Register *as_register(const Handler *handler) {
        return caa_container_of(handler, Register, handler);
}

static uint64_t mask_of(unsigned size) {
        return size >= REGISTER_SIZE ? UINT64_MAX : (UINT64_C(1) << 8 * size) - 1;
}

/* The register turned so that its byte for the offset comes first, and back. */
static uint64_t turn(uint64_t value, uint64_t offset) {
        unsigned bits = 8 * (unsigned)(offset % REGISTER_SIZE);

        return bits ? value >> bits | value << (64 - bits) : value;
}

static uint64_t turn_back(uint64_t value, uint64_t offset) {
        return turn(value, REGISTER_SIZE - offset % REGISTER_SIZE);
}

static int register_read(Handler *handler, uint64_t offset, unsigned size, uint64_t *ret,
                         const Patience *patience, Detail *reason) {
        uint64_t value = __atomic_load_n(&as_register(handler)->value, __ATOMIC_ACQUIRE);

        *ret = turn(value, offset) & mask_of(size);
        return 0;
}

static int register_drop(Handler *handler, uint64_t offset, unsigned size, uint64_t value,
                         const Patience *patience, Detail *reason) {
        return 0;
}

/* Others may be writing the bytes beside. */
static int register_write(Handler *handler, uint64_t offset, unsigned size, uint64_t value,
                          const Patience *patience, Detail *reason) {
        uint64_t *at = &as_register(handler)->value;
        uint64_t mask = turn_back(mask_of(size), offset), before, after;

        before = __atomic_load_n(at, __ATOMIC_RELAXED);
        do
                after = (before & ~mask) | (turn_back(value & mask_of(size), offset) & mask);
        while (!__atomic_compare_exchange_n(at, &before, after, false, __ATOMIC_RELEASE,
                                            __ATOMIC_RELAXED));
        return 0;
}

/* What was written to a latch since is not what it was set to. */
static bool register_same(const Handler *a, const Handler *b) {
        return as_register(a)->initial == as_register(b)->initial;
}

static void register_free(Handler *handler) {
        free(as_register(handler));
}

static const HandlerOps none_ops = {
        .kind = "none",
        .read = register_read,
        .write = register_drop,
        .same = register_same,
        .free = register_free,
};

static const HandlerOps constant_ops = {
        .kind = "constant",
        .read = register_read,
        .write = register_drop,
        .same = register_same,
        .free = register_free,
};

static const HandlerOps latch_ops = {
        .kind = "latch",
        .read = register_read,
        .write = register_write,
        .same = register_same,
        .free = register_free,
};

static int register_new(Handler **ret, const HandlerOps *ops, uint64_t value) {
        Register *new = calloc(1, sizeof(*new));

        if (!new)
                return -ENOMEM;
        handler_init(&new->handler, ops);
        new->initial = new->value = value;
        *ret = &new->handler;
        return 0;
}

int handler_new_none(Handler **ret) {
        return register_new(ret, &none_ops, UINT64_MAX);
}

int handler_new_constant(Handler **ret, uint64_t value) {
        return register_new(ret, &constant_ops, value);
}

int handler_new_latch(Handler **ret, uint64_t value) {
        return register_new(ret, &latch_ops, value);
}

void handler_init(Handler *handler, const HandlerOps *ops) {
        *handler = (Handler){.ops = ops, .widths = HANDLER_WIDTHS_ANY};
        urcu_ref_init(&handler->ref);
}

static void handler_release(struct urcu_ref *ref) {
        Handler *handler = caa_container_of(ref, Handler, ref);

        kept_leave(handler->kept);
        handler->ops->free(handler);
}

Handler *handler_ref(Handler *handler) {
        if (handler)
                urcu_ref_get(&handler->ref);
        return handler;
}

Handler *handler_unref(Handler *handler) {
        if (handler)
                urcu_ref_put(&handler->ref, handler_release);
        return NULL;
}

bool handler_value(const Handler *handler, uint64_t *ret) {
        if (handler->ops != &constant_ops && handler->ops != &latch_ops)
                return false;
        *ret = as_register(handler)->initial;
        return true;
}

static bool is_width(unsigned width) {
        return width >= 1 && width <= 8 && (width & (width - 1)) == 0;
}

bool handler_widths_are_valid(const HandlerWidths *widths) {
        return is_width(widths->min) && is_width(widths->max) && widths->min <= widths->max;
}

static bool is_nobody(const Handler *handler) {
        return !handler || handler->ops == &none_ops;
}

bool handler_same(const Handler *a, const Handler *b) {
        if (is_nobody(a) || is_nobody(b))
                return is_nobody(a) == is_nobody(b);
        return a == b || (a->ops == b->ops && a->widths.min == b->widths.min &&
                          a->widths.max == b->widths.max &&
                          a->widths.unaligned == b->widths.unaligned && a->ops->same(a, b));
}

int handler_read(Handler *handler, uint64_t offset, unsigned size, uint64_t *ret,
                 const Patience *patience, Detail *reason) {
        int r;

        r = handler->ops->read(handler, offset, size, ret, patience, reason);
        if (r == 0)
                __atomic_add_fetch(&handler->n_reads, 1, __ATOMIC_RELAXED);
        return r;
}

int handler_write(Handler *handler, uint64_t offset, unsigned size, uint64_t value,
                  const Patience *patience, Detail *reason) {
        int r;

        r = handler->ops->write(handler, offset, size, value, patience, reason);
        if (r == 0)
                __atomic_add_fetch(&handler->n_writes, 1, __ATOMIC_RELAXED);
        return r;
}

unsigned handler_width(const Handler *handler, uint64_t offset, uint64_t n) {
        unsigned width = handler->widths.max;

        while (width > n || (!handler->widths.unaligned && offset % width != 0))
                width /= 2;
        return width;
}

void handler_publish(Region *region, uint64_t generation) {
        Handler *handler = handler_ref(region->handler);

        handler->since = generation;
        handler->before = region->serving;
        rcu_publish(&region->serving, handler);
}

static void handler_retired(RcuHead *head) {
        handler_unref(caa_container_of(head, Handler, rcu));
}

void handler_retire(Region *region) {
        Handler *before = region->serving->before;

        if (before)
                rcu_retire(&before->rcu, handler_retired);
}

Handler *handler_in_force(const Region *region, uint64_t generation) {
        Handler *handler = rcu_fetch(&region->serving);

        while (handler && handler->since > generation)
                handler = handler->before;
        return handler;
}
