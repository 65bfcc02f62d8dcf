/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <string.h>

#include "tests/common/apply.h"
#include "tests/common/unit.h"

VM *must_vm(const char *accelerator) {
        Detail detail = {};
        VM *vm;

        if (vm_new(&vm, "test", "0123456789abcdef0123456789abcdef", 0, accelerator, "memory",
                   &detail) != 0)
                fail_msg("cannot make a VM with accelerator %s: %s", accelerator, detail.text);
        return vm;
}

static int make_edits(VM *vm, const EditList *edits, Detail *detail) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < edits->n; i++)
                r = map_edit(vm->map, &edits->items[i], detail);
        return r;
}

static int commit_edits(VM *vm, Applied *applied, Detail *detail) {
        _cleanup_(commit_freep) Commit *commit = NULL;
        int r;

        r = commit_new(&commit, vm->map, detail);
        if (r != 0)
                return r;
        applied->n_slot_ops = slots_plan(vm->slots)->n_ops;
        return commit_apply(commit, detail);
}

int try_apply(VM *vm, const char *text, Applied *ret, Detail *detail) {
        _cleanup_(document_freep) Document *document = NULL;
        _cleanup_(edit_list_deinit) EditList edits = {};
        Applied applied = {};
        int r;

        r = document_parse(&document, text, strlen(text), &vm_limits_default, detail);
        if (r != 0)
                return r;
        r = document_edits(document, vm, NULL, NULL, &edits, detail);
        if (r != 0)
                return r;
        applied.n_edits = edits.n;
        applied.discarded = edits_bytes_discarded(&edits, vm->map, NULL);
        r = make_edits(vm, &edits, detail);
        if (r == 0)
                r = commit_edits(vm, &applied, detail);
        if (r != 0)
                map_rollback(vm->map, 0);
        else if (ret)
                *ret = applied;
        return r;
}

Applied must_apply(VM *vm, const char *text) {
        Applied applied = {};
        Detail detail = {};
        int r;

        r = try_apply(vm, text, &applied, &detail);
        if (r != 0)
                fail_msg("the document is refused (%d): %s", r, detail.text);
        return applied;
}

char *must_take(JSONWriter *writer) {
        char *text;

        assert_int_equal(json_writer_take(writer, &text), 0);
        json_writer_deinit(writer);
        return text;
}

char *must_layout(const VM *vm) {
        return report_text(report_layout, vm->map);
}

char *must_read_file(const char *path) {
        FILE *file = fopen(path, "re");
        size_t length = 0, n;
        char *text = NULL;

        if (!file)
                fail_msg("cannot open %s", path);
        do {
                text = realloc(text, length + 65536 + 1);
                assert_non_null(text);
                n = fread(text + length, 1, 65536, file);
                length += n;
        } while (n > 0);
        assert_false(ferror(file));
        fclose(file);
        text[length] = '\0';
        return text;
}
