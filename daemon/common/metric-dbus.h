/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Metrics: what GetMetrics of both daemons answers, as OpenMetrics has it
 *
 * A reply is families, a family is its name, type, unit, a sentence and its samples, a sample is
 * what stands behind the family's name, its labels and its value. So who prints it has no need to
 * know what there is, and a new family is one row of a table and the place where it is filled in.
 *
 * Each function adds to a message and returns what sd-bus does.
 */

#include <stdint.h>
#include <systemd/sd-bus.h>

typedef struct MetricFamily MetricFamily;

#define METRIC_FAMILY_TYPE "(ssssa(sa{ss}d))"

struct MetricFamily {
        const char *name; /* with its unit, without what its type puts behind it */
        const char *type; /* "counter", "gauge", "histogram", "summary" or "info" */
        const char *unit; /* "seconds", "bytes", "ratio", or "" */
        const char *help; /* a sentence without its full stop */
};

/* A whole family of one sample without labels. */
int metric_add(sd_bus_message *m, const MetricFamily *family, double value);

int metric_open(sd_bus_message *m, const MetricFamily *family);
/* What the type calls its sample: of a counter "_total", of a gauge nothing, of info "_info". */
int metric_sample(sd_bus_message *m, const MetricFamily *family, const char *label,
                  const char *word, double value);
/* With any suffix; labels and their values, a NULL at the end. */
int metric_sample_full(sd_bus_message *m, const char *suffix, double value, ...)
        __attribute__((sentinel));
int metric_close(sd_bus_message *m);
