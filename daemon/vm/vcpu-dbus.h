/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * org.guestmap1.VCPU: a vCPU of the VM, on the object vcpu/INDEX
 *
 * Stop and Step are answered when the run has ended: a VCPUCall is one that has not been answered.
 */

#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

typedef struct Service Service;
typedef struct VCPUCall VCPUCall;

enum {
        VCPU_CALLS_MAX = 1024,     /* of one VM, that wait */
        VCPU_CALLS_RESERVED = 256, /* of these only for its owner and root */
        VCPU_CALLS_USER_MAX = 256, /* of any other uid */
};

extern const sd_bus_vtable vcpu_vtable[];

/* For sd-bus; userdata is the Service. */
int vcpu_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                     void **ret_found, sd_bus_error *error);
int vcpu_objects_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                           sd_bus_error *error);
/* -ENOMEM. */
int vcpu_path(const Service *service, uint32_t index, char **ret);

/* For sd-event; userdata is the Service. */
int on_vcpu_ended(sd_event_source *source, int fd, uint32_t events, void *userdata);
/* Tells of the runs that have ended and were not told of. */
void vcpus_tell(Service *service);

/* `caller` left; NULL: guestmapd did, with everybody it forwards for. */
void vcpu_calls_drop(Service *service, const char *caller);
