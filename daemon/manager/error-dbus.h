/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Errors as clients see them
 *
 * A token (api/errors.h, or one of D-Bus' own below) becomes the error's name and stands in front
 * of its message.
 */

#include <systemd/sd-bus.h>

#include "api/errors.h"
#include "lib/util/cleanup.h"

#define ERROR_ACCESS_DENIED "AccessDenied"
#define ERROR_INVALID_ARGS  "InvalidArgs"

/* Returns a negative errno, for a handler to return. */
int error_set(sd_bus_error *error, const char *token, const char *format, ...) _printf_(3, 4);

/* How many bytes of a client's word to quote, as %.*s takes it, so that there is room for ours. */
int error_quotable(const char *text);

/*
 * Answers `call`, for handlers that have returned before. Failures (the caller or the bus has gone)
 * have nobody left to tell and are dropped, here and nowhere else.
 */
void error_reply(sd_bus_message *call, const sd_bus_error *error);
void error_replyf(sd_bus_message *call, const char *token, const char *format, ...) _printf_(3, 4);
