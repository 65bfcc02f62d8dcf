/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * VM.GetMetrics: what is counted, where it is counted, as families (metric-dbus.h)
 *
 * Everybody may ask at any time, so it must be cheap and wait for nobody: published figures and
 * counters, a call of the kernel for each backing, no walk over regions. While the tree is lent,
 * what of it is told is what was told last.
 */

#include <stdint.h>
#include <systemd/sd-bus.h>

typedef struct TreeFigures TreeFigures;

struct TreeFigures {
        uint64_t resident_bytes;
        uint64_t ioeventfds;
        uint64_t coalesced_zones;
        uint64_t journal_bytes;
};

/* userdata is the Service. */
int method_get_metrics(sd_bus_message *m, void *userdata, sd_bus_error *error);
