/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * org.guestmap1.VM: transactions, documents, lists, memory
 */

#include <systemd/sd-bus.h>

/* userdata is the Service. */
extern const sd_bus_vtable vm_vtable[];
