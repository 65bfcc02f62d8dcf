/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#include "lib/memory/handler-log.h"

typedef struct Listening Listening;

struct AccessLog {
        struct urcu_ref ref;
        int fd;
        pthread_mutex_t lock; /* for all below */
        AccessNote notes[ACCESS_LOG_MAX];
        size_t first;
        size_t n;
        uint64_t missed; /* since the last note that found room */
        bool closed;
};

struct Listening {
        Handler handler;
        AccessLog *log; /* counted reference */
        char *region;
};

static Listening *as_listening(const Handler *handler) {
        return caa_container_of(handler, Listening, handler);
}

int access_log_new(AccessLog **ret) {
        _cleanup_(closep) int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        AccessLog *log;

        if (fd < 0)
                return -errno;
        log = calloc(1, sizeof(*log));
        if (!log)
                return -ENOMEM;
        urcu_ref_init(&log->ref);
        pthread_mutex_init(&log->lock, NULL);
        log->fd = TAKE_FD(fd);
        *ret = log;
        return 0;
}

static void access_log_release(struct urcu_ref *ref) {
        AccessLog *log = caa_container_of(ref, AccessLog, ref);

        pthread_mutex_destroy(&log->lock);
        safe_close(log->fd);
        free(log);
}

static void access_log_unref(AccessLog *log) {
        if (log)
                urcu_ref_put(&log->ref, access_log_release);
}

/* Notes hold handlers, which hold the log: it is emptied, and takes no more. */
AccessLog *access_log_close(AccessLog *log) {
        AccessNote note;

        if (!log)
                return NULL;
        pthread_mutex_lock(&log->lock);
        log->closed = true;
        pthread_mutex_unlock(&log->lock);
        while (access_log_take(log, &note))
                handler_unref(note.handler);
        access_log_unref(log);
        return NULL;
}

int access_log_fd(const AccessLog *log) {
        return log->fd;
}

/* Takes over the note's reference if there is room. */
static bool put(AccessLog *log, const AccessNote *note) {
        if (log->closed || log->n == ACCESS_LOG_MAX) {
                log->missed++;
                return false;
        }
        log->notes[(log->first + log->n) % ACCESS_LOG_MAX] = *note;
        log->notes[(log->first + log->n) % ACCESS_LOG_MAX].missed = log->missed;
        log->missed = 0;
        if (log->n++ == 0)
                (void)eventfd_write(log->fd, 1);
        return true;
}

static void note(Handler *handler, uint64_t offset, unsigned size, uint64_t value, bool write) {
        AccessLog *log = as_listening(handler)->log;
        const AccessNote new = {
                .handler = handler_ref(handler),
                .offset = offset,
                .value = value,
                .width = (uint8_t)size,
                .write = write,
        };
        bool taken;

        pthread_mutex_lock(&log->lock);
        taken = put(log, &new);
        pthread_mutex_unlock(&log->lock);
        if (!taken)
                handler_unref(handler);
}

bool access_log_take(AccessLog *log, AccessNote *ret) {
        eventfd_t unused;
        bool taken;

        pthread_mutex_lock(&log->lock);
        taken = log->n > 0;
        if (taken) {
                *ret = log->notes[log->first];
                log->first = (log->first + 1) % ACCESS_LOG_MAX;
                log->n--;
        }
        if (log->n == 0)
                (void)eventfd_read(log->fd, &unused);
        pthread_mutex_unlock(&log->lock);
        return taken;
}

static int log_read(Handler *handler, uint64_t offset, unsigned size, uint64_t *ret,
                    const Patience *patience, Detail *reason) {
        note(handler, offset, size, 0, false);
        *ret = UINT64_MAX;
        return 0;
}

static int log_write(Handler *handler, uint64_t offset, unsigned size, uint64_t value,
                     const Patience *patience, Detail *reason) {
        note(handler, offset, size, value, true);
        return 0;
}

static bool log_same(const Handler *a, const Handler *b) {
        return true;
}

static void log_free(Handler *handler) {
        Listening *listening = as_listening(handler);

        access_log_unref(listening->log);
        free(listening->region);
        free(listening);
}

static const HandlerOps log_ops = {
        .kind = "log",
        .read = log_read,
        .write = log_write,
        .same = log_same,
        .free = log_free,
};

int handler_new_log(Handler **ret) {
        Listening *listening = calloc(1, sizeof(*listening));

        if (!listening)
                return -ENOMEM;
        handler_init(&listening->handler, &log_ops);
        *ret = &listening->handler;
        return 0;
}

bool handler_is_log(const Handler *handler) {
        return handler && handler->ops == &log_ops;
}

int handler_log_equip(Handler *handler, AccessLog *log, const char *region) {
        Listening *listening = as_listening(handler);

        if (listening->log)
                return 0;
        listening->region = strdup(region);
        if (!listening->region)
                return -ENOMEM;
        urcu_ref_get(&log->ref);
        listening->log = log;
        return 0;
}

const char *handler_log_region(const Handler *handler) {
        return as_listening(handler)->region;
}
