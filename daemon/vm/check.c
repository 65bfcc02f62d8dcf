/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/vm/check.h"
#include "daemon/vm/journal-replay.h"
#include "daemon/vm/journal.h"
#include "daemon/vm/json-write.h"

typedef struct Checked Checked;

struct Checked {
        const char *directory;
        CheckStatus status;
        const char *file; /* that the status is of */
        size_t length;    /* of the journal, in bytes */
        Replay replay;
        Facts facts;
        Detail why; /* it is not whole */
};

static void checked_deinit(Checked *checked) {
        replay_deinit(&checked->replay);
}

static CheckStatus status_of(const Checked *checked, int r) {
        if (r == 0)
                return checked->replay.torn > 0 ? CHECK_TORN : CHECK_WHOLE;
        return r > 0 ? CHECK_DAMAGED : CHECK_UNREADABLE;
}

static void check(Checked *checked) {
        _cleanup_(freep) char *bytes = NULL;
        int r;

        r = journal_read(checked->directory, JOURNAL_NAME, &bytes, &checked->length);
        if (r == 0)
                r = journal_replay(&checked->replay, bytes, checked->length, &checked->why);
        if (r == 0) {
                r = facts_read(&checked->facts, checked->directory, &checked->why);
                checked->file = r == 0 ? JOURNAL_NAME : FACTS_NAME;
        }
        checked->status = status_of(checked, r);
        if (r < 0)
                detail_set(&checked->why, 0, "%s", strerror(-r));
        else if (checked->status == CHECK_TORN)
                checked->why = checked->replay.where;
}

static const char *word_of(CheckStatus status) {
        static const char *const words[] = {"whole", "torn", "damaged", "unreadable"};

        return words[status];
}

/* What a process that cannot make the VM again has its memory by. */
static void print_memory(const Map *map) {
        Region *region;

        RB_FOREACH(region, RegionsByName, (struct RegionsByName *)&map->regions)
                if (region->backing)
                        printf("  backing %" PRIu64 ": region \"%s\", %" PRIu64 " bytes\n",
                               region->backing->stored, region->name, region->backing->size);
}

static void print_words(const Checked *checked) {
        const Replay *replay = &checked->replay;
        const VM *vm = replay->vm;

        printf("%s/%s: %s%s%s\n", checked->directory, checked->file, word_of(checked->status),
               checked->why.text[0] ? ": " : "", checked->why.text);
        if (!vm)
                return;
        printf("  VM \"%s\", ID %s, of uid %" PRIu32 "%s\n", vm->name, vm->id, vm->owner,
               replay->durable ? ", durable" : "");
        printf("  %" PRIu64 " records, %zu bytes of %zu, %" PRIu64 " edits\n", replay->n_records,
               replay->now.end, checked->length, replay->n_edits);
        printf("  generation %" PRIu64 ": %" PRIu64 " regions, %" PRIu64 " address spaces, %" PRIu64
               " ioeventfds\n",
               replay->now.generation, vm->map->n_regions, vm->map->n_spaces,
               vm->map->n_ioeventfds);
        if (checked->status == CHECK_DAMAGED)
                print_memory(vm->map);
}

static void write_number(JSONWriter *writer, const char *key, uint64_t number) {
        json_key(writer, key);
        json_number(writer, number);
}

static void write_string(JSONWriter *writer, const char *key, const char *string) {
        json_key(writer, key);
        json_string(writer, string);
}

static void write_vm(JSONWriter *writer, const Replay *replay) {
        const VM *vm = replay->vm;

        write_string(writer, "name", vm->name);
        write_string(writer, "id", vm->id);
        write_number(writer, "owner", vm->owner);
        json_key(writer, "durable");
        json_boolean(writer, replay->durable);
        write_number(writer, "records", replay->n_records);
        write_number(writer, "edits", replay->n_edits);
        write_number(writer, "generation", replay->now.generation);
        write_number(writer, "regions", vm->map->n_regions);
        write_number(writer, "address-spaces", vm->map->n_spaces);
        write_number(writer, "ioeventfds", vm->map->n_ioeventfds);
}

static void write_memory(JSONWriter *writer, const Map *map) {
        Region *region;

        json_key(writer, "backings");
        json_open(writer, '{');
        RB_FOREACH(region, RegionsByName, (struct RegionsByName *)&map->regions)
                if (region->backing)
                        write_number(writer, region->name, region->backing->stored);
        json_close(writer, '}');
}

static void print_json(const Checked *checked) {
        _cleanup_(json_writer_deinit) JSONWriter writer;
        _cleanup_(freep) char *text = NULL;

        json_writer_init(&writer, SIZE_MAX);
        json_open(&writer, '{');
        write_string(&writer, "directory", checked->directory);
        write_string(&writer, "file", checked->file);
        write_string(&writer, "status", word_of(checked->status));
        write_string(&writer, "detail", checked->why.text);
        json_key(&writer, "bytes");
        json_hex(&writer, checked->length);
        json_key(&writer, "whole-bytes");
        json_hex(&writer, checked->replay.now.end);
        if (checked->replay.vm)
                write_vm(&writer, &checked->replay);
        if (checked->replay.vm && checked->status == CHECK_DAMAGED)
                write_memory(&writer, checked->replay.vm->map);
        json_close(&writer, '}');
        if (json_writer_take(&writer, &text) == 0)
                fputs(text, stdout);
}

CheckStatus check_directory(const char *directory, bool json) {
        _cleanup_(checked_deinit) Checked checked = {
                .directory = directory,
                .file = JOURNAL_NAME,
                .replay.accelerator = "none",
        };

        check(&checked);
        if (json)
                print_json(&checked);
        else
                print_words(&checked);
        return checked.status;
}
