/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Width: the columns that text takes on a terminal
 *
 * Text is UTF-8, and LC_CTYPE of the program that of some locale in UTF-8.
 */

#include <stddef.h>

/* Bytes of the character that a text begins with; at least one. */
size_t width_character_length(const char *text);
int width_of(const char *text);
/* So many bytes of a text of n take `columns` at most; *ret_width is what they take. */
size_t width_fit(const char *text, size_t n, int columns, int *ret_width);
