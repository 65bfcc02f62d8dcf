/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdarg.h>
#include <string.h>

#include "daemon/common/metric-dbus.h"

static const char *suffix_of(const MetricFamily *family) {
        if (strcmp(family->type, "counter") == 0)
                return "_total";
        return strcmp(family->type, "info") == 0 ? "_info" : "";
}

int metric_open(sd_bus_message *m, const MetricFamily *family) {
        int r;

        r = sd_bus_message_open_container(m, 'r', "ssssa(sa{ss}d)");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ssss", family->name, family->type, family->unit,
                                  family->help);
        return r < 0 ? r : sd_bus_message_open_container(m, 'a', "(sa{ss}d)");
}

int metric_close(sd_bus_message *m) {
        int r;

        r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_labels(sd_bus_message *m, va_list labels) {
        const char *label;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{ss}");
        while (r >= 0 && (label = va_arg(labels, const char *)))
                r = sd_bus_message_append(m, "{ss}", label, va_arg(labels, const char *));
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int metric_sample_full(sd_bus_message *m, const char *suffix, double value, ...) {
        va_list labels;
        int r;

        r = sd_bus_message_open_container(m, 'r', "sa{ss}d");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", suffix);
        if (r < 0)
                return r;
        va_start(labels, value);
        r = append_labels(m, labels);
        va_end(labels);
        if (r >= 0)
                r = sd_bus_message_append(m, "d", value);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int metric_sample(sd_bus_message *m, const MetricFamily *family, const char *label,
                  const char *word, double value) {
        return metric_sample_full(m, suffix_of(family), value, label, word, NULL);
}

int metric_add(sd_bus_message *m, const MetricFamily *family, double value) {
        int r;

        r = metric_open(m, family);
        if (r >= 0)
                r = metric_sample(m, family, NULL, NULL, value);
        return r < 0 ? r : metric_close(m);
}
