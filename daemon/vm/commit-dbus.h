/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Transaction.Commit and Preview: what is staged, made
 *
 * A few edits are made in the place of the call; the many that ApplyFD may have staged are a job,
 * as they would be without a transaction.
 */

#include <systemd/sd-bus.h>

/* userdata is the OpenTransaction. */
int method_commit(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_preview(sd_bus_message *m, void *userdata, sd_bus_error *error);
