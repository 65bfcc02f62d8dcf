/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Map.Apply and ApplyFD: a whole document in one call
 *
 * What takes no longer than other calls do is done in its place among them. The rest is a job that
 * borrows the tree, from the text to the prepared commit and its report; carrying the commit out,
 * the answer and the signal are the loop's again. A call that has come in is carried out, whether
 * or not its caller is still there for the answer.
 */

#include <systemd/sd-bus.h>

/* userdata is a MapTarget. */
int method_apply(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_apply_fd(sd_bus_message *m, void *userdata, sd_bus_error *error);
