/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Numbers in documents
 *
 * A JSON integer, or a string: decimal without a leading zero, or hexadecimal behind 0x, with KiB,
 * MiB, GiB or TiB behind it if wanted. Nothing is rounded: what does not fit is refused.
 */

#include <stdint.h>

#include <json-c/json_object.h>

/* The text of a number without a sign. -EINVAL: not such a number; -ERANGE: 2^64 or more. */
int document_number_parse(const char *text, uint64_t *ret);

/* -EINVAL: neither integer nor such a string; -ERANGE: negative, or 2^64 or more. */
int document_number(json_object *value, uint64_t *ret);
/* The same, but "2^64" is a size, too, and comes out as SIZE_WHOLE. */
int document_size(json_object *value, uint64_t *ret);
/* With a sign. -ERANGE: does not fit into 32 bits. */
int document_priority(json_object *value, int32_t *ret);
