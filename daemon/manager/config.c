/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "daemon/common/log.h"
#include "daemon/manager/config.h"
#include "lib/util/array.h"

#define BLANKS " \t\r\n"

typedef struct DropIn DropIn;
typedef struct DropIns DropIns;
typedef struct Line Line;

/* Where in which file, and below which heading. */
struct Line {
        const char *file;
        unsigned number;
        char section[64]; /* "" where the keys are nobody's: what stands there was told of */
};

struct DropIn {
        char *path;
        const char *name; /* the end of the path */
        size_t rank;      /* of the directory: the lowest counts */
};

struct DropIns {
        DropIn *items;
        size_t n, n_allocated;
};

static void drop_ins_deinit(DropIns *files) {
        for (size_t i = 0; i < files->n; i++)
                free(files->items[i].path);
        free(files->items);
}

static char *trim(char *text) {
        size_t n;

        text += strspn(text, BLANKS);
        n = strlen(text);
        while (n > 0 && strchr(BLANKS, text[n - 1]))
                n--;
        text[n] = '\0';
        return text;
}

/* A number, with a suffix of 1024s, or the word for no limit. */
static int parse_value(const char *text, uint64_t *ret) {
        static const char suffixes[] = "KMGT";
        const char *suffix;
        unsigned shift = 0;
        uint64_t value;
        char *end;

        if (strcmp(text, "infinity") == 0) {
                *ret = QUOTA_INFINITY;
                return 0;
        }
        if (text[0] < '0' || text[0] > '9')
                return -EINVAL;
        errno = 0;
        value = strtoull(text, &end, 10);
        if (errno != 0)
                return -errno;
        suffix = *end ? strchr(suffixes, *end) : NULL;
        if (suffix) {
                shift = 10 * (unsigned)(suffix - suffixes + 1);
                end++;
        }
        if (*end)
                return -EINVAL;
        if (value > UINT64_MAX >> shift)
                return -ERANGE;
        *ret = value << shift;
        return 0;
}

static void parse_section(Line *line, char *text) {
        size_t n = strlen(text);

        line->section[0] = '\0';
        if (text[n - 1] != ']') {
                log_warning("%s:%u: a heading ends with \"]\"", line->file, line->number);
                return;
        }
        text[n - 1] = '\0';
        if (!quota_section_is_valid(text + 1))
                log_warning("%s:%u: unknown section [%s]", line->file, line->number, text + 1);
        else
                snprintf(line->section, sizeof(line->section), "%s", text + 1);
}

/* Nothing behind the "=" means what holds without any file, as in systemd's. */
static void assign(Quotas *quotas, const Line *line, const char *key, const char *value) {
        int quota = quota_from_key(line->section, key), r;
        uint64_t limit = 0;

        if (quota < 0) {
                log_warning("%s:%u: unknown key \"%s\" in section [%s]", line->file, line->number,
                            key, line->section);
                return;
        }
        if (value[0] == '\0') {
                quotas->limits[quota] = quotas_default.limits[quota];
                return;
        }
        r = parse_value(value, &limit);
        if (r == 0)
                r = quotas_set(quotas, (Quota)quota, limit);
        if (r < 0)
                log_warning("%s:%u: %s: \"%s\" is %s", line->file, line->number, key, value,
                            r == -ERANGE ? "too large"
                                         : "no number, with K, M, G or T behind it or not");
}

static void parse_line(Quotas *quotas, Line *line, char *text) {
        char *equals;

        text = trim(text);
        if (text[0] == '\0' || text[0] == '#' || text[0] == ';')
                return;
        if (text[0] == '[') {
                parse_section(line, text);
                return;
        }
        equals = strchr(text, '=');
        if (!equals) {
                log_warning("%s:%u: neither a heading nor KEY=VALUE", line->file, line->number);
                return;
        }
        *equals = '\0';
        if (line->section[0] != '\0')
                assign(quotas, line, trim(text), trim(equals + 1));
        else
                log_warning("%s:%u: \"%s\" is in no section that there is", line->file,
                            line->number, trim(text));
}

void config_parse(Quotas *quotas, const char *name, FILE *stream) {
        _cleanup_(freep) char *text = NULL;
        Line line = {.file = name};
        size_t size = 0;

        while (getline(&text, &size, stream) >= 0) {
                line.number++;
                parse_line(quotas, &line, text);
        }
}

/* What is not there need not be. */
static void say_unreadable(const char *path) {
        if (errno != ENOENT && errno != ENOTDIR)
                log_warning("%s: %s", path, strerror(errno));
}

/* 0 if there is no such file. */
static int read_file(Quotas *quotas, const char *path) {
        _cleanup_(fclosep) FILE *stream = fopen(path, "re");

        if (stream)
                config_parse(quotas, path, stream);
        else
                say_unreadable(path);
        return stream != NULL;
}

static bool is_drop_in(const char *name) {
        size_t n = strlen(name);

        return name[0] != '.' && n > strlen(".conf") &&
               strcmp(name + n - strlen(".conf"), ".conf") == 0;
}

static int add_drop_in(DropIns *files, const char *base, size_t rank, const char *name) {
        DropIn *file;
        int r;

        r = array_reserve(&files->items, &files->n_allocated, files->n, 1);
        if (r < 0)
                return r;
        file = &files->items[files->n];
        if (asprintf(&file->path, "%s.d/%s", base, name) < 0)
                return -ENOMEM;
        file->name = strrchr(file->path, '/') + 1;
        file->rank = rank;
        files->n++;
        return 0;
}

static int find_drop_ins(DropIns *files, const char *base, size_t rank) {
        char directory[PATH_MAX];
        struct dirent *entry;
        DIR *stream;
        int r = 0;

        snprintf(directory, sizeof(directory), "%s.d", base);
        stream = opendir(directory);
        if (!stream && errno == ENOMEM)
                return -ENOMEM;
        if (!stream) {
                say_unreadable(directory);
                return 0;
        }
        while (r >= 0 && (entry = readdir(stream)))
                if (is_drop_in(entry->d_name))
                        r = add_drop_in(files, base, rank, entry->d_name);
        closedir(stream);
        return r;
}

static int compare_drop_ins(const void *a, const void *b) {
        const DropIn *x = a, *y = b;
        int order = strcmp(x->name, y->name);

        return order != 0 ? order : (x->rank > y->rank) - (x->rank < y->rank);
}

static int read_drop_ins(Quotas *quotas, const char *const *bases, size_t n) {
        _cleanup_(drop_ins_deinit) DropIns files = {};
        int r;

        for (size_t i = 0; i < n; i++) {
                r = find_drop_ins(&files, bases[i], i);
                if (r < 0)
                        return r;
        }
        if (files.n > 0)
                qsort(files.items, files.n, sizeof(*files.items), compare_drop_ins);
        for (size_t i = 0; i < files.n; i++)
                if (i == 0 || strcmp(files.items[i].name, files.items[i - 1].name) != 0)
                        (void)read_file(quotas, files.items[i].path);
        return 0;
}

/* Where the user's own file is; "" if nothing says so. */
static void user_base(char path[static PATH_MAX]) {
        const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

        path[0] = '\0';
        if (config && config[0] == '/')
                snprintf(path, PATH_MAX, "%s/guestmap/guestmapd.conf", config);
        else if (home && home[0] == '/')
                snprintf(path, PATH_MAX, "%s/.config/guestmap/guestmapd.conf", home);
}

int config_load(Quotas *ret, bool user, const char *file) {
        const char *bases[] = {"/etc/guestmap/guestmapd.conf", "/run/guestmap/guestmapd.conf",
                               "/usr/lib/guestmap/guestmapd.conf"};
        size_t n = ELEMENTS_OF(bases);
        Quotas quotas = quotas_default;
        char own[PATH_MAX];
        int r;

        if (user || file) {
                user_base(own);
                bases[0] = file ? file : own;
                n = 1;
        }
        for (size_t i = 0; i < n; i++)
                if (read_file(&quotas, bases[i]))
                        break;
        r = read_drop_ins(&quotas, bases, n);
        if (r < 0)
                return r;
        *ret = quotas;
        return 0;
}
