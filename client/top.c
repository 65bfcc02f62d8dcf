/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#include "client/json-print.h"
#include "client/metric.h"
#include "client/number.h"
#include "client/scrape.h"
#include "client/top.h"
#include "client/width.h"

typedef struct ColumnInfo ColumnInfo;

typedef enum Look {
        LOOK_TEXT,
        LOOK_NUMBER,
        LOOK_SIZE,
        LOOK_RATE,
        LOOK_SIZE_RATE,
} Look;

struct ColumnInfo {
        const char *word;
        const char *header;
        const char *key; /* of JSON */
        Look look;
        const char *family; /* whose samples are summed up */
};

static const ColumnInfo infos[N_TOP_COLUMNS] = {
        [TOP_NAME] = {"name", "NAME", "name", LOOK_TEXT},
        [TOP_STATE] = {"state", "STATE", "state", LOOK_TEXT},
        [TOP_OWNER] = {"owner", "OWNER", "owner", LOOK_NUMBER},
        [TOP_GENERATION] = {"generation", "GENERATION", "generation", LOOK_NUMBER,
                            "guestmap_vm_generation"},
        [TOP_COMMITS] = {"commits", "COMMITS/S", "commits-per-second", LOOK_RATE,
                         "guestmap_vm_commits"},
        [TOP_EXITS] = {"exits", "EXITS/S", "exits-per-second", LOOK_RATE, "guestmap_vm_vcpu_exits"},
        [TOP_SLOTS] = {"slots", "SLOTS", "slots", LOOK_NUMBER, "guestmap_vm_slots"},
        [TOP_MAPPED] = {"mapped", "MAPPED", "ram-bytes", LOOK_SIZE, "guestmap_vm_ram_bytes"},
        [TOP_RESIDENT] = {"resident", "RESIDENT", "resident-bytes", LOOK_SIZE,
                          "guestmap_vm_ram_resident_bytes"},
        [TOP_DIRTY] = {"dirty", "DIRTY/S", "dirty-bytes-per-second", LOOK_SIZE_RATE,
                       "guestmap_vm_dirty_bytes"},
};

/* What a table borrows of its headers. */
typedef struct Headers {
        Column columns[N_TOP_COLUMNS];
        char text[N_TOP_COLUMNS][16];
} Headers;

/* What a narrow screen goes without, first to last. */
static const TopColumn spare_columns[] = {TOP_OWNER, TOP_EXITS, TOP_STATE};

enum {
        REST_WIDTH = 56, /* of all others but the name, blanks included */
        NAME_WIDTH_MIN = 8,
};

const char *top_column_word(TopColumn column) {
        return infos[column].word;
}

static bool has_rate(TopColumn column) {
        return infos[column].look == LOOK_RATE || infos[column].look == LOOK_SIZE_RATE;
}

static double now(void) {
        struct timespec time;

        clock_gettime(CLOCK_REALTIME, &time);
        return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void free_vms(TopVM *vms, size_t n) {
        for (size_t i = 0; i < n; i++) {
                free(vms[i].name);
                free(vms[i].state);
        }
        free(vms);
}

void top_deinit(Top *top) {
        free_vms(top->vms, top->n);
        free_vms(top->before, top->n_before);
}

static void take_sample(TopVM *vm, const char *family, const MetricSample *sample) {
        const char *owner = metric_label(sample, "owner");

        for (TopColumn column = 0; column < N_TOP_COLUMNS; column++)
                if (infos[column].family && strcmp(infos[column].family, family) == 0)
                        vm->numbers[column] += sample->value;
        if (strcmp(family, "guestmap_vm_start_time_seconds") == 0)
                vm->start = sample->value;
        if (strcmp(family, "guestmap_vm_logged_slots") == 0)
                vm->is_logged = sample->value > 0;
        if (strcmp(family, "guestmap_vm") == 0 && owner)
                vm->numbers[TOP_OWNER] = strtod(owner, NULL);
}

static int read_vm(TopVM *vm, sd_bus_message *reply) {
        MetricFamily family;
        MetricSample sample;
        int r;

        r = metric_enter(reply);
        while (r >= 0 && (r = metric_next_family(reply, &family)) > 0)
                while ((r = metric_next_sample(reply, &sample)) > 0)
                        take_sample(vm, family.name, &sample);
        return r;
}

static int take(void *userdata, const VMRow *scraped, sd_bus_message *reply) {
        Top *top = userdata;
        TopVM *vm;

        if (!scraped) {
                top->is_down = !reply;
                return 0;
        }
        top->vms = must(reallocarray(top->vms, top->n + 1, sizeof(*top->vms)));
        vm = &top->vms[top->n++];
        *vm = (TopVM){
                .name = must(strdup(scraped->name)),
                .state = must(strdup(reply ? scraped->state : "no answer")),
                .is_up = reply,
        };
        if (reply)
                return read_vm(vm, reply);
        vm->numbers[TOP_GENERATION] = (double)scraped->generation;
        if (strcmp(scraped->state, "running") != 0) {
                free(vm->state);
                vm->state = must(strdup(scraped->state));
        }
        return 0;
}

/* The same process of the same VM at the last tick; NULL: there is none. */
static const TopVM *find_before(const Top *top, const TopVM *vm) {
        for (size_t i = 0; i < top->n_before; i++)
                if (top->before[i].start == vm->start && strcmp(top->before[i].name, vm->name) == 0)
                        return &top->before[i];
        return NULL;
}

static void work_out_rates(const Top *top, TopVM *vm) {
        const TopVM *before = find_before(top, vm);
        double seconds = top->at - (before ? top->before_at : vm->start);

        for (TopColumn column = 0; column < N_TOP_COLUMNS; column++) {
                double count = vm->numbers[column] - (before ? before->numbers[column] : 0);

                if (vm->is_up && has_rate(column) && seconds > 0)
                        vm->rates[column] = count / seconds;
        }
}

static double number_of(const TopVM *vm, TopColumn column) {
        return has_rate(column) ? vm->rates[column] : vm->numbers[column];
}

/* Words ascend, numbers descend: what there is most of is seen first. */
static int compare(const void *a, const void *b, void *userdata) {
        const TopVM *left = a, *right = b;
        const Top *top = userdata;
        double x = number_of(left, top->column), y = number_of(right, top->column);
        int order =
                top->column == TOP_STATE ? strcmp(left->state, right->state) : (x < y) - (x > y);

        if (order == 0)
                order = strcmp(left->name, right->name);
        return top->reversed ? -order : order;
}

static void sort(Top *top) {
        if (top->n > 1)
                qsort_r(top->vms, top->n, sizeof(*top->vms), compare, top);
}

void top_sort(Top *top, TopColumn column) {
        top->reversed = column == top->column && !top->reversed;
        top->column = column;
        sort(top);
}

int top_tick(Top *top) {
        int r;

        free_vms(top->before, top->n_before);
        top->before = top->vms;
        top->n_before = top->n;
        top->before_at = top->at;
        top->vms = NULL;
        top->n = 0;
        top->at = now();
        top->client->starts_none = top->before_at > 0;
        r = scrape(top->client, top->usec, take, top);
        if (r < 0)
                return r;
        for (size_t i = 0; i < top->n; i++)
                work_out_rates(top, &top->vms[i]);
        sort(top);
        return 0;
}

size_t top_shown(const Top *top) {
        return top->room > 0 ? MIN_OF(top->room, top->n - top->first) : top->n;
}

void top_scroll(Top *top, ssize_t by) {
        ssize_t first = (ssize_t)top->first + by;
        ssize_t most = top->n > top->room ? (ssize_t)(top->n - top->room) : 0;

        top->first = (size_t)MAX_OF(MIN_OF(first, most), 0);
}

/* Beside the name, a screen shall have what no VM can do without. */
static int name_room(const Top *top) {
        return top->width > 0 ? MAX_OF(top->width - REST_WIDTH, (int)NAME_WIDTH_MIN) : INT_MAX;
}

/* In bytes, as far as there is room for it. */
static int name_length(const Top *top, const char *name) {
        int width;

        return (int)width_fit(name, strlen(name), name_room(top), &width);
}

static void put_cell(Table *table, const Top *top, const TopVM *vm, TopColumn column) {
        Look look = infos[column].look;
        double number = number_of(vm, column);

        if (column == TOP_NAME)
                table_cell(table, "%.*s", name_length(top, vm->name), vm->name);
        else if (look == LOOK_TEXT)
                table_cell(table, "%s", vm->state);
        else if ((!vm->is_up && column != TOP_GENERATION) ||
                 (column == TOP_DIRTY && !vm->is_logged))
                table_cell(table, "-");
        else if (look == LOOK_NUMBER)
                table_cell(table, "%.0f", number);
        else if (look == LOOK_RATE)
                table_cell(table, "%.1f", number);
        else
                table_cell(table, "%s", number_size_about((uint64_t)number).text);
}

static double sum(const Top *top, TopColumn column) {
        double sum = 0;

        for (size_t i = 0; i < top->n; i++)
                sum += number_of(&top->vms[i], column);
        return sum;
}

/* When the first n of the spare ones are. */
static bool is_left_out(TopColumn column, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (spare_columns[i] == column)
                        return true;
        return false;
}

/* On a screen, the column that is sorted by shows which way. */
static void mark_header(const Top *top, Headers *headers, TopColumn column) {
        bool down = (infos[column].look != LOOK_TEXT) != top->reversed;
        bool unicode = top->client->output.unicode;
        const char *mark = "";

        if (top->width > 0 && column == top->column)
                mark = unicode ? (down ? "▼" : "▲") : (down ? "v" : "^");
        snprintf(headers->text[column], sizeof(headers->text[column]), "%s%s", infos[column].header,
                 mark);
}

static Table *make_table(const Top *top, size_t n_left_out, Headers *headers) {
        Column *columns = headers->columns;
        size_t n = 0;
        Table *table;

        for (TopColumn column = 0; column < N_TOP_COLUMNS; column++) {
                if (is_left_out(column, n_left_out))
                        continue;
                mark_header(top, headers, column);
                columns[n++] = (Column){headers->text[column], infos[column].look != LOOK_TEXT};
        }
        table = table_new(columns, n);
        for (size_t i = 0; i < top->n; i++)
                for (TopColumn column = 0; column < N_TOP_COLUMNS; column++)
                        if (!is_left_out(column, n_left_out))
                                put_cell(table, top, &top->vms[i], column);
        return table;
}

static void print_table(const Top *top) {
        const Output *output = &top->client->output;
        Headers headers;
        Table *table = make_table(top, 0, &headers);

        for (size_t n = 1; top->width > 0 && n <= ELEMENTS_OF(spare_columns) &&
                           table_width(table, output) > top->width;
             n++) {
                table_free(table);
                table = make_table(top, n, &headers);
        }
        if (output->legend && top->is_down)
                printf("guestmapd is not running, or has not answered in time\n\n");
        else if (output->legend)
                printf("%zu VM%s, %.1f commits/s, %s mapped, %s resident\n\n", top->n,
                       PLURAL(top->n), sum(top, TOP_COMMITS),
                       number_size_about((uint64_t)sum(top, TOP_MAPPED)).text,
                       number_size_about((uint64_t)sum(top, TOP_RESIDENT)).text);
        table_print_part(table, output, top->first, top_shown(top));
        table_free(table);
}

static json_object *vm_json(const TopVM *vm) {
        json_object *object = json_new_object();

        json_add_text(object, "name", vm->name);
        json_add_text(object, "state", vm->state);
        json_add_bool(object, "up", vm->is_up);
        for (TopColumn column = 0; column < N_TOP_COLUMNS; column++) {
                double number = number_of(vm, column);
                const char *key = infos[column].key;

                if (infos[column].look == LOOK_NUMBER)
                        json_add_count(object, key, (uint64_t)number);
                else if (infos[column].look == LOOK_SIZE)
                        json_add_size(object, key, (uint64_t)number);
                else if (has_rate(column) && (column != TOP_DIRTY || vm->is_logged))
                        json_add(object, key, json_object_new_double(number));
        }
        return object;
}

static void print_json(const Top *top) {
        _cleanup_(json_putp) json_object *object = json_new_object();
        json_object *list = json_new_array();

        json_add(object, "time", json_object_new_double(top->at));
        json_add(object, "vms", list);
        for (size_t i = 0; i < top->n; i++)
                json_append(list, vm_json(&top->vms[i]));
        json_print(&top->client->output, object);
}

void top_print(const Top *top) {
        if (top->client->output.json == JSON_OFF)
                print_table(top);
        else
                print_json(top);
}
