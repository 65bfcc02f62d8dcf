/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Sections in messages: (ttstsu), first, last, region, offset, kind, flags
 */

#include <stddef.h>
#include <systemd/sd-bus.h>

#include "daemon/vm/history.h"
#include "lib/memory/flat-view.h"

#define SECTION_SIGNATURE "(ttstsu)"

int message_append_section(sd_bus_message *m, const Section *section);
/*
 * An array of at most `max` sections of a view, from the first that ends at or behind `from`;
 * *ret_more, which may be NULL, tells whether there are others behind them.
 */
int message_append_view(sd_bus_message *m, const FlatView *view, uint64_t from, size_t max,
                        bool *ret_more);
/* Of `n` rows those that went (-1) or came (+1). */
int message_append_rows(sd_bus_message *m, const DeltaRow *rows, size_t n, int sign);
