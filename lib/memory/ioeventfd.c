/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "lib/memory/ioeventfd.h"

int ioeventfd_new(IOEventFD **ret, uint64_t offset, uint32_t length, bool match, uint64_t data,
                  int fd) {
        IOEventFD *ioeventfd;

        if (length > 8 || (length & (length - 1)) || (length == 0 && match))
                return -EINVAL;
        ioeventfd = calloc(1, sizeof(*ioeventfd));
        if (!ioeventfd)
                return -ENOMEM;
        urcu_ref_init(&ioeventfd->ref);
        CDS_INIT_LIST_HEAD(&ioeventfd->region_link);
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

int coalesced_new(Coalesced **ret, Range range) {
        Coalesced *coalesced;

        coalesced = calloc(1, sizeof(*coalesced));
        if (!coalesced)
                return -ENOMEM;
        urcu_ref_init(&coalesced->ref);
        CDS_INIT_LIST_HEAD(&coalesced->region_link);
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
