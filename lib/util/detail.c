/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdarg.h>
#include <string.h>

#include "lib/util/detail.h"
#include "lib/util/utf8.h"

static void cut_malformed(char *text) {
        size_t left = strlen(text), n;

        while ((n = utf8_length(text, left)) > 0) {
                text += n;
                left -= n;
        }
        *text = '\0';
}

int detail_setv(Detail *detail, int outcome, const char *format, va_list arguments) {
        if (!detail)
                return outcome;
        vsnprintf(detail->text, sizeof(detail->text), format, arguments);
        cut_malformed(detail->text);
        return outcome;
}

int detail_set(Detail *detail, int outcome, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        detail_setv(detail, outcome, format, arguments);
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
        cut_malformed(prefix);

        length = strlen(prefix);
        keep = strnlen(detail->text, sizeof(detail->text) - 1 - length);
        memmove(detail->text + length, detail->text, keep);
        memcpy(detail->text, prefix, length);
        detail->text[length + keep] = '\0';
        cut_malformed(detail->text);
}
