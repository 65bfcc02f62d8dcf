/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "daemon/vm/equip.h"
#include "daemon/vm/fd-store.h"
#include "lib/memory/handler-socket.h"
#include "lib/util/size-words.h"

/*
 * A new descriptor gets the lowest number that is free: one from the reserve tells that all below
 * it are in use, be it in the map, in transactions, or in a document that is being applied.
 */
static int check_descriptor(const VM *vm, int fd, Detail *detail) {
        if (fd < vm->descriptors_max)
                return 0;
        return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                          "descriptors: all %d for memory and ioeventfds are in use",
                          vm->descriptors_max);
}

/* Counts the descriptor of an object of a region's, and has it kept. Once for each object. */
static int keep(VM *vm, const char *region, const char *kind, int fd, uint64_t *stored, Kept **kept,
                Detail *detail) {
        int r;

        if (*kept)
                return 0;
        r = check_descriptor(vm, fd, detail);
        if (r == 0)
                r = fd_store_keep(vm->store, kind, *stored, fd, kept, detail);
        if (r > 0)
                detail_prefix(detail, "region \"%s\": ", region);
        if (r == 0 && *kept)
                *stored = (*kept)->number;
        return r;
}

/* An ioeventfd with an eventfd in the place of one without. */
static int make_eventfd(Edit *edit, Detail *detail) {
        const IOEventFD *key = edit->ioeventfd;
        _cleanup_(closep) int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        IOEventFD *equipped;
        int r;

        if (fd < 0)
                return detail_set(detail, MAP_E_NO_MEMORY,
                                  "region \"%s\": no eventfd to be had: %s", edit->name,
                                  strerror(errno));
        r = ioeventfd_new(&equipped, key->offset, key->length, key->match, key->data, fd);
        if (r < 0)
                return r;
        TAKE_FD(fd);
        ioeventfd_unref(edit->ioeventfd);
        edit->ioeventfd = equipped;
        return 0;
}

int vm_keep_backing(VM *vm, const char *region, Backing *backing, Detail *detail) {
        return keep(vm, region, "backing", backing->fd, &backing->stored, &backing->kept, detail);
}

int vm_keep_ioeventfd(VM *vm, const char *region, IOEventFD *ioeventfd, Detail *detail) {
        return keep(vm, region, "ioeventfd", ioeventfd->fd, &ioeventfd->stored, &ioeventfd->kept,
                    detail);
}

int vm_keep_socket(VM *vm, const char *region, Handler *handler, Detail *detail) {
        return keep(vm, region, "handler", handler_socket_setup(handler).fd, &handler->stored,
                    &handler->kept, detail);
}

/* The backing that the edit was given is in use from now on. */
static int count_backing(VM *vm, const Edit *edit, Detail *detail) {
        vm->last_backing++;
        return vm_keep_backing(vm, edit->name, edit->backing, detail);
}

static int equip_ioeventfd(VM *vm, Edit *edit, Detail *detail) {
        int r = 0;

        if (edit->ioeventfd->fd < 0)
                r = make_eventfd(edit, detail);
        return r != 0 ? r : vm_keep_ioeventfd(vm, edit->name, edit->ioeventfd, detail);
}

/* Memory that the map can never have is not even made. */
static int check_size(const VM *vm, const Edit *edit, Detail *detail) {
        uint64_t limit = vm->map->limits.ram_bytes;

        if (edit->size <= limit || edit->size == SIZE_WHOLE)
                return 0;
        return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                          "RAMBytes: %s asked for by region \"%s\", the limit is %s",
                          size_words(edit->size).text, edit->name, size_words(limit).text);
}

static int equip_region(VM *vm, Edit *edit, Detail *detail) {
        int r;

        if (edit->backing || !region_kind_has_backing(edit->kind))
                return 0;
        r = check_size(vm, edit, detail);
        if (r != 0)
                return r;
        r = backing_new_memfd(&edit->backing, vm->last_backing + 1, edit->name, edit->size,
                              &edit->memory, detail);
        return r != 0 ? r : count_backing(vm, edit, detail);
}

int vm_equip_passed(VM *vm, Edit *edit, int fd, uint64_t offset, Detail *detail) {
        PassedFD passed = {.fd = fd, .offset = offset};
        int r;

        if (!region_kind_has_backing(edit->kind))
                return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                  "region \"%s\": a region of kind %s has no memory that a "
                                  "descriptor could be",
                                  edit->name, region_kind_to_string(edit->kind));
        r = backing_new_passed(&edit->backing, vm->last_backing + 1, edit->name, edit->size,
                               &edit->memory, &passed, detail);
        return r != 0 ? r : count_backing(vm, edit, detail);
}

static int equip_handler(VM *vm, Edit *edit, Detail *detail) {
        if (handler_is_log(edit->handler))
                return handler_log_equip(edit->handler, vm->access_log, edit->name);
        if (!handler_is_socket(edit->handler))
                return 0;
        return vm_keep_socket(vm, edit->name, edit->handler, detail);
}

int vm_equip_edit(VM *vm, Edit *edit, Detail *detail) {
        switch (edit->verb) {
        case EDIT_ADD_REGION:
                return equip_region(vm, edit, detail);
        case EDIT_ADD_IOEVENTFD:
                return equip_ioeventfd(vm, edit, detail);
        case EDIT_SET_HANDLER:
                return equip_handler(vm, edit, detail);
        default:
                return 0;
        }
}
