/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How much there may be
 *
 * What anybody can make guestmapd or a VM's process keep is bounded. The bounds are the
 * configuration's (config.h), are shown by the Limits property, and each is named by whoever
 * refuses what goes beyond it. guestmapd counts what it sees itself: VMs, callers, messages. The
 * bounds of a VM's contents, and of a call that it gets from others, are handed to its process at
 * Setup, which enforces them.
 *
 * I1: a new configuration holds for what comes: nothing that is there is taken away, and a VM's
 *     process keeps the bounds that it was given.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/util/detail.h"

typedef enum Quota Quota;
typedef struct Quotas Quotas;

#define QUOTA_INFINITY UINT64_MAX

enum Quota {
        QUOTA_VMS,                /* VMs, crashed ones too */
        QUOTA_SIGNALS,            /* not yet taken by the bus; beyond it commits are folded */
        QUOTA_VMS_PER_USER,       /* of one owner */
        QUOTA_CALLS_PER_USER,     /* of one uid, sent to VMs and not answered */
        QUOTA_BYTES_PER_USER,     /* in these calls, about; beyond it none is added */
        QUOTA_RAM_BYTES_PER_USER, /* of all backings of all VMs of one owner */
        QUOTA_CALLS_PER_CLIENT,   /* of one bus connection: waiting or sent to a VM, not answered */
        QUOTA_CALLS_PER_VM,       /* not yet taken from its connection by a VM process */
        QUOTA_BYTES_PER_VM,       /* in these calls, about; beyond it none is added */
        QUOTA_MEMORY_MAX,         /* bytes of a VM's control group, where it is a unit */

        QUOTA_DESCRIPTORS,   /* of one call; from here on: enforced by a VM's process, too */
        QUOTA_MESSAGE_BYTES, /* of one call, about */

        QUOTA_REGIONS, /* from here on: enforced by a VM's process alone, of that VM */
        QUOTA_ADDRESS_SPACES,
        QUOTA_IOEVENTFDS,
        QUOTA_COALESCED_ZONES,
        QUOTA_RAM_BYTES,          /* of all backings together */
        QUOTA_TRANSACTIONS,       /* open ones of one user */
        QUOTA_EDITS,              /* staged in one transaction, or in one patch */
        QUOTA_DOCUMENT_BYTES,     /* of a document in a file */
        QUOTA_JSON_DEPTH,         /* of a document */
        QUOTA_STORED_DESCRIPTORS, /* kept for the next process */
        QUOTA_COUNT,
};

#define QUOTA_FIRST_OF_PROCESS QUOTA_DESCRIPTORS

struct Quotas {
        uint64_t limits[QUOTA_COUNT];
};

extern const Quotas quotas_default;

const char *quota_to_string(Quota quota);

/* The one of that name in that section of the configuration; -EINVAL if there is none. */
int quota_from_key(const char *section, const char *name);
/* Whether there is such a section. */
bool quota_section_is_valid(const char *section);

/* 0, or -ERANGE and nothing changed: the value is more than there can be. */
int quotas_set(Quotas *quotas, Quota quota, uint64_t limit);

/* 0, or 1 with the words for QuotaExceeded in `detail`, when `used` of them leave room for none. */
int quota_check(const Quotas *quotas, Quota quota, size_t used, Detail *detail);
/* The same when a thing may not be larger than the limit, and is of `size`. */
int quota_check_size(const Quotas *quotas, Quota quota, size_t size, Detail *detail);
