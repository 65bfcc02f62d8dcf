/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Names of the D-Bus contract, org.guestmap1(5)
 */

#define GUESTMAP_SERVICE "org.guestmap1"
#define GUESTMAP_PATH "/org/guestmap1"
#define GUESTMAP_PATH_VM GUESTMAP_PATH "/vm"

#define GUESTMAP_INTERFACE_MANAGER "org.guestmap1.Manager"
#define GUESTMAP_INTERFACE_VM "org.guestmap1.VM"
#define GUESTMAP_INTERFACE_MAP "org.guestmap1.Map"
#define GUESTMAP_INTERFACE_TRANSACTION "org.guestmap1.Transaction"
#define GUESTMAP_INTERFACE_ADDRESS_SPACE "org.guestmap1.AddressSpace"
#define GUESTMAP_INTERFACE_REGION "org.guestmap1.Region"
#define GUESTMAP_INTERFACE_VCPU "org.guestmap1.VCPU"

/* Between guestmapd and guestmap-vmd only; see api/private.h. */
#define GUESTMAP_INTERFACE_PRIVATE "org.guestmap1.Private"

/* All-ones stands for 2^64 wherever the contract has a size. */
#define GUESTMAP_SIZE_WHOLE UINT64_MAX

/* Caps of one reply. */
#define GUESTMAP_PAGE_MAX 10000u            /* rows of a list */
#define GUESTMAP_OBJECTS_MAX 4096u          /* region objects that are enumerated */
#define GUESTMAP_NAMES_MAX 4096u            /* names in a property */
#define GUESTMAP_SIGNAL_SECTIONS_MAX 64u    /* sections in Committed, entries in a report */
#define GUESTMAP_SIGNAL_OBJECTS_MAX 64u     /* regions touched with object signals */
#define GUESTMAP_DOCUMENT_MAX (8u << 20)    /* bytes of a document in a message */
#define GUESTMAP_ACCESS_MAX (1u << 20)      /* bytes of guest memory in a message */
#define GUESTMAP_ACCESSES_MAX 100u          /* Accessed signals of a VM in a second */
#define GUESTMAP_DOCUMENT_FD_MAX (1u << 30) /* bytes of a document in a file */
#define GUESTMAP_JSON_DEPTH_MAX 16u         /* levels of a document */

/* Section flags, as in (ttstsu). */
enum {
        GUESTMAP_SECTION_READONLY = 1 << 0,
        GUESTMAP_SECTION_NONVOLATILE = 1 << 1,
        GUESTMAP_SECTION_UNMERGEABLE = 1 << 2,
        GUESTMAP_SECTION_ROMD = 1 << 3,
        GUESTMAP_SECTION_DIRTY_LOG = 1 << 4,
};
