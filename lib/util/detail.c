/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdarg.h>
#include <string.h>

#include "lib/util/detail.h"

int detail_set(Detail *detail, int outcome, const char *format, ...) {
        va_list arguments;

        if (!detail)
                return outcome;
        va_start(arguments, format);
        vsnprintf(detail->text, sizeof(detail->text), format, arguments);
        va_end(arguments);
        return outcome;
}

void detail_prefix(Detail *detail, const char *format, ...) {
        char prefix[256];
        size_t length, keep;
        va_list arguments;

        if (!detail)
                return;
        va_start(arguments, format);
        vsnprintf(prefix, sizeof(prefix), format, arguments);
        va_end(arguments);

        length = strlen(prefix);
        keep = strnlen(detail->text, sizeof(detail->text) - 1 - length);
        memmove(detail->text + length, detail->text, keep);
        memcpy(detail->text, prefix, length);
        detail->text[length + keep] = '\0';
}
