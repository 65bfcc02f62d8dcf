/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/vm/journal-scan.h"
#include "lib/util/crc32c.h"

enum {
        LENGTH_AT = sizeof("gm1 ") - 1,
        SEQUENCE_AT = LENGTH_AT + sizeof("LLLLLLLLLLLL ") - 1,
        CRC_AT = SEQUENCE_AT + sizeof("SSSSSSSSSSSSSSSS ") - 1,
};

void journal_header(char header[static JOURNAL_HEADER + 1], uint64_t length, uint64_t sequence,
                    uint32_t crc) {
        snprintf(header, JOURNAL_HEADER + 1, "gm1 %012" PRIx64 " %016" PRIx64, length, sequence);
        crc = crc32c(crc, header + LENGTH_AT, CRC_AT - 1 - LENGTH_AT);
        snprintf(header + CRC_AT - 1, JOURNAL_HEADER + 2 - CRC_AT, " %08" PRIx32 " ", crc);
}

/* Lower-case digits up to a blank. */
static bool read_hex(const char *at, size_t n, uint64_t *ret) {
        uint64_t number = 0;

        for (size_t i = 0; i < n; i++) {
                const char *digit = memchr("0123456789abcdef", at[i], 16);

                if (!digit)
                        return false;
                number = number << 4 | (uint64_t)(digit - "0123456789abcdef");
        }
        *ret = number;
        return at[n] == ' ';
}

/* Whether a whole record begins at the offset. */
static bool read_record(const JournalScan *scan, size_t at, JournalRecord *ret) {
        const char *header = scan->bytes + at;
        char expected[JOURNAL_HEADER + 1];
        uint64_t length;

        if (scan->length - at <= JOURNAL_HEADER || memcmp(header, "gm1", JOURNAL_CONFIRMED) != 0 ||
            (header[JOURNAL_CONFIRMED] != ' ' && header[JOURNAL_CONFIRMED] != '+') ||
            !read_hex(header + LENGTH_AT, SEQUENCE_AT - 1 - LENGTH_AT, &length) ||
            !read_hex(header + SEQUENCE_AT, CRC_AT - 1 - SEQUENCE_AT, &ret->sequence))
                return false;
        if (length >= scan->length - at - JOURNAL_HEADER)
                return false;
        ret->text = header + JOURNAL_HEADER;
        ret->length = (size_t)length;
        if (ret->text[length] != '\n')
                return false;
        journal_header(expected, length, ret->sequence, crc32c(0, ret->text, ret->length));
        ret->confirmed = header[JOURNAL_CONFIRMED] == '+';
        return memcmp(expected + LENGTH_AT, header + LENGTH_AT, JOURNAL_HEADER - LENGTH_AT) == 0;
}

/* Whether a whole record begins somewhere behind the offset. */
static bool has_record_behind(const JournalScan *scan, size_t at, size_t *ret_at) {
        const char *end = scan->bytes + scan->length, *found = scan->bytes + at;
        JournalRecord record;

        while (++found < end) {
                found = memmem(found, (size_t)(end - found), "gm1",
                               JOURNAL_CONFIRMED);
                if (!found)
                        break;
                *ret_at = (size_t)(found - scan->bytes);
                if (read_record(scan, *ret_at, &record))
                        return true;
        }
        return false;
}

int journal_scan(JournalScan *scan, JournalRecord *ret, Detail *detail) {
        JournalRecord record = {};
        size_t behind;

        if (scan->at == scan->length)
                return JOURNAL_E_END;
        if (!read_record(scan, scan->at, &record)) {
                if (has_record_behind(scan, scan->at, &behind))
                        return detail_set(detail, JOURNAL_E_DAMAGED,
                                          "byte %zu: what begins here is no record or has been "
                                          "changed, but there is a whole one behind it, at byte "
                                          "%zu",
                                          scan->at, behind);
                return detail_set(detail, JOURNAL_E_TORN,
                                  "byte %zu: the last %zu bytes are no whole record", scan->at,
                                  scan->length - scan->at);
        }
        if (scan->at > 0 && record.sequence != scan->sequence + 1)
                return detail_set(detail, JOURNAL_E_DAMAGED,
                                  "byte %zu: record %" PRIu64 " follows record %" PRIu64, scan->at,
                                  record.sequence, scan->sequence);
        scan->at = (size_t)(record.text + record.length + 1 - scan->bytes);
        scan->sequence = record.sequence;
        *ret = record;
        return 0;
}
