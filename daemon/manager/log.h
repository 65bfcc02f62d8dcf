/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Log
 *
 * To the journal, with the VM in a field of its own, when the journal is where standard error goes;
 * else to standard error. What is logged is what nobody is told by a reply.
 */

#include <syslog.h>

#include "lib/util/cleanup.h"

/* `priority` is one of syslog's, `vm` a VM's name or NULL. */
void log_vm(int priority, const char *vm, const char *format, ...) _printf_(3, 4);

#define log_info(...)    log_vm(LOG_INFO, NULL, __VA_ARGS__)
#define log_warning(...) log_vm(LOG_WARNING, NULL, __VA_ARGS__)
#define log_error(...)   log_vm(LOG_ERR, NULL, __VA_ARGS__)
