/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How much there may be
 *
 * What anybody can make guestmapd keep is bounded here, and shown by the Limits property. Limits of
 * one VM's contents (regions, transactions, bytes) are its process' own.
 */

#include <stddef.h>
#include <stdint.h>

#include "lib/util/detail.h"

typedef enum Quota {
        QUOTA_VMS,              /* VMs, crashed ones too */
        QUOTA_CALLS_PER_CLIENT, /* of one bus connection: waiting or sent to a VM, not answered */
        QUOTA_CALLS_PER_VM,     /* not yet taken from its connection by a VM process */
        QUOTA_BYTES_PER_VM,     /* in these calls, about; beyond it none is added */
        QUOTA_DESCRIPTORS,      /* of one call */
        QUOTA_SIGNALS,          /* not yet taken by the bus; beyond it commits are folded */
        QUOTA_DOCUMENT_BYTES,   /* of a document in a file; the VM's process refuses what is more */
        QUOTA_COUNT,
} Quota;

const char *quota_to_string(Quota quota);
uint64_t quota_limit(Quota quota);

/* 0, or 1 with the words for QuotaExceeded in `detail`, when `used` of them leave room for none. */
int quota_check(Quota quota, size_t used, Detail *detail);
