/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdarg.h>
#include <string.h>

#include "daemon/manager/error-dbus.h"
#include "lib/util/detail.h"
#include "lib/util/utf8.h"

#define QUOTED_MAX 200

static const char *prefix_of(const char *token) {
        if (strcmp(token, ERROR_ACCESS_DENIED) == 0 || strcmp(token, ERROR_INVALID_ARGS) == 0)
                return "org.freedesktop.DBus.Error.";
        return GUESTMAP_ERROR_PREFIX;
}

static _printf_(3, 0) int error_setv(sd_bus_error *error, const char *token, const char *format,
                                     va_list arguments) {
        char name[128];
        Detail detail;

        detail_setv(&detail, 0, format, arguments);
        snprintf(name, sizeof(name), "%s%s", prefix_of(token), token);
        return sd_bus_error_setf(error, name, "%s: %s", token, detail.text);
}

int error_set(sd_bus_error *error, const char *token, const char *format, ...) {
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = error_setv(error, token, format, arguments);
        va_end(arguments);
        return r;
}

int error_quotable(const char *text) {
        return (int)utf8_cut(text, QUOTED_MAX);
}

void error_reply(sd_bus_message *call, const sd_bus_error *error) {
        (void)sd_bus_reply_method_error(call, error);
}

void error_replyf(sd_bus_message *call, const char *token, const char *format, ...) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        va_list arguments;

        va_start(arguments, format);
        error_setv(&error, token, format, arguments);
        va_end(arguments);
        error_reply(call, &error);
}
