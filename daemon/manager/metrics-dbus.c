/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "daemon/common/metric-dbus.h"
#include "daemon/manager/link-dbus.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/metrics-dbus.h"
#include "daemon/manager/quota.h"
#include "daemon/manager/relay-dbus.h"

typedef struct Metric Metric;
typedef struct VMMetric VMMetric;

#define USEC_PER_SEC 1e6

/* One of the two: a number, or samples. */
struct Metric {
        MetricFamily family;
        double (*value)(Manager *manager);
        int (*samples)(sd_bus_message *m, const MetricFamily *family, Manager *manager);
};

/* A number of each VM. */
struct VMMetric {
        MetricFamily family;
        double (*value)(const VM *vm);
};

static const char *const states[] = {"running", "paused", "vcpus-lost", "recovering", "crashed"};

static int tell_build(sd_bus_message *m, const MetricFamily *family, Manager *manager) {
        return metric_sample(m, family, "version", GUESTMAP_VERSION, 1);
}

static double start_time(Manager *manager) {
        return (double)manager->start_usec / USEC_PER_SEC;
}

static size_t count_vms(Manager *manager, const char *state) {
        size_t n = 0;

        for (VM *vm = registry_first(&manager->registry); vm; vm = registry_next(vm))
                n += vm_is_visible(vm) && (!state || strcmp(vm->state, state) == 0);
        return n;
}

static int tell_vms(sd_bus_message *m, const MetricFamily *family, Manager *manager) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(states); i++)
                r = metric_sample(m, family, "state", states[i],
                                  (double)count_vms(manager, states[i]));
        return r;
}

/* The state that it is in, and no other: which there are is told by the number of VMs in each. */
static int tell_states(sd_bus_message *m, const MetricFamily *family, Manager *manager) {
        int r = 0;

        for (VM *vm = registry_first(&manager->registry); r >= 0 && vm; vm = registry_next(vm))
                if (vm_is_visible(vm))
                        r = metric_sample_full(m, "", 1, "vm", vm->name, "state", vm->state, NULL);
        return r;
}

static double vms_quota(Manager *manager) {
        return (double)count_vms(manager, NULL) /
               (double)MAX_OF(manager->quotas.limits[QUOTA_VMS], 1u);
}

static double callers(Manager *manager) {
        return (double)callers_count(&manager->callers, NULL);
}

static double waiting_calls(Manager *manager) {
        size_t n_line;

        (void)callers_count(&manager->callers, &n_line);
        return (double)n_line;
}

static double bus_messages(Manager *manager) {
        return (double)relay_backlog(manager);
}

static double buses(Manager *manager) {
        return (double)manager->n_buses;
}

static double forwarded(const VM *vm) {
        return (double)vm->n_forwarded;
}

static double queued(const VM *vm) {
        return (double)vm->held.n + (double)link_backlog(vm->link).calls;
}

static double recoveries(const VM *vm) {
        return (double)vm->n_recoveries;
}

static double folded(const VM *vm) {
        return (double)vm->n_folded;
}

static const Metric metrics[] = {
        {{"guestmap_build", "info", "", "The version of guestmapd"}, .samples = tell_build},
        {{"guestmap_start_time_seconds", "gauge", "seconds",
          "Since when guestmapd runs, after 1970"},
         start_time},
        {{"guestmap_vms", "gauge", "", "VMs in each state"}, .samples = tell_vms},
        {{"guestmap_vms_quota_use_ratio", "gauge", "ratio",
          "How much of the limit of VMs is used up"},
         vms_quota},
        {{"guestmap_callers", "gauge", "", "Clients on the bus that have called"}, callers},
        {{"guestmap_waiting_calls", "gauge", "",
          "Calls that have come in and not been handled: for a right, for their turn"},
         waiting_calls},
        {{"guestmap_bus_queued_messages", "gauge", "", "Messages that the bus has not taken yet"},
         bus_messages},
        {{"guestmap_bus_connections", "counter", "", "How often there was a bus to connect to"},
         buses},
        {{"guestmap_vm_state", "gauge", "", "1 for the state that the VM is in"},
         .samples = tell_states},
};

static const VMMetric vm_metrics[] = {
        {{"guestmap_vm_forwarded_calls", "counter", "", "Calls of clients passed on to the VM"},
         forwarded},
        {{"guestmap_vm_queued_calls", "gauge", "",
          "Calls that the VM's process has not taken yet, or that wait until it is back"},
         queued},
        {{"guestmap_vm_recoveries", "counter", "",
          "How often the VM's process was gone and came back"},
         recoveries},
        {{"guestmap_vm_folded_signals", "counter", "",
          "Signals of the VM that were left out, since the bus did not drain"},
         folded},
};

static int tell(sd_bus_message *m, const Metric *metric, Manager *manager) {
        int r;

        if (metric->value)
                return metric_add(m, &metric->family, metric->value(manager));
        r = metric_open(m, &metric->family);
        if (r >= 0)
                r = metric->samples(m, &metric->family, manager);
        return r < 0 ? r : metric_close(m);
}

static int tell_of_vms(sd_bus_message *m, const VMMetric *metric, Manager *manager) {
        int r;

        r = metric_open(m, &metric->family);
        for (VM *vm = registry_first(&manager->registry); r >= 0 && vm; vm = registry_next(vm))
                if (vm_is_visible(vm))
                        r = metric_sample(m, &metric->family, "vm", vm->name, metric->value(vm));
        return r < 0 ? r : metric_close(m);
}

int method_get_metrics(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', METRIC_FAMILY_TYPE);
        for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(metrics); i++)
                r = tell(reply, &metrics[i], userdata);
        for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(vm_metrics); i++)
                r = tell_of_vms(reply, &vm_metrics[i], userdata);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}
