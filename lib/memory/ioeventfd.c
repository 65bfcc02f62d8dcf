/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <poll.h>

#include "lib/memory/ioeventfd.h"

static int compare_zones(const Coalesced *a, const Coalesced *b) {
        return range_compare(a->range, b->range);
}

RB_GENERATE_STATIC(IOEventFDs, IOEventFD, by_key, ioeventfd_compare)
RB_GENERATE_STATIC(Zones, Coalesced, by_range, compare_zones)

int ioeventfd_new(IOEventFD **ret, uint64_t offset, uint32_t length, bool match, uint64_t data,
                  int fd) {
        IOEventFD *ioeventfd;

        if (length > 8 || (length & (length - 1)) || (length == 0 && match))
                return -EINVAL;
        ioeventfd = calloc(1, sizeof(*ioeventfd));
        if (!ioeventfd)
                return -ENOMEM;
        urcu_ref_init(&ioeventfd->ref);
        ioeventfd->offset = offset;
        ioeventfd->length = length;
        ioeventfd->match = match;
        ioeventfd->data = match ? data : 0;
        ioeventfd->fd = fd;
        *ret = ioeventfd;
        return 0;
}

static void ioeventfd_free_ref(struct urcu_ref *ref) {
        IOEventFD *ioeventfd = caa_container_of(ref, IOEventFD, ref);

        kept_leave(ioeventfd->kept);
        safe_close(ioeventfd->fd);
        free(ioeventfd);
}

IOEventFD *ioeventfd_ref(IOEventFD *ioeventfd) {
        if (ioeventfd)
                urcu_ref_get(&ioeventfd->ref);
        return ioeventfd;
}

IOEventFD *ioeventfd_unref(IOEventFD *ioeventfd) {
        if (ioeventfd)
                urcu_ref_put(&ioeventfd->ref, ioeventfd_free_ref);
        return NULL;
}

/* A counter that is full has been rung already, and nobody needs to wait until it is not. */
void ioeventfd_signal(const IOEventFD *ioeventfd) {
        struct pollfd room = {.fd = ioeventfd->fd, .events = POLLOUT};
        const uint64_t one = 1;

        if (poll(&room, 1, 0) == 1 && room.revents & POLLOUT)
                (void)!write(ioeventfd->fd, &one, sizeof(one));
}

bool ioeventfd_collides(const IOEventFD *a, const IOEventFD *b) {
        if (a->offset != b->offset)
                return false;
        if (a->length == 0 || b->length == 0)
                return true;
        return a->length == b->length && (!a->match || !b->match || a->data == b->data);
}

int ioeventfd_compare(const IOEventFD *a, const IOEventFD *b) {
        if (a->offset != b->offset)
                return a->offset < b->offset ? -1 : 1;
        if (a->length != b->length)
                return a->length < b->length ? -1 : 1;
        if (a->match != b->match)
                return a->match < b->match ? -1 : 1;
        if (a->data != b->data)
                return a->data < b->data ? -1 : 1;
        return 0;
}

void ioeventfd_link(IOEventFD *ioeventfd, struct IOEventFDs *ioeventfds) {
        RB_INSERT(IOEventFDs, ioeventfds, ioeventfd);
        ioeventfd->linked = true;
}

void ioeventfd_unlink(IOEventFD *ioeventfd, struct IOEventFDs *ioeventfds) {
        RB_REMOVE(IOEventFDs, ioeventfds, ioeventfd);
        ioeventfd->linked = false;
}

IOEventFD *ioeventfds_find(const struct IOEventFDs *ioeventfds, const IOEventFD *key) {
        return RB_FIND(IOEventFDs, (struct IOEventFDs *)ioeventfds, (IOEventFD *)key);
}

static IOEventFD *first_from(const struct IOEventFDs *ioeventfds, const IOEventFD *key) {
        return RB_NFIND(IOEventFDs, (struct IOEventFDs *)ioeventfds, (IOEventFD *)key);
}

/* Of those at one offset length 0 comes first; of those of one length the one without a match. */
IOEventFD *ioeventfds_colliding(const struct IOEventFDs *ioeventfds, const IOEventFD *with) {
        const IOEventFD keys[] = {
                {.offset = with->offset},
                {.offset = with->offset, .length = with->length},
                *with,
        };

        for (size_t i = 0; i < ELEMENTS_OF(keys); i++) {
                IOEventFD *found = first_from(ioeventfds, &keys[i]);

                if (found && ioeventfd_collides(found, with))
                        return found;
        }
        return NULL;
}

IOEventFD *ioeventfds_first(const struct IOEventFDs *ioeventfds, uint64_t from) {
        return first_from(ioeventfds, &(IOEventFD){.offset = from});
}

IOEventFD *ioeventfd_next(const IOEventFD *ioeventfd) {
        return RB_NEXT(IOEventFDs, , (IOEventFD *)ioeventfd);
}

int coalesced_new(Coalesced **ret, Range range) {
        Coalesced *coalesced;

        coalesced = calloc(1, sizeof(*coalesced));
        if (!coalesced)
                return -ENOMEM;
        urcu_ref_init(&coalesced->ref);
        coalesced->range = range;
        *ret = coalesced;
        return 0;
}

static void coalesced_free_ref(struct urcu_ref *ref) {
        free(caa_container_of(ref, Coalesced, ref));
}

Coalesced *coalesced_ref(Coalesced *coalesced) {
        if (coalesced)
                urcu_ref_get(&coalesced->ref);
        return coalesced;
}

Coalesced *coalesced_unref(Coalesced *coalesced) {
        if (coalesced)
                urcu_ref_put(&coalesced->ref, coalesced_free_ref);
        return NULL;
}

void coalesced_link(Coalesced *coalesced, struct Zones *zones) {
        RB_INSERT(Zones, zones, coalesced);
        coalesced->linked = true;
}

void coalesced_unlink(Coalesced *coalesced, struct Zones *zones) {
        RB_REMOVE(Zones, zones, coalesced);
        coalesced->linked = false;
}

Coalesced *zones_find(const struct Zones *zones, Range range) {
        return RB_FIND(Zones, (struct Zones *)zones, &(Coalesced){.range = range});
}

Coalesced *zones_first(const struct Zones *zones, uint64_t from) {
        Coalesced key = {.range = {from, 0}};

        return RB_NFIND(Zones, (struct Zones *)zones, &key);
}

Coalesced *coalesced_next(const Coalesced *coalesced) {
        return RB_NEXT(Zones, , (Coalesced *)coalesced);
}
