/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Equip: gives edits what they need of the VM
 *
 * Memory for RAM, eventfds for doorbells, the log for handlers that take notes. What has a
 * descriptor counts against those that the process may have, and is kept for the next one
 * (fd-store.h): it is in force only after fd_store_settle().
 *
 * Any thread that has the tree.
 */

#include "daemon/vm/vm.h"
#include "lib/memory/edit.h"

/*
 * Gives an EDIT_ADD_REGION of a kind with host memory its backing (a new memfd, a new id), an
 * EDIT_ADD_IOEVENTFD its eventfd, an EDIT_SET_HANDLER its log, if they have none yet. Nothing to do
 * for other edits.
 * MAP_E_NO_MEMORY; MAP_E_QUOTA_EXCEEDED for descriptors; MAP_E_INVALID_RANGE;
 * MAP_E_INVALID_ARGUMENT: any of fd_store_keep().
 */
int vm_equip_edit(VM *vm, Edit *edit, Detail *detail);

/*
 * Gives an EDIT_ADD_REGION memory that a caller passed in, from an offset in the file on; the
 * caller keeps fd. VM_E_INVALID_ARGUMENTS: a kind without memory; any of backing_new_passed().
 */
int vm_equip_passed(VM *vm, Edit *edit, int fd, uint64_t offset, Detail *detail);

/*
 * Has an object of a region's kept that there is already, under its number if it has one: as the
 * above do with new ones. MAP_E_QUOTA_EXCEEDED, MAP_E_INVALID_ARGUMENT.
 */
int vm_keep_backing(VM *vm, const char *region, Backing *backing, Detail *detail);
int vm_keep_ioeventfd(VM *vm, const char *region, IOEventFD *ioeventfd, Detail *detail);
int vm_keep_socket(VM *vm, const char *region, Handler *handler, Detail *detail);
