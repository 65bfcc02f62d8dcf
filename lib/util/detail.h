/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What went wrong, in words
 *
 * A function with named outcomes fills a Detail together with a positive return value: which
 * object, which value, which limit. The text has no error token in front and no full stop; the one
 * file per process that turns outcomes into replies puts the token there.
 *
 * I1: the text is well-formed UTF-8, as everything on D-Bus must be. It ends before what is not,
 *     such as the rest of a character that was cut for want of room.
 *
 * Every function takes a NULL detail for a caller that does not care.
 *
 * Source: this project.
 */

#include <stdarg.h>

#include "lib/util/cleanup.h"

typedef struct Detail Detail;

struct Detail {
        char text[768];
};

/* Sets the text; returns `outcome`, so that `return detail_set(detail, X_E_NAME, …)` reads well. */
int detail_set(Detail *detail, int outcome, const char *format, ...) _printf_(3, 4);
int detail_setv(Detail *detail, int outcome, const char *format, va_list arguments)
        _printf_(3, 0);

/* Puts words in front of what is there ("edit 3: …"). */
void detail_prefix(Detail *detail, const char *format, ...) _printf_(2, 3);
