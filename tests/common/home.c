/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/vm/change.h"
#include "daemon/vm/compaction.h"
#include "daemon/vm/report.h"
#include "tests/common/apply.h"
#include "tests/common/home.h"
#include "tests/common/unit.h"

void home_init(Home *home) {
        Detail detail = {};

        *home = (Home){.directory = "/tmp/guestmap-home-XXXXXX"};
        if (!mkdtemp(home->directory))
                fail_msg("%s: %s", home->directory, strerror(errno));
        home->vm = must_vm("none");
        home->vm->directory = home->directory;
        if (vm_populate(home->vm, &detail) != 0 ||
            compaction_begin_journal(home->vm, home->directory, false, &detail) != 0)
                fail_msg("%s", detail.text);
}

const char *home_file(const Home *home, const char *name) {
        static char path[64];

        snprintf(path, sizeof(path), "%s/%s", home->directory, name);
        return path;
}

void home_deinit(Home *home) {
        vm_free(home->vm);
        recovery_forget(&(Places){.runtime = home->directory});
        (void)rmdir(home->directory);
}

static int finish(Change *change, Detail *detail) {
        int r;

        r = change_prepare(change, detail);
        if (r == 0)
                r = change_populate(change, detail);
        if (r == 0)
                r = change_record(change, detail);
        return r != 0 ? r : change_apply(change, detail);
}

int home_apply(Home *home, const char *patch, Detail *detail) {
        _cleanup_(document_freep) Document *document = NULL;
        _cleanup_(edit_list_deinit) EditList edits = {};
        _cleanup_(change_deinit) Change change = {};
        int r;

        r = document_parse(&document, patch, strlen(patch), &home->vm->limits, detail);
        if (r != 0)
                return r;
        change_begin(&change, home->vm);
        r = document_edits(document, home->vm, NULL, NULL, &edits, detail);
        if (r == 0)
                r = change_edits(&change, &edits, detail);
        return r != 0 ? r : finish(&change, detail);
}

void home_must_apply(Home *home, const char *patch) {
        Detail detail = {};

        if (home_apply(home, patch, &detail) != 0)
                fail_msg("%s: %s", patch, detail.text);
}

int home_commit(Home *home, const Edit *edits, size_t n, Detail *detail) {
        _cleanup_(change_deinit) Change change = {};
        int r = 0;

        change_begin(&change, home->vm);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = change_edit(&change, &edits[i], detail);
        return r != 0 ? r : finish(&change, detail);
}

int home_restart(Home *home, Recovered *ret, Detail *detail) {
        int r;

        home->vm = vm_free(home->vm);
        r = recover(ret, &(Places){.runtime = home->directory}, NULL, detail);
        home->vm = ret->vm;
        return r;
}

void home_must_restart(Home *home) {
        Recovered recovered;
        Detail detail = {};
        int r;

        r = home_restart(home, &recovered, &detail);
        if (r != 0 || !home->vm)
                fail_msg("recovery: %d: %s", r, detail.text);
}

static void print_counters(FILE *out, const VM *vm) {
        fprintf(out, "%s %s %" PRIu32 " %s\n", vm->name, vm->id, vm->owner, vm->memory_space);
        fprintf(out, "generation %" PRIu64 ", place %" PRIx64 "\n", vm->map->generation,
                vm->map->last_place);
}

static void print_places(FILE *out, Map *map) {
        Region *region;

        RB_FOREACH(region, RegionsByName, &map->regions)
                fprintf(out, "%s at %" PRIx64 "\n", region->name, region->state.place);
}

char *home_text(const Home *home) {
        Map *map = home->vm->map;
        _cleanup_(freep) char *layout = report_text(report_layout, map);
        _cleanup_(freep) char *regions = report_text(report_regions, map);
        _cleanup_(freep) char *flat = report_text(report_flat, map->snapshot);
        size_t length;
        char *text;
        FILE *out = open_memstream(&text, &length);

        assert_non_null(out);
        print_counters(out, home->vm);
        print_places(out, map);
        fprintf(out, "%s%s%s", layout, regions, flat);
        assert_int_equal(fclose(out), 0);
        return text;
}
