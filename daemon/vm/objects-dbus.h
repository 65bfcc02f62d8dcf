/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Objects: what is told of their changes
 */

#include <stdint.h>
#include <systemd/sd-bus.h>

typedef struct Announcement Announcement;
typedef struct Service Service;

/* Sends the signals of a commit; `previous` is the generation told before. */
int objects_tell(Service *service, const Announcement *announcement, uint64_t previous);
