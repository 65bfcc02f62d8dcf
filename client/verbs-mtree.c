/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * import-mtree: what a running QEMU prints of its map, as a layout document
 *
 * The service is not asked.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/json-print.h"
#include "client/layout.h"
#include "client/mtree-import.h"
#include "client/verb.h"

typedef struct Question Question;

/* What is not known, and what it is taken to be. */
struct Question {
        const char *what;
        const char *taken;
        const char *for_people;
};

static const Question questions[MTREE_DOUBT_N] = {
        [MTREE_DOUBT_CONTAINER] = {"kind", "container",
                                   "shown nowhere, taken as containers; they may be mmio"},
        [MTREE_DOUBT_MMIO] = {"kind", "mmio",
                              "shown nowhere, taken as mmio; they may be containers or reserved"},
        [MTREE_DOUBT_DEVICE] = {"kind", "ram", "memory of devices, taken as ram"},
        [MTREE_DOUBT_READONLY] = {"readonly", "no",
                                  "shown nowhere, taken as writable; they may be read-only"},
        [MTREE_DOUBT_WHICH] = {"readonly", "yes",
                               "taken as what makes memory read-only; it may be what is above"},
        [MTREE_DOUBT_CLOSED] = {"size", "0", "of one byte or none, taken as none"},
        [MTREE_DOUBT_BYTE] = {"size", "1", "of one byte or none, taken as one"},
        [MTREE_DOUBT_ORDER] = {"order", "above", "taken to win over an equal that overlaps"},
        [MTREE_DOUBT_TARGET] = {"target", "this", "aliases of one of several with a name"},
        [MTREE_DOUBT_IDENTITY] = {"identity", "this", "the same as one of several that look alike"},
        [MTREE_DOUBT_UNSEEN] = {"size", "2^64", "not printed, taken as disabled, of 2^64 bytes"},
        [MTREE_DOUBT_ORPHAN] = {"parent", "disabled",
                                "below something disabled that is not printed (info mtree -D "
                                "prints it), taken as disabled themselves"},
        [MTREE_DOUBT_SPACE] = {"view", "none",
                               "address spaces without a view that is surely theirs"},
        [MTREE_DOUBT_VIEW] = {"layout", "differs", "the flat view has something else"},
};

static int read_stream(FILE *file, const char *path, char **ret) {
        _cleanup_(freep) char *text = must(malloc(MTREE_TEXT_MAX + 2));
        size_t n;

        n = fread(text, 1, MTREE_TEXT_MAX + 1, file);
        if (ferror(file))
                return fail_errno(-errno, "cannot read %s", path);
        if (n > MTREE_TEXT_MAX)
                return fail("%s: more than %u MiB", path, MTREE_TEXT_MAX >> 20);
        if (memchr(text, '\0', n))
                return fail("%s: not a text file", path);
        text[n] = '\0';
        *ret = TAKE_PTR(text);
        return 0;
}

static const char *name_of(const char *path) {
        return strcmp(path, "-") == 0 ? "standard input" : path;
}

static int read_dump(const char *path, char **ret) {
        _cleanup_(fclosep) FILE *file = NULL;

        if (strcmp(path, "-") == 0)
                return read_stream(stdin, name_of(path), ret);
        file = fopen(path, "re");
        if (!file)
                return fail_errno(-errno, "cannot open %s", path);
        return read_stream(file, path, ret);
}

static int refuse(const char *path, const MtreeError *error) {
        if (error->line == 0)
                return fail("%s: %s", name_of(path), error->text);
        return fail("%s:%u: %s", name_of(path), error->line, error->text);
}

/* What a doubt is about: "NAME", "NAME: OTHER", or a text. */
static char *doubt_text(const MtreeDoubt *doubt) {
        char *text;
        int r;

        if (!doubt->region)
                r = asprintf(&text, "%s", doubt->text);
        else if (doubt->other)
                r = asprintf(&text, "%s: %s", doubt->region->name, doubt->other->name);
        else
                r = asprintf(&text, "%s", doubt->region->name);
        return must(r < 0 ? NULL : text);
}

static json_object *list_doubts(const MtreeImport *import, MtreeDoubtKind kind) {
        json_object *list = json_new_array();

        for (size_t i = 0; i < import->n_doubts; i++) {
                _cleanup_(freep) char *text = NULL;

                if (import->doubts[i].kind != kind)
                        continue;
                text = doubt_text(&import->doubts[i]);
                json_append(list, json_object_new_string(text));
        }
        return list;
}

static json_object *doubts_json(const MtreeImport *import) {
        json_object *all = json_new_array();

        for (MtreeDoubtKind kind = 0; kind < MTREE_DOUBT_N; kind++) {
                json_object *object, *list = list_doubts(import, kind);

                if (json_object_array_length(list) == 0) {
                        json_object_put(list);
                        continue;
                }
                object = json_new_object();
                json_add_text(object, "unknown", questions[kind].what);
                json_add_text(object, "taken", questions[kind].taken);
                json_add_text(object, "reason", questions[kind].for_people);
                json_add(object, "of", list);
                json_append(all, object);
        }
        return all;
}

static int compare_texts(const void *a, const void *b) {
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* For people the numbers behind names only hide that it is one thing many times: "26 pam-pci". */
static const char **list_for_people(const MtreeImport *import, MtreeDoubtKind kind, size_t *ret_n) {
        const char **list = must(calloc(import->n_doubts + 1, sizeof(*list)));
        size_t n = 0;

        for (size_t i = 0; i < import->n_doubts; i++) {
                const MtreeDoubt *doubt = &import->doubts[i];

                if (doubt->kind == kind)
                        list[n++] = doubt->region ? doubt->region->line->name : doubt->text;
        }
        qsort(list, n, sizeof(*list), compare_texts);
        *ret_n = n;
        return list;
}

static void tell_doubts(const MtreeImport *import, MtreeDoubtKind kind) {
        size_t n, same;
        _cleanup_(freep) const char **list = list_for_people(import, kind, &n);

        if (n == 0)
                return;
        fprintf(stderr, "guestmapctl: %s: ", questions[kind].for_people);
        for (size_t i = 0; i < n; i += same) {
                for (same = 1; i + same < n && strcmp(list[i], list[i + same]) == 0;)
                        same++;
                if (same > 1)
                        fprintf(stderr, "%s%zu %s", i ? ", " : "", same, list[i]);
                else
                        fprintf(stderr, "%s%s", i ? ", " : "", list[i]);
        }
        fputc('\n', stderr);
}

static void print_import(const Output *output, const MtreeImport *import) {
        _cleanup_(json_putp) json_object *result = json_new_object();
        json_object *layout = mtree_import_layout(import), *doubts = doubts_json(import);

        json_add(result, "layout", layout);
        json_add(result, "unknown", doubts);
        if (output->json != JSON_OFF) {
                json_print(output, result);
                return;
        }
        layout_print(layout);
        for (MtreeDoubtKind kind = 0; kind < MTREE_DOUBT_N; kind++)
                tell_doubts(import, kind);
}

int verb_import_mtree(Client *client, char **arguments) {
        const char *tree_path = arguments[0], *flat_path = arguments[1];
        _cleanup_(freep) char *tree = NULL;
        _cleanup_(freep) char *flat = NULL;
        MtreeImport import;
        MtreeError error;
        bool in_flat;
        int r;

        if (flat_path && strcmp(tree_path, "-") == 0 && strcmp(flat_path, "-") == 0)
                return fail("only one of the dumps can be on standard input");
        r = read_dump(tree_path, &tree);
        if (r < 0)
                return r;
        if (flat_path)
                r = read_dump(flat_path, &flat);
        if (r < 0)
                return r;
        r = mtree_import(&import, tree, flat, &error, &in_flat);
        if (r < 0)
                refuse(in_flat ? flat_path : tree_path, &error);
        else
                print_import(&client->output, &import);
        mtree_import_deinit(&import);
        return r;
}
