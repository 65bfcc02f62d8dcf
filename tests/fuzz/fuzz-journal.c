/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Journals: whatever the bytes, they are replayed, or refused with a reason
 *
 * What begins as a record does is taken as it is. Otherwise lines are payloads and get headers that
 * are right, else nothing would ever come past the checksums.
 */

#include <stdlib.h>
#include <string.h>

#include "daemon/vm/journal-replay.h"
#include "lib/util/cleanup.h"
#include "lib/util/crc32c.h"
#include "tests/fuzz/choices.h"

static void write_record(FILE *out, const char *payload, size_t n, uint64_t sequence) {
        char header[JOURNAL_HEADER + 1];

        journal_header(header, n, sequence, crc32c(0, payload, n));
        fputs(header, out);
        fwrite(payload, 1, n, out);
        fputc('\n', out);
}

static void write_journal(FILE *out, const char *text, size_t size) {
        const char *end = text + size;

        for (uint64_t sequence = 1; text < end; sequence++) {
                const char *newline = memchr(text, '\n', (size_t)(end - text)) ?: end;

                write_record(out, text, (size_t)(newline - text), sequence);
                text = newline + 1;
        }
}

static void replay(const char *bytes, size_t length) {
        _cleanup_(replay_deinit) Replay replay = {.accelerator = "none"};
        Detail detail = {};
        int r;

        r = journal_replay(&replay, bytes, length, &detail);
        if (r < 0 || (r > 0 && detail.text[0] == '\0') || (r == 0 && !replay.vm))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(freep) char *bytes = NULL;
        size_t length;
        FILE *out;

        if (size >= 4 && memcmp(data, "gm1 ", 4) == 0) {
                replay((const char *)data, size);
                return 0;
        }
        out = open_memstream(&bytes, &length);
        if (!out)
                abort();
        write_journal(out, (const char *)data, size);
        fclose(out);
        replay(bytes, length);
        return 0;
}
