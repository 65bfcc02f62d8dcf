/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <linux/kvm.h>
#include <string.h>

#include "lib/kvm/dirty-fetch.h"
#include "lib/kvm/dirty-log.h"
#include "lib/memory/map-error.h"

struct DirtyLog {
        Listener listener;
        Accelerator *accelerator;
        Slots *slots;
        DirtyBuffer buffer;
};

static DirtyLog *log_of(Listener *listener) {
        return caa_container_of(listener, DirtyLog, listener);
}

static int refused(const Slot *slot, const char *what, int error, Detail *detail) {
        return detail_set(detail, MAP_E_KVM, "slot %" PRIu32 ": %s: %s", slot->number, what,
                          strerror(-error));
}

int dirty_log_sync(DirtyLog *log, const Backing *backing, bool clear, Detail *detail) {
        const Slot *slot = slots_first(log->slots, 0);

        for (; slot; slot = slots_next(log->slots, slot)) {
                int r;

                if ((backing && slot->extent.backing != backing) ||
                    !dirty_is_logged(log->accelerator, &slot->extent))
                        continue;
                r = dirty_fetch(&log->buffer, log->accelerator, slot, clear);
                if (r < 0)
                        return refused(slot, "its dirty log", r, detail);
        }
        return 0;
}

/* The slot as it is, logged as the accelerator now says. */
static int set_again(DirtyLog *log, const Slot *slot) {
        const PlannedOp same = {SLOT_FLAGS, slot->number, slot->extent, slot->extent};
        SlotOp request = planned_op_request(&same);

        return accelerator_set_slot(log->accelerator, &request);
}

static bool logs_for_itself(const Slot *slot) {
        return slot->extent.flags & KVM_MEM_LOG_DIRTY_PAGES;
}

static void on_global_stop(Listener *listener) {
        DirtyLog *log = log_of(listener);
        const Slot *slot = slots_first(log->slots, 0);

        (void)dirty_log_sync(log, NULL, false, NULL);
        log->accelerator->logs_all = false;
        for (; slot; slot = slots_next(log->slots, slot))
                if (!logs_for_itself(slot))
                        (void)set_again(log, slot);
}

static int on_global_start(Listener *listener, Detail *detail) {
        DirtyLog *log = log_of(listener);
        const Slot *slot = slots_first(log->slots, 0);
        int r;

        log->accelerator->logs_all = true;
        for (; slot; slot = slots_next(log->slots, slot)) {
                if (logs_for_itself(slot))
                        continue;
                r = set_again(log, slot);
                if (r == 0)
                        continue;
                on_global_stop(listener);
                return refused(slot, "dirty log on", r, detail);
        }
        return 0;
}

static void on_sync_global(Listener *listener) {
        (void)dirty_log_sync(log_of(listener), NULL, true, NULL);
}

static const ListenerOps dirty_log_ops = {
        .log_sync_global = on_sync_global,
        .log_global_start = on_global_start,
        .log_global_stop = on_global_stop,
};

int dirty_log_new(DirtyLog **ret, Accelerator *accelerator, Slots *slots) {
        DirtyLog *log = calloc(1, sizeof(*log));

        if (!log)
                return -ENOMEM;
        log->listener = (Listener){
                .ops = &dirty_log_ops,
                .priority = LISTENER_PRIORITY_ACCELERATOR,
        };
        log->accelerator = accelerator;
        log->slots = slots;
        *ret = log;
        return 0;
}

DirtyLog *dirty_log_free(DirtyLog *log) {
        if (!log)
                return NULL;
        dirty_buffer_deinit(&log->buffer);
        free(log);
        return NULL;
}

Listener *dirty_log_listener(DirtyLog *log) {
        return &log->listener;
}
