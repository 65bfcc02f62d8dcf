/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <urcu/list.h>

#include "daemon/common/log.h"
#include "daemon/common/notify.h"
#include "daemon/common/open-file.h"
#include "daemon/vm/fd-store.h"
#include "daemon/vm/inherited-fds.h"
#include "daemon/vm/vm-error.h"
#include "lib/util/tree.h"

typedef struct Entry Entry;

enum {
        NAME_SIZE = 64,
        BATCH = 64,
        SETTLE_USEC = 10000000, /* a batch */
};

struct Entry {
        Kept kept; /* first */
        FDStore *store;
        char name[NAME_SIZE];
        int fd;             /* owned */
        unsigned n_objects; /* that have it kept */
        bool sent;
        bool passed; /* by the manager: of an earlier process */
        RB_ENTRY(Entry) by_file;
        RB_ENTRY(Entry) by_name;
        struct cds_list_head link; /* in FDStore.waiting, sent, settled or leaving */
};

RB_HEAD(EntriesByFile, Entry);
RB_HEAD(EntriesByName, Entry);

/*
 * All but socket, room and the maximum is under the lock, and so is sending, which keeps messages
 * in order: a file may be kept again under another name before the manager has heard that it went.
 */
struct FDStore {
        pthread_mutex_t lock;
        pthread_mutex_t settling; /* held from the first message to the barrier's end */
        struct EntriesByFile by_file;
        struct EntriesByName by_name;
        struct cds_list_head waiting; /* of Entry.link */
        struct cds_list_head sent;
        struct cds_list_head settled;
        struct cds_list_head leaving; /* in no tree: the manager has not been told yet */
        Notify notify;                /* tells it */
        unsigned n;
        unsigned n_max;       /* the manager keeps no more */
        uint64_t limit;       /* nor is the VM to have more */
        uint64_t last_number; /* the highest, of whatever kind */
        bool is_recovering;   /* what was passed is there to be found */
        bool is_closed;
        int socket;
        int room; /* epoll: of notify, while any leave that it had no room for */
};

static int compare_files(const Entry *a, const Entry *b) {
        return open_files_compare(a->fd, b->fd);
}

static int compare_names(const Entry *a, const Entry *b) {
        return strcmp(a->name, b->name);
}

RB_GENERATE_STATIC(EntriesByFile, Entry, by_file, compare_files)
RB_GENERATE_STATIC(EntriesByName, Entry, by_name, compare_names)

static void entry_move(Entry *entry, struct cds_list_head *list) {
        cds_list_del(&entry->link);
        cds_list_add_tail(&entry->link, list);
}

static void entry_detach(Entry *entry) {
        FDStore *store = entry->store;

        RB_REMOVE(EntriesByFile, &store->by_file, entry);
        RB_REMOVE(EntriesByName, &store->by_name, entry);
        cds_list_del(&entry->link);
        store->n--;
        entry->fd = safe_close(entry->fd);
}

/* -EAGAIN: not all. Who is not there has nothing to forget. */
static int send_leaving(FDStore *store, Notify *notify) {
        char message[NAME_SIZE + 64];
        Entry *entry, *next;

        cds_list_for_each_entry_safe(entry, next, &store->leaving, link) {
                snprintf(message, sizeof(message), "FDSTOREREMOVE=1\nFDNAME=%s", entry->name);
                if (notify_send(notify, message, -1) == -EAGAIN)
                        return -EAGAIN;
                cds_list_del(&entry->link);
                free(entry);
        }
        return 0;
}

/* Nobody waits who has an object go; the loop hears when there is room. */
static void tell_leaving(FDStore *store) {
        struct epoll_event event = {.events = EPOLLOUT};
        bool full = send_leaving(store, &store->notify) == -EAGAIN;

        if (store->notify.connected)
                (void)epoll_ctl(store->room, full ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
                                store->notify.socket, &event);
}

static void entry_remove(Entry *entry) {
        FDStore *store = entry->store;

        entry_detach(entry);
        if (!entry->sent || store->is_closed) {
                free(entry);
                return;
        }
        cds_list_add_tail(&entry->link, &store->leaving);
        tell_leaving(store);
}

static int entry_send(Entry *entry, Notify *notify) {
        char message[NAME_SIZE + 64];
        int r;

        /* FDPOLL: an eventfd or socket that hangs up is none of the manager's business. */
        snprintf(message, sizeof(message), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", entry->name);
        r = notify_send(notify, message, entry->fd);
        if (r < 0)
                return r;
        entry->sent = true;
        return 0;
}

static void on_leave(Kept *kept) {
        Entry *entry = (Entry *)kept;
        FDStore *store = entry->store;

        pthread_mutex_lock(&store->lock);
        if (--entry->n_objects == 0 && !(store->is_recovering && entry->passed))
                entry_remove(entry);
        pthread_mutex_unlock(&store->lock);
}

static void name_set(char *name, const char *kind, uint64_t number) {
        snprintf(name, NAME_SIZE, "%s-%" PRIu64, kind, number);
}

static uint64_t number_of(const char *name) {
        const char *number = strrchr(name, '-');

        return number ? strtoull(number + 1, NULL, 10) : 0;
}

/* Takes over fd on success. Nothing of the same file or name is there. */
static int entry_new(Entry **ret, FDStore *store, const char *name, int fd) {
        Entry *entry = calloc(1, sizeof(*entry));

        if (!entry)
                return -ENOMEM;
        snprintf(entry->name, sizeof(entry->name), "%s", name);
        entry->kept = (Kept){.number = number_of(name), .leave = on_leave};
        entry->store = store;
        entry->fd = fd;
        RB_INSERT(EntriesByFile, &store->by_file, entry);
        RB_INSERT(EntriesByName, &store->by_name, entry);
        cds_list_add_tail(&entry->link, &store->waiting);
        store->n++;
        store->last_number = MAX_OF(store->last_number, entry->kept.number);
        *ret = entry;
        return 0;
}

static Entry *find_file(FDStore *store, int fd) {
        const Entry key = {.fd = fd};

        return RB_FIND(EntriesByFile, &store->by_file, (Entry *)&key);
}

static Entry *find_name(FDStore *store, const char *name) {
        Entry key;

        snprintf(key.name, sizeof(key.name), "%s", name);
        return RB_FIND(EntriesByName, &store->by_name, &key);
}

/* What the manager passes stays with it, too. */
static int take_passed(void *userdata, int fd, const char *name) {
        FDStore *store = userdata;
        Entry *entry;
        int r;

        if (strlen(name) >= NAME_SIZE || find_name(store, name) || find_file(store, fd)) {
                safe_close(fd);
                return 0;
        }
        r = entry_new(&entry, store, name, fd);
        if (r < 0)
                return r;
        entry->sent = true;
        entry->passed = true;
        entry_move(entry, &store->settled);
        return 0;
}

/* Without it descriptors of one open file cannot be told from those of two. */
static bool kernel_compares(void) {
        int r = open_files_check();

        if (r < 0)
                log_warning("No descriptor is kept for a restart: kcmp: %s", strerror(-r));
        return r == 0;
}

int fd_store_new(FDStore **ret) {
        _cleanup_(fd_store_freep) FDStore *store = calloc(1, sizeof(*store));
        int r;

        if (!store)
                return -ENOMEM;
        pthread_mutex_init(&store->lock, NULL);
        pthread_mutex_init(&store->settling, NULL);
        RB_INIT(&store->by_file);
        RB_INIT(&store->by_name);
        CDS_INIT_LIST_HEAD(&store->waiting);
        CDS_INIT_LIST_HEAD(&store->sent);
        CDS_INIT_LIST_HEAD(&store->settled);
        CDS_INIT_LIST_HEAD(&store->leaving);
        store->n_max = notify_fds_max();
        if (store->n_max > 0 && !kernel_compares())
                store->n_max = 0;
        store->limit = UINT64_MAX;
        store->is_recovering = true;
        store->socket = -1;
        store->room = epoll_create1(EPOLL_CLOEXEC);
        if (store->room < 0)
                return -errno;
        r = inherited_fds_take(&store->socket, take_passed, store);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(store);
        return 0;
}

FDStore *fd_store_free(FDStore *store) {
        Entry *entry, *next;

        if (!store)
                return NULL;
        store->is_closed = true;
        while ((entry = RB_MIN(EntriesByName, &store->by_name)))
                entry_remove(entry);
        cds_list_for_each_entry_safe(entry, next, &store->leaving, link)
                free(entry);
        notify_deinit(&store->notify);
        safe_close(store->room);
        pthread_mutex_destroy(&store->settling);
        pthread_mutex_destroy(&store->lock);
        free(store);
        return NULL;
}

void fd_store_set_limit(FDStore *store, uint64_t limit) {
        pthread_mutex_lock(&store->lock);
        store->limit = limit;
        pthread_mutex_unlock(&store->lock);
}

int fd_store_socket(const FDStore *store) {
        return store->socket;
}

int fd_store_room(const FDStore *store) {
        return store->room;
}

void fd_store_flush(FDStore *store) {
        pthread_mutex_lock(&store->lock);
        tell_leaving(store);
        pthread_mutex_unlock(&store->lock);
}

int fd_store_find(FDStore *store, const char *kind, uint64_t number) {
        char name[NAME_SIZE];
        Entry *entry;

        if (!store)
                return -1;
        name_set(name, kind, number);
        pthread_mutex_lock(&store->lock);
        entry = find_name(store, name);
        pthread_mutex_unlock(&store->lock);
        return entry ? entry->fd : -1;
}

void fd_store_list(FDStore *store, const char *kind,
                   void (*found)(uint64_t number, int fd, void *userdata), void *userdata) {
        size_t length = strlen(kind);
        Entry *entry;

        if (!store)
                return;
        pthread_mutex_lock(&store->lock);
        RB_FOREACH(entry, EntriesByName, &store->by_name)
                if (strncmp(entry->name, kind, length) == 0 && entry->name[length] == '-')
                        found(entry->kept.number, entry->fd, userdata);
        pthread_mutex_unlock(&store->lock);
}

void fd_store_end_recovery(FDStore *store) {
        Entry *entry, *next;

        pthread_mutex_lock(&store->lock);
        store->is_recovering = false;
        RB_FOREACH_SAFE(entry, EntriesByName, &store->by_name, next)
                if (entry->n_objects == 0)
                        entry_remove(entry);
        pthread_mutex_unlock(&store->lock);
}

void fd_store_close(FDStore *store) {
        pthread_mutex_lock(&store->lock);
        store->is_closed = true;
        pthread_mutex_unlock(&store->lock);
}

/* What was there before the limit stays, so what comes back is not held against it. */
static int check_room(const FDStore *store, Detail *detail) {
        uint64_t max = store->is_recovering ? store->n_max : MIN_OF(store->n_max, store->limit);

        if (store->n < max)
                return 0;
        return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                          "StoredDescriptors: %u are with the service manager, %" PRIu64 " allowed",
                          store->n, max);
}

/* Under the lock. */
static int add(FDStore *store, const char *kind, uint64_t number, int fd, Entry **ret,
               Detail *detail) {
        _cleanup_(closep) int own = -1;
        char name[NAME_SIZE];
        int r;

        r = check_room(store, detail);
        if (r != 0)
                return r;
        own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (own < 0)
                return detail_set(detail, MAP_E_NO_MEMORY, "no descriptor to be had: %s",
                                  strerror(errno));
        name_set(name, kind, number > 0 ? number : store->last_number + 1);
        r = entry_new(ret, store, name, own);
        if (r < 0)
                return r;
        TAKE_FD(own);
        return 0;
}

/* The number alone would not tell the two apart. */
static int check_kind(const Entry *entry, const char *kind, Detail *detail) {
        char name[NAME_SIZE];

        name_set(name, kind, entry->kept.number);
        if (strcmp(entry->name, name) == 0)
                return 0;
        return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                          "the descriptor is of a file that is kept as %s, and cannot be %s, too",
                          entry->name, name);
}

int fd_store_keep(FDStore *store, const char *kind, uint64_t number, int fd, Kept **ret,
                  Detail *detail) {
        Entry *entry;
        int r;

        *ret = NULL;
        if (!store || store->n_max == 0)
                return 0;
        pthread_mutex_lock(&store->lock);
        entry = find_file(store, fd);
        r = entry ? check_kind(entry, kind, detail) : add(store, kind, number, fd, &entry, detail);
        if (r == 0) {
                entry->n_objects++;
                *ret = &entry->kept;
        }
        pthread_mutex_unlock(&store->lock);
        return r;
}

bool fd_store_is_settled(FDStore *store) {
        bool settled;

        if (!store)
                return true;
        pthread_mutex_lock(&store->lock);
        settled = cds_list_empty(&store->waiting) && cds_list_empty(&store->sent);
        pthread_mutex_unlock(&store->lock);
        return settled;
}

/* Until *left have gone. -EAGAIN: not all. */
static int send_some(FDStore *store, Notify *notify, unsigned *left) {
        Entry *entry, *next;
        int r;

        pthread_mutex_lock(&store->lock);
        r = send_leaving(store, notify);
        cds_list_for_each_entry_safe(entry, next, &store->waiting, link) {
                if (r == 0 && *left > 0)
                        r = entry_send(entry, notify);
                if (r < 0 || *left == 0)
                        break;
                entry_move(entry, &store->sent);
                (*left)--;
        }
        pthread_mutex_unlock(&store->lock);
        return r;
}

static void move_all(struct cds_list_head *from, struct cds_list_head *to) {
        Entry *entry, *next;

        cds_list_for_each_entry_safe(entry, next, from, link)
                entry_move(entry, to);
}

/* What was sent is settled, or has to be sent again. */
static void end_sent(FDStore *store, struct cds_list_head *list) {
        pthread_mutex_lock(&store->lock);
        move_all(&store->sent, list);
        pthread_mutex_unlock(&store->lock);
}

static int settle_some(FDStore *store, Notify *notify, unsigned *left) {
        uint64_t deadline = notify_deadline(SETTLE_USEC);
        int r;

        while ((r = send_some(store, notify, left)) == -EAGAIN) {
                r = notify_wait(notify, deadline);
                if (r < 0)
                        break;
        }
        if (r == 0)
                r = notify_barrier(notify, deadline);
        end_sent(store, r < 0 ? &store->waiting : &store->settled);
        return r;
}

/*
 * In batches: what systemd does for a descriptor grows with how many it has of the service, and
 * while there is anything in its socket it does nothing else. A socket of our own: it is waited for
 * without the lock.
 */
static int settle(FDStore *store) {
        _cleanup_(notify_deinit) Notify notify = {};
        unsigned left;
        int r;

        do {
                left = BATCH;
                r = settle_some(store, &notify, &left);
        } while (r == 0 && left == 0);
        return r;
}

int fd_store_settle(FDStore *store, Detail *detail) {
        int r = 0;

        if (!store)
                return 0;
        pthread_mutex_lock(&store->settling);
        if (!fd_store_is_settled(store))
                r = settle(store);
        pthread_mutex_unlock(&store->settling);
        if (r >= 0)
                return 0;
        return detail_set(detail, VM_E_NO_SPACE,
                          "descriptors: the service manager has not taken them: %s", strerror(-r));
}

/* What is on its way went to the manager that has lost it: its end looks like a barrier's. */
void fd_store_offer(FDStore *store) {
        pthread_mutex_lock(&store->lock);
        move_all(&store->sent, &store->waiting);
        move_all(&store->settled, &store->waiting);
        pthread_mutex_unlock(&store->lock);
}
