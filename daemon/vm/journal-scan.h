/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Records of a journal, found in its bytes
 *
 * A record is a line of text:
 *
 *   gm1 LENGTH SEQUENCE CRC PAYLOAD\n
 *   gm1+LENGTH SEQUENCE CRC PAYLOAD\n
 *
 * The second form, one byte that is written later, says that what the record tells has happened: a
 * commit has come into force and may have been acknowledged.
 * LENGTH is that of the payload in bytes, 12 hexadecimal digits; SEQUENCE goes up by one from
 * record to record, 16 digits; CRC is the CRC-32C of the payload followed by "LENGTH SEQUENCE", 8
 * digits. The payload is JSON without a line break.
 *
 * Pure functions of bytes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/util/detail.h"

typedef struct JournalRecord JournalRecord;
typedef struct JournalScan JournalScan;

enum {
        JOURNAL_CONFIRMED = sizeof("gm1") - 1, /* in the header: ' ', later '+' */
        JOURNAL_HEADER = sizeof("gm1 LLLLLLLLLLLL SSSSSSSSSSSSSSSS CCCCCCCC ") - 1,
};

typedef enum JournalError {
        JOURNAL_E_END = 1, /* that was all */
        JOURNAL_E_TORN, /* nothing that is whole follows: the last write did not get to its end */
        JOURNAL_E_DAMAGED, /* what is not whole has whole records behind it */
} JournalError;

struct JournalRecord {
        uint64_t sequence;
        const char *text; /* the payload, not terminated */
        size_t length;
        bool confirmed;
};

struct JournalScan {
        const char *bytes;
        size_t length;
        size_t at;         /* behind the last record that was found, all of them whole */
        uint64_t sequence; /* of that one; 0: none was */
};

/* The next record. Any JournalError; the detail says where. The scan is over then. */
int journal_scan(JournalScan *scan, JournalRecord *ret, Detail *detail);

/* The header of a payload of that length, whose CRC-32C is `crc`. */
void journal_header(char header[static JOURNAL_HEADER + 1], uint64_t length, uint64_t sequence,
                    uint32_t crc);
