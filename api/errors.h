/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Error names of the D-Bus contract
 *
 * The name on the bus is GUESTMAP_ERROR_PREFIX plus the token; every message begins with the token
 * and a colon, since busctl prints nothing but the message.
 */

#define GUESTMAP_ERROR_PREFIX "org.guestmap1.Error."

#define GUESTMAP_ERROR_NO_SUCH_VM "NoSuchVM"
#define GUESTMAP_ERROR_VM_EXISTS "VMExists"
#define GUESTMAP_ERROR_NO_SUCH_REGION "NoSuchRegion"
#define GUESTMAP_ERROR_REGION_EXISTS "RegionExists"
#define GUESTMAP_ERROR_NO_SUCH_ADDRESS_SPACE "NoSuchAddressSpace"
#define GUESTMAP_ERROR_ADDRESS_SPACE_EXISTS "AddressSpaceExists"
#define GUESTMAP_ERROR_INVALID_NAME "InvalidName"
#define GUESTMAP_ERROR_INVALID_RANGE "InvalidRange"
#define GUESTMAP_ERROR_INVALID_KIND "InvalidKind"
#define GUESTMAP_ERROR_WOULD_LOOP "WouldLoop"
#define GUESTMAP_ERROR_IN_USE "InUse"
#define GUESTMAP_ERROR_UNASSIGNED "Unassigned"
#define GUESTMAP_ERROR_NO_SLOTS "NoSlots"
#define GUESTMAP_ERROR_NO_MEMORY "NoMemory"
#define GUESTMAP_ERROR_KVM "KVM"
#define GUESTMAP_ERROR_CONFLICT "Conflict"
#define GUESTMAP_ERROR_TRANSACTION_CLOSED "TransactionClosed"
#define GUESTMAP_ERROR_QUOTA_EXCEEDED "QuotaExceeded"
#define GUESTMAP_ERROR_INVALID_DOCUMENT "InvalidDocument"
#define GUESTMAP_ERROR_TOO_LARGE "TooLarge"
#define GUESTMAP_ERROR_IOEVENTFD_EXISTS "IOEventFDExists"
#define GUESTMAP_ERROR_NO_SUCH_IOEVENTFD "NoSuchIOEventFD"
#define GUESTMAP_ERROR_NO_FREE_RANGE "NoFreeRange"
#define GUESTMAP_ERROR_NO_SUCH_VCPU "NoSuchVCPU"
#define GUESTMAP_ERROR_VM_GONE "VMGone"
#define GUESTMAP_ERROR_NO_SPACE "NoSpace"
#define GUESTMAP_ERROR_CANCELLED "Cancelled"
#define GUESTMAP_ERROR_NOT_SUPPORTED "NotSupported"
