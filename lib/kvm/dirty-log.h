/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Dirty log: what guests write to slots
 *
 * A slot is logged because its region is, which the plan of the slots sees to, or because
 * everything is: this listener switches that on and off, for all slots in place. It also fetches
 * what KVM has logged, when somebody wants to know. When a slot goes its log is fetched by the
 * slots (slots.c).
 *
 * Guests need not be held for any of this: what they write meanwhile is logged before or after.
 *
 * Source: QEMU's memory_global_dirty_log_start(); KVM_SET_USER_MEMORY_REGION, KVM_GET_DIRTY_LOG.
 */

#include "lib/kvm/slots.h"

typedef struct DirtyLog DirtyLog;

/* Accelerator and slots must outlive it. -ENOMEM. */
int dirty_log_new(DirtyLog **ret, Accelerator *accelerator, Slots *slots);
/* The listener must have been unregistered. */
DirtyLog *dirty_log_free(DirtyLog *log);
DEFINE_CLEANUP(DirtyLog *, dirty_log_free);

/* To be registered with the map, behind that of the slots. */
Listener *dirty_log_listener(DirtyLog *log);

/*
 * Brings the page log of a backing up to date, for NULL those of all. With `clear` KVM begins anew:
 * what is written from now on will be logged again. MAP_E_KVM, -ENOMEM.
 */
int dirty_log_sync(DirtyLog *log, const Backing *backing, bool clear, Detail *detail);
