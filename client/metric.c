/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "client/client.h"
#include "client/metric.h"

int metric_enter(sd_bus_message *reply) {
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "(ssssa(sa{ss}d))");
        return r < 0 ? client_cannot_read(r) : 0;
}

int metric_next_family(sd_bus_message *reply, MetricFamily *ret) {
        int r;

        r = sd_bus_message_enter_container(reply, 'r', "ssssa(sa{ss}d)");
        if (r > 0)
                r = sd_bus_message_read(reply, "ssss", &ret->name, &ret->type, &ret->unit,
                                        &ret->help);
        if (r > 0)
                r = sd_bus_message_enter_container(reply, 'a', "(sa{ss}d)");
        return r < 0 ? client_cannot_read(r) : r;
}

/* More labels than there is room for are left out. */
static int read_labels(sd_bus_message *reply, MetricSample *sample) {
        MetricLabel label;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "{ss}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(reply, "{ss}", &label.name, &label.value)) > 0)
                if (sample->n_labels < METRIC_LABELS_MAX)
                        sample->labels[sample->n_labels++] = label;
        return r < 0 ? r : sd_bus_message_exit_container(reply);
}

static int read_sample(sd_bus_message *reply, MetricSample *sample) {
        int r;

        sample->n_labels = 0;
        r = sd_bus_message_read(reply, "s", &sample->suffix);
        if (r >= 0)
                r = read_labels(reply, sample);
        if (r >= 0)
                r = sd_bus_message_read(reply, "d", &sample->value);
        return r < 0 ? r : sd_bus_message_exit_container(reply);
}

static int leave_family(sd_bus_message *reply) {
        int r;

        r = sd_bus_message_exit_container(reply);
        if (r >= 0)
                r = sd_bus_message_exit_container(reply);
        return r < 0 ? r : 0;
}

int metric_next_sample(sd_bus_message *reply, MetricSample *ret) {
        int r;

        r = sd_bus_message_enter_container(reply, 'r', "sa{ss}d");
        if (r == 0)
                r = leave_family(reply);
        else if (r > 0)
                r = read_sample(reply, ret);
        return r < 0 ? client_cannot_read(r) : r;
}

const char *metric_label(const MetricSample *sample, const char *name) {
        for (size_t i = 0; i < sample->n_labels; i++)
                if (strcmp(sample->labels[i].name, name) == 0)
                        return sample->labels[i].value;
        return NULL;
}
