/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The part of org.guestmap1.VM that is about its vCPUs
 *
 * For the vtable of the VM object; userdata is the Service.
 */

#include <systemd/sd-bus.h>

int method_add_vcpu(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_remove_vcpu(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_list_vcpus(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_pause(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_resume(sd_bus_message *m, void *userdata, sd_bus_error *error);
int get_pause_usec(sd_bus *bus, const char *path, const char *interface, const char *property,
                   sd_bus_message *reply, void *userdata, sd_bus_error *error);
