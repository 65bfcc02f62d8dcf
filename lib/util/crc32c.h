/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * CRC-32C: whether bytes are still those that were written
 *
 * Castagnoli's polynomial, as iSCSI, ext4 and Btrfs have it; x86 has an instruction for it. Any
 * change within 32 bits of each other is noticed.
 *
 * Source: RFC 7143.
 */

#include <stddef.h>
#include <stdint.h>

/* Of bytes that come after those whose sum is `crc`; 0: they are the first. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t n);
