/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Metrics as GetMetrics answers them: families, and their samples
 *
 * Read one by one: metric_enter(), then for each family its samples to the end. All strings are the
 * message's. Readers return 1 for one, 0 at the end, and a negative errno that has been told.
 */

#include <stddef.h>
#include <systemd/sd-bus.h>

typedef struct MetricFamily MetricFamily;
typedef struct MetricLabel MetricLabel;
typedef struct MetricSample MetricSample;

enum { METRIC_LABELS_MAX = 8 };

struct MetricFamily {
        const char *name;
        const char *type;
        const char *unit;
        const char *help;
};

struct MetricLabel {
        const char *name;
        const char *value;
};

struct MetricSample {
        const char *suffix; /* behind the family's name */
        MetricLabel labels[METRIC_LABELS_MAX];
        size_t n_labels;
        double value;
};

int metric_enter(sd_bus_message *reply);
int metric_next_family(sd_bus_message *reply, MetricFamily *ret);
int metric_next_sample(sd_bus_message *reply, MetricSample *ret);

/* NULL: it has no such label. */
const char *metric_label(const MetricSample *sample, const char *name);
