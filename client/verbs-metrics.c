/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * metrics: what monitoring systems follow, as text for them
 *
 * The lines of a family have to stand together, and come from many processes: they are collected
 * until all have answered. OpenMetrics' text and the older one of Prometheus differ in what is said
 * of a family; its samples are the same lines.
 */

#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "client/clock.h"
#include "client/metric.h"
#include "client/out-file.h"
#include "client/scrape.h"
#include "client/verb.h"

typedef struct Family Family;
typedef struct Metrics Metrics;

#define PATIENCE_USEC UINT64_C(2000000)

typedef enum Format {
        FORMAT_OPENMETRICS,
        FORMAT_PROMETHEUS,
} Format;

struct Family {
        char *name;
        char *type;
        char *unit;
        char *help;
        char *samples; /* lines */
        size_t length;
        FILE *out; /* that writes them */
};

/* In the order in which they came. */
struct Metrics {
        Family **families;
        size_t n;
};

static Family *family_new(const MetricFamily *told) {
        Family *family = must(calloc(1, sizeof(*family)));

        family->name = must(strdup(told->name));
        family->type = must(strdup(told->type));
        family->unit = must(strdup(told->unit));
        family->help = must(strdup(told->help));
        family->out = must(open_memstream(&family->samples, &family->length));
        return family;
}

static void family_free(Family *family) {
        fclose(family->out);
        free(family->samples);
        free(family->name);
        free(family->type);
        free(family->unit);
        free(family->help);
        free(family);
}

static void metrics_deinit(Metrics *metrics) {
        for (size_t i = 0; i < metrics->n; i++)
                family_free(metrics->families[i]);
        free(metrics->families);
}

static Family *metrics_find(Metrics *metrics, const MetricFamily *told) {
        for (size_t i = 0; i < metrics->n; i++)
                if (strcmp(metrics->families[i]->name, told->name) == 0)
                        return metrics->families[i];
        metrics->families =
                must(reallocarray(metrics->families, metrics->n + 1, sizeof(*metrics->families)));
        return metrics->families[metrics->n++] = family_new(told);
}

/* Inside a label's quotes, or behind HELP, where quotes are nothing special. */
static void put_escaped(FILE *out, const char *text, bool quoted) {
        for (; *text; text++) {
                if (*text == '\\' || (quoted && *text == '"'))
                        fputc('\\', out);
                if (*text == '\n')
                        fputs("\\n", out);
                else
                        fputc(*text, out);
        }
}

/* As short as says the same. */
static void put_value(FILE *out, double value) {
        char text[32];

        for (int digits = 15; digits <= 17; digits++) {
                snprintf(text, sizeof(text), "%.*g", digits, value);
                if (strtod(text, NULL) == value)
                        break;
        }
        fprintf(out, " %s\n", text);
}

static void put_label(FILE *out, const char *separator, const char *name, const char *value) {
        fprintf(out, "%s%s=\"", separator, name);
        put_escaped(out, value, true);
        fputc('"', out);
}

/* Whose it is comes first; guestmapd says that itself. */
static void put_sample(Family *family, const char *vm, const MetricSample *sample) {
        FILE *out = family->out;
        size_t n = 0;

        fprintf(out, "%s%s", family->name, sample->suffix);
        if (vm)
                put_label(out, n++ ? "," : "{", "vm", vm);
        for (size_t i = 0; i < sample->n_labels; i++)
                put_label(out, n++ ? "," : "{", sample->labels[i].name, sample->labels[i].value);
        if (n > 0)
                fputc('}', out);
        put_value(out, sample->value);
}

static int put_reply(Metrics *metrics, const char *vm, sd_bus_message *reply) {
        MetricSample sample;
        MetricFamily told;
        int r;

        r = metric_enter(reply);
        while (r >= 0 && (r = metric_next_family(reply, &told)) > 0) {
                Family *family = metrics_find(metrics, &told);

                while ((r = metric_next_sample(reply, &sample)) > 0)
                        put_sample(family, vm, &sample);
        }
        return r;
}

/* What only who asks can know. */
static void put_own(Metrics *metrics, const MetricFamily *told, const char *vm, double value) {
        const MetricSample sample = {.suffix = "", .value = value};

        put_sample(metrics_find(metrics, told), vm, &sample);
}

static int take(void *userdata, const VMRow *vm, sd_bus_message *reply) {
        static const MetricFamily up = {"guestmap_vm_up", "gauge", "",
                                        "Whether the VM has told its metrics in time"};
        static const MetricFamily service_up = {"guestmap_up", "gauge", "",
                                                "Whether guestmapd has told its metrics in time"};
        Metrics *metrics = userdata;

        put_own(metrics, vm ? &up : &service_up, vm ? vm->name : NULL, reply != NULL);
        return reply ? put_reply(metrics, vm ? vm->name : NULL, reply) : 0;
}

/* The older format has no information, and takes a counter's name for that of its sample. */
static void print_type(FILE *out, const Family *family, Format format) {
        bool is_info = strcmp(family->type, "info") == 0;
        const char *suffix = strcmp(family->type, "counter") == 0 ? "_total"
                             : is_info                            ? "_info"
                                                                  : "";

        if (format == FORMAT_OPENMETRICS)
                fprintf(out, "# TYPE %s %s\n", family->name, family->type);
        else
                fprintf(out, "# TYPE %s%s %s\n", family->name, suffix,
                        is_info ? "gauge" : family->type);
        if (format == FORMAT_OPENMETRICS && *family->unit)
                fprintf(out, "# UNIT %s %s\n", family->name, family->unit);
        fprintf(out, "# HELP %s%s ", family->name, format == FORMAT_OPENMETRICS ? "" : suffix);
        put_escaped(out, family->help, false);
        fputs(".\n", out);
}

static void print_metrics(FILE *out, const Metrics *metrics, Format format) {
        for (size_t i = 0; i < metrics->n; i++) {
                Family *family = metrics->families[i];

                fflush(family->out);
                print_type(out, family, format);
                fputs(family->samples, out);
        }
        if (format == FORMAT_OPENMETRICS)
                fputs("# EOF\n", out);
}

typedef struct Print {
        const Metrics *metrics;
        Format format;
} Print;

static void print(void *userdata, FILE *out) {
        const Print *what = userdata;

        print_metrics(out, what->metrics, what->format);
}

static int read_format(const Client *client, Format *ret) {
        const char *word = client->options[OPTION_FORMAT];

        *ret = word && strcmp(word, "prometheus") == 0 ? FORMAT_PROMETHEUS : FORMAT_OPENMETRICS;
        if (word && *ret == FORMAT_OPENMETRICS && strcmp(word, "openmetrics") != 0)
                return fail("--format=%s: there are openmetrics and prometheus", word);
        return 0;
}

int verb_metrics(Client *client, char **arguments) {
        static const MetricFamily duration = {"guestmap_scrape_duration_seconds", "gauge",
                                              "seconds",
                                              "How long it took to ask guestmapd and all VMs"};
        const char *timeout = client->options[OPTION_TIMEOUT];
        _cleanup_(metrics_deinit) Metrics metrics = {};
        uint64_t usec = PATIENCE_USEC;
        uint64_t before = clock_usec();
        Format format;
        int r;

        if (client->output.json != JSON_OFF)
                return fail("metrics prints no JSON: --format says what it prints");
        client->starts_none = true;
        r = read_format(client, &format);
        if (r == 0 && timeout)
                r = client_timeout(timeout, &usec);
        if (r == 0)
                r = scrape(client, usec, take, &metrics);
        if (r < 0)
                return r;
        put_own(&metrics, &duration, NULL, (double)(clock_usec() - before) / 1e6);
        return out_file_write(client->options[OPTION_OUT] ?: "-", print,
                              &(Print){.metrics = &metrics, .format = format});
}
