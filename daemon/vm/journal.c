/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "daemon/vm/journal-scan.h"
#include "daemon/vm/journal.h"
#include "lib/util/crc32c.h"

static const char name[] = JOURNAL_NAME, new_name[] = JOURNAL_NAME ".new";

/* All of the vectors, which are changed. */
static int write_all(Journal *journal, struct iovec *vectors, int n, uint64_t at) {
        while (n > 0) {
                ssize_t written = pwritev(journal->fd, vectors, n, (off_t)at);

                if (written < 0 && errno == EINTR)
                        continue;
                if (written < 0)
                        return -errno;
                at += (uint64_t)written;
                counter_add(&journal->counters.bytes, (uint64_t)written);
                for (; n > 0 && (size_t)written >= vectors->iov_len; vectors++, n--)
                        written -= (ssize_t)vectors->iov_len;
                if (n > 0) {
                        vectors->iov_base = (char *)vectors->iov_base + written;
                        vectors->iov_len -= (size_t)written;
                }
        }
        return 0;
}

static struct iovec vector_of(const char *text, size_t n) {
        return (struct iovec){.iov_base = (void *)text, .iov_len = n};
}

/* 0 where there is no need: what is not durable outlives the process, not the machine. */
static int sync_file(Journal *journal) {
        if (!journal->durable)
                return 0;
        counter_add(&journal->counters.syncs, 1);
        return fdatasync(journal->fd) < 0 ? -errno : 0;
}

/* What is behind `end` goes. It may still be there after a crash. */
static int tidy(Journal *journal) {
        if (journal->untidy && ftruncate(journal->fd, (off_t)journal->end) < 0)
                return -errno;
        journal->untidy = false;
        return 0;
}

/*
 * The same for good, where a whole record may be: either it is gone or its header is. A disk that
 * has failed to say so once may say so the next time without having done it.
 */
static int remove_rest(Journal *journal) {
        struct iovec blank = vector_of("---", JOURNAL_CONFIRMED);
        int r;

        journal->untidy = true;
        r = write_all(journal, &blank, 1, journal->end);
        if (tidy(journal) == 0)
                r = 0;
        if (r == 0)
                r = sync_file(journal);
        if (r == 0)
                return 0;
        journal->broken = r;
        journal->tried = 0;
        return r;
}

int journal_cut(Journal *journal) {
        if (journal->end == journal->start)
                return tidy(journal);
        journal->end = journal->start;
        journal->sequence--;
        return remove_rest(journal);
}

/* `file` in a directory, which is named as for openat(). */
static int journal_make(Journal **ret, int at, const char *directory, bool durable,
                        const char *file, int flags) {
        _cleanup_(journal_freep) Journal *journal = calloc(1, sizeof(*journal));

        if (!journal)
                return -ENOMEM;
        journal->fd = -1;
        journal->durable = durable;
        journal->directory = openat(at, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (journal->directory < 0)
                return -errno;
        journal->fd = openat(journal->directory, file, O_CLOEXEC | O_NOFOLLOW | flags, 0600);
        if (journal->fd < 0)
                return -errno;
        *ret = TAKE_PTR(journal);
        return 0;
}

int journal_new(Journal **ret, const char *directory, bool durable) {
        return journal_make(ret, AT_FDCWD, directory, durable, new_name,
                            O_RDWR | O_CREAT | O_TRUNC);
}

int journal_new_successor(Journal **ret, const Journal *journal) {
        return journal_make(ret, journal->directory, ".", journal->durable, new_name,
                            O_RDWR | O_CREAT | O_TRUNC);
}

int journal_open(Journal **ret, const char *directory, bool durable, uint64_t end,
                 uint64_t sequence) {
        _cleanup_(journal_freep) Journal *journal = NULL;
        int r;

        r = journal_make(&journal, AT_FDCWD, directory, durable, name, O_RDWR);
        if (r < 0)
                return r;
        journal->start = journal->end = end;
        journal->sequence = sequence;
        r = remove_rest(journal);
        if (r == 0)
                *ret = TAKE_PTR(journal);
        return r;
}

Journal *journal_free(Journal *journal) {
        if (!journal)
                return NULL;
        safe_close(journal->fd);
        safe_close(journal->directory);
        free(journal);
        return NULL;
}

int journal_settle(Journal *journal) {
        if (!journal->unsettled)
                return 0;
        counter_add(&journal->counters.syncs, 1);
        if (fsync(journal->directory) < 0)
                return -errno;
        journal->unsettled = false;
        return 0;
}

int journal_install(Journal *journal) {
        if (journal->durable) {
                counter_add(&journal->counters.syncs, 1);
                if (fsync(journal->fd) < 0)
                        return -errno;
        }
        if (renameat(journal->directory, new_name, journal->directory, name) < 0)
                return -errno;
        journal->snapshot = journal->end;
        journal->unsettled = journal->durable;
        return 0;
}

void journal_become(Journal *journal, Journal *successor) {
        int fd = journal->fd;

        journal->fd = successor->fd;
        successor->fd = fd;
        journal->untidy = successor->untidy;
        journal->broken = successor->broken;
        journal->unsettled = successor->unsettled;
        journal->end = successor->end;
        journal->start = successor->start;
        journal->written = successor->written;
        journal->crc = successor->crc;
        journal->sequence = successor->sequence;
        journal->snapshot = successor->snapshot;
        journal->tried = successor->tried;
        counter_add(&journal->counters.bytes, successor->counters.bytes);
        counter_add(&journal->counters.syncs, successor->counters.syncs);
        counter_add(&journal->counters.compactions, 1);
}

void journal_discard(Journal *journal) {
        (void)unlinkat(journal->directory, new_name, 0);
}

int journal_begin(Journal *journal) {
        int r;

        journal->start = journal->end;
        journal->written = 0;
        journal->crc = 0;
        if (journal->broken < 0) {
                journal->tried = 0;
                return journal->broken;
        }
        r = journal_settle(journal);
        return r < 0 ? r : tidy(journal);
}

/* The next bytes of the record count. */
static uint64_t advance(Journal *journal, const char *text, size_t n) {
        uint64_t at = journal->start + JOURNAL_HEADER + journal->written;

        journal->untidy = true;
        journal->crc = crc32c(journal->crc, text, n);
        journal->written += n;
        return at;
}

int journal_write(Journal *journal, const char *text, size_t n) {
        struct iovec vector = vector_of(text, n);

        return write_all(journal, &vector, 1, advance(journal, text, n));
}

/* With the rest of a record comes its header; if that was all of it, they are written at once. */
static int write_rest(Journal *journal, const char *text, size_t n) {
        bool is_all = journal->written == 0;
        uint64_t at = advance(journal, text, n);
        char header[JOURNAL_HEADER + 1];
        struct iovec vectors[] = {vector_of(header, JOURNAL_HEADER), vector_of(text, n),
                                  vector_of("\n", 1)};
        int r;

        journal_header(header, journal->written, journal->sequence + 1, journal->crc);
        if (is_all)
                return write_all(journal, vectors, 3, journal->start);
        r = write_all(journal, vectors + 1, 2, at);
        return r < 0 ? r : write_all(journal, vectors, 1, journal->start);
}

int journal_end(Journal *journal, const char *text, size_t n) {
        int r;

        r = write_rest(journal, text, n);
        if (r == 0)
                r = sync_file(journal);
        /* Whatever has failed, all of it may be in the file. */
        journal->untidy = false;
        journal->end = journal->start + JOURNAL_HEADER + journal->written + 1;
        journal->sequence++;
        if (r < 0)
                (void)journal_cut(journal);
        return r;
}

int journal_confirm(Journal *journal) {
        struct iovec mark = vector_of("+", 1);

        return write_all(journal, &mark, 1, journal->start + JOURNAL_CONFIRMED);
}

int journal_read(const char *directory, const char *file, char **ret, size_t *ret_length) {
        _cleanup_(journal_freep) Journal *journal = NULL;
        _cleanup_(freep) char *text = NULL;
        struct stat status;
        size_t at = 0;
        int r;

        /* A pipe that lies there would be waited for. */
        r = journal_make(&journal, AT_FDCWD, directory, false, file, O_RDONLY | O_NONBLOCK);
        if (r < 0)
                return r;
        if (fstat(journal->fd, &status) < 0)
                return -errno;
        if (!S_ISREG(status.st_mode))
                return S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
        text = malloc((size_t)status.st_size + 1);
        if (!text)
                return -ENOMEM;
        while (at < (size_t)status.st_size) {
                ssize_t n = pread(journal->fd, text + at, (size_t)status.st_size - at, (off_t)at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                at += (size_t)n;
        }
        *ret = TAKE_PTR(text);
        *ret_length = at;
        return 0;
}
