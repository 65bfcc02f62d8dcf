/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * vCPU file: which vCPUs there are, for the next process
 *
 * The file "vcpus" beside the VM's journal. While the VM is served it only says which vCPUs it has:
 * they are gone with the process when that crashes. At an orderly stop it says what they are, too,
 * and which of them ran: the next process makes them again, and they go on.
 *
 *   "guestmap-vcpus 2", their number, what is lost, how many bytes all of this has
 *   a row for each, ascending by index, with its image (vcpu-image.h) behind it, if any
 *   CRC-32C of all of that
 *
 * I1: there is room for all images as long as the vCPUs are there: the file is written over.
 *     Where that ends half-way, the checksum tells, and the process crashed.
 * I2: no image is used twice, nor one that an earlier process could not use.
 * I3: that vCPUs are lost is there for all processes that follow, until somebody goes on without
 *     them.
 *
 * A VM without a journal has no such file, and nothing to recover.
 */

#include "lib/util/detail.h"

typedef struct VM VM;

/* Writes which there are, and whether those of before are lost. VM_E_NO_SPACE; -errno. */
int vcpu_file_note(VM *vm, Detail *detail);
/* Stops all, for good, and writes what they are. MAP_E_KVM, VM_E_NO_SPACE; -errno. */
int vcpu_file_save(VM *vm, Detail *detail);
/*
 * In a VM that was recovered: makes the vCPUs that there were, and starts those that ran. 0, also
 * where they are lost: VM.lost says so, and the detail why, if it is not that none were saved.
 */
int vcpu_file_load(VM *vm, Detail *detail);
