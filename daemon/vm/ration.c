/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "daemon/vm/ration.h"
#include "lib/memory/map-error.h"
#include "lib/util/array.h"

int ration_init(Ration *ration) {
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

        if (fd < 0)
                return -errno;
        *ration = (Ration){.fd = fd};
        pthread_mutex_init(&ration->lock, NULL);
        pthread_cond_init(&ration->answered, NULL);
        return 0;
}

void ration_deinit(Ration *ration) {
        pthread_cond_destroy(&ration->answered);
        pthread_mutex_destroy(&ration->lock);
        safe_close(ration->fd);
}

/* Under the lock. */
static void answer(Ration *ration, const char *refusal) {
        (void)detail_set(&ration->refusal, 0, "%s", refusal);
        ration->is_asking = false;
        pthread_cond_signal(&ration->answered);
}

void ration_close(Ration *ration) {
        pthread_mutex_lock(&ration->lock);
        ration->is_closed = true;
        answer(ration, "RAMBytesPerUser: the VM's process ends");
        pthread_mutex_unlock(&ration->lock);
}

static bool has_to_ask(const Ration *ration, uint64_t bytes) {
        return ration->is_limited && bytes + ration->aside > ration->held;
}

bool ration_waits(Ration *ration, uint64_t bytes) {
        bool waits;

        if (!ration)
                return false;
        pthread_mutex_lock(&ration->lock);
        waits = has_to_ask(ration, bytes);
        pthread_mutex_unlock(&ration->lock);
        return waits;
}

/* Under the lock. What is granted is held by then. */
static int ask(Ration *ration, uint64_t bytes, Detail *detail) {
        if (!ration->is_closed) {
                ration->wanted = bytes + ration->aside;
                ration->is_asking = true;
                (void)eventfd_write(ration->fd, 1);
        }
        while (ration->is_asking)
                pthread_cond_wait(&ration->answered, &ration->lock);
        if (ration->refusal.text[0] == '\0')
                return 0;
        return detail_set(detail, MAP_E_QUOTA_EXCEEDED, "%s", ration->refusal.text);
}

int ration_take(Ration *ration, uint64_t bytes, Detail *detail) {
        int r = 0;

        if (!ration)
                return 0;
        pthread_mutex_lock(&ration->lock);
        if (has_to_ask(ration, bytes))
                r = ask(ration, bytes, detail);
        else
                ration->held = MAX_OF(ration->held, bytes + ration->aside);
        pthread_mutex_unlock(&ration->lock);
        return r;
}

void ration_settle(Ration *ration, uint64_t bytes) {
        if (!ration)
                return;
        pthread_mutex_lock(&ration->lock);
        ration->held = bytes + ration->aside;
        pthread_mutex_unlock(&ration->lock);
}

void ration_set_aside(Ration *ration, uint64_t bytes) {
        if (!ration)
                return;
        pthread_mutex_lock(&ration->lock);
        ration->aside += bytes;
        pthread_mutex_unlock(&ration->lock);
}

void ration_use(Ration *ration, uint64_t bytes) {
        if (!ration)
                return;
        pthread_mutex_lock(&ration->lock);
        ration->aside -= bytes;
        pthread_mutex_unlock(&ration->lock);
}

void ration_put_back(Ration *ration, uint64_t bytes) {
        if (!ration)
                return;
        pthread_mutex_lock(&ration->lock);
        ration->aside -= bytes;
        ration->held -= MIN_OF(bytes, ration->held);
        pthread_mutex_unlock(&ration->lock);
}

uint64_t ration_limit(Ration *ration, bool is_limited) {
        uint64_t held;

        pthread_mutex_lock(&ration->lock);
        ration->is_limited = is_limited;
        held = ration->held;
        pthread_mutex_unlock(&ration->lock);
        return held;
}

bool ration_wish(Ration *ration, uint64_t *ret) {
        eventfd_t n;
        bool is_asking;

        (void)eventfd_read(ration->fd, &n);
        pthread_mutex_lock(&ration->lock);
        is_asking = ration->is_asking;
        *ret = ration->wanted;
        pthread_mutex_unlock(&ration->lock);
        return is_asking;
}

void ration_answer(Ration *ration, const char *refusal) {
        pthread_mutex_lock(&ration->lock);
        if (ration->is_asking && refusal[0] == '\0')
                ration->held = ration->wanted;
        answer(ration, refusal);
        pthread_mutex_unlock(&ration->lock);
}
