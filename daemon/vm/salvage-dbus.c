/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "daemon/vm/error-dbus.h"
#include "daemon/vm/fd-store.h"
#include "daemon/vm/salvage-dbus.h"
#include "daemon/vm/service-dbus.h"

/* Of all the memory that is left. */
typedef struct Sum {
        uint64_t n, last, bytes;
} Sum;

static uint64_t size_of(int fd) {
        struct stat status;

        return fstat(fd, &status) < 0 ? 0 : (uint64_t)status.st_size;
}

static void add_up(uint64_t number, int fd, void *userdata) {
        Sum *sum = userdata;

        sum->n++;
        sum->last = MAX_OF(sum->last, number);
        sum->bytes += size_of(fd);
}

static Sum sum_up(FDStore *store) {
        Sum sum = {};

        fd_store_list(store, "backing", add_up, &sum);
        return sum;
}

int salvage_new(Salvage **ret, Service *service, const Detail *why) {
        Salvage *salvage = calloc(1, sizeof(*salvage));

        if (!salvage)
                return -ENOMEM;
        salvage->why = *why;
        ration_settle(&service->ration.ration, sum_up(service->store).bytes);
        *ret = salvage;
        return 0;
}

Salvage *salvage_free(Salvage *salvage) {
        if (!salvage)
                return NULL;
        sd_event_source_disable_unref(salvage->retry);
        vm_free(salvage->vm);
        free(salvage);
        return NULL;
}

static int find_backing(FDStore *store, uint64_t id, int *ret_fd, Detail *detail) {
        Sum sum = sum_up(store);

        *ret_fd = fd_store_find(store, "backing", id);
        if (*ret_fd >= 0)
                return 0;
        return detail_set(detail, MAP_E_INVALID_RANGE,
                          "no backing %" PRIu64 " is left of the VM; of the %" PRIu64
                          " that are the last is %" PRIu64,
                          id, sum.n, sum.last);
}

/* Of a file that was passed in once nobody knows that any more: all count as such. */
static int open_backing(FDStore *store, uint64_t id, bool writable, int *ret_fd, Detail *detail) {
        Backing backing = {.id = id, .passed = true};
        int r;

        r = find_backing(store, id, &backing.fd, detail);
        return r != 0 ? r : vm_open_backing(&backing, writable, ret_fd, detail);
}

static int method_get_backing(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(closep) int fd = -1;
        Service *service = userdata;
        uint64_t id;
        Detail detail;
        int r, writable;

        r = sd_bus_message_read(m, "tb", &id, &writable);
        if (r < 0)
                return r;
        r = open_backing(service->store, id, writable, &fd, &detail);
        if (r != 0)
                return error_from_outcome(error, r, &detail);
        return sd_bus_reply_method_return(m, "ht", fd, size_of(fd));
}

const sd_bus_vtable salvage_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("GetBacking", SD_BUS_ARGS("t", id, "b", writable),
                                SD_BUS_RESULT("h", fd, "t", size), method_get_backing,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

/* Whatever it is called: that may not be known. */
int salvage_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                        void **ret_found, sd_bus_error *error) {
        *ret_found = userdata;
        return 1;
}
