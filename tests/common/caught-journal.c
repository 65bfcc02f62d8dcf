/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <endian.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "daemon/common/log.h"
#include "tests/common/caught-journal.h"
#include "tests/common/unit.h"

void caught_journal_begin(CaughtJournal *journal) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        *journal = (CaughtJournal){.directory = "/tmp/test-journal-XXXXXX"};
        assert_non_null(mkdtemp(journal->directory));
        snprintf(journal->path, sizeof(journal->path), "%s/socket", journal->directory);
        memcpy(address.sun_path, journal->path, sizeof(journal->path));
        journal->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(journal->fd >= 0);
        assert_int_equal(bind(journal->fd, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(log_open_journal(journal->path), 0);
}

void caught_journal_end(CaughtJournal *journal) {
        safe_close(journal->fd);
        assert_int_equal(unlink(journal->path), 0);
        assert_int_equal(rmdir(journal->directory), 0);
}

bool caught_journal_take(CaughtJournal *journal) {
        ssize_t n = recv(journal->fd, journal->entry, sizeof(journal->entry), 0);

        journal->n = n > 0 ? (size_t)n : 0;
        return n > 0;
}

const char *caught_journal_field(const CaughtJournal *journal, const char *key) {
        static char value[4096];
        const char *p = journal->entry, *end = p + journal->n;

        while (p < end) {
                const char *newline = memchr(p, '\n', (size_t)(end - p));
                uint64_t size;

                assert_non_null(newline);
                memcpy(&size, newline + 1, sizeof(size));
                size = le64toh(size);
                assert_true(size < sizeof(value));
                memcpy(value, newline + 1 + sizeof(size), size);
                value[size] = '\0';
                if ((size_t)(newline - p) == strlen(key) && memcmp(p, key, strlen(key)) == 0)
                        return value;
                p = newline + 1 + sizeof(size) + size;
                assert_int_equal(*p, '\n');
                p++;
        }
        return NULL;
}
