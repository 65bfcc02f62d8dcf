/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * StartDirtyLog, StopDirtyLog and GetDirty of regions and of the VM
 *
 * That a region is logged is one of its properties: starting is an edit and a commit. That all of
 * the VM is logged is not in the map. For sd-bus; userdata is the Region, or the Service.
 */

#include <systemd/sd-bus.h>

int method_start_region_log(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_stop_region_log(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_get_region_dirty(sd_bus_message *m, void *userdata, sd_bus_error *error);

int method_start_vm_log(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_stop_vm_log(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_get_vm_dirty(sd_bus_message *m, void *userdata, sd_bus_error *error);
