/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Documents from files
 *
 * Nothing is mapped: whoever handed the file in could truncate it, and its pages would kill us. The
 * text is read in slices into memory of our own, and what the parser has passed of that goes back
 * to the system in slices. So a document takes no more than the larger of its text and what is
 * made of it, about.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/vm/document-internal.h"
#include "daemon/vm/vm-error.h"
#include "lib/util/file-type.h"

enum { SLICE = 1 << 20 }; /* a multiple of every page size that is in use */

typedef struct Text Text;

struct Text {
        char *start; /* mapped; NULL if there is no text */
        size_t length;
        size_t passed; /* bytes given back, a multiple of SLICE */
        const VMLimits *limits;
        const Cancel *cancel;
};

static void text_deinit(Text *text) {
        if (text->start)
                munmap(text->start, text->length);
}

static int check_file(int fd, uint64_t bytes_max, size_t *ret_length, Detail *detail) {
        struct stat status;

        if (fstat(fd, &status) < 0)
                return -errno;
        if (!S_ISREG(status.st_mode))
                return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                  "a document is read from a regular file or a memfd, this is %s",
                                  file_type_words(status.st_mode));
        if ((uint64_t)status.st_size > bytes_max)
                return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                                  "the document has %jd bytes, the limit DocumentBytes is %" PRIu64,
                                  (intmax_t)status.st_size, bytes_max);
        *ret_length = (size_t)status.st_size;
        return 0;
}

static int read_slices(Text *text, int fd, Detail *detail) {
        size_t at = 0;

        while (at < text->length) {
                ssize_t n = pread(fd, text->start + at, MIN_OF(text->length - at, (size_t)SLICE),
                                  (off_t)at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                          "the document cannot be read: %s", strerror(errno));
                if (n == 0)
                        return detail_set(detail, VM_E_INVALID_DOCUMENT,
                                          "the document was cut while it was read: it had %zu "
                                          "bytes and ends behind %zu",
                                          text->length, at);
                if (cancel_is_requested(text->cancel))
                        return -ECANCELED;
                at += (size_t)n;
        }
        return 0;
}

static int text_read(Text *text, int fd, Detail *detail) {
        void *start;
        int r;

        r = check_file(fd, text->limits->document_bytes, &text->length, detail);
        if (r != 0 || text->length == 0)
                return r;
        start = mmap(NULL, text->length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                     0);
        if (start == MAP_FAILED)
                return -errno;
        text->start = start;
        return read_slices(text, fd, detail);
}

static int on_passed(const Document *document, const char *end, void *userdata, Detail *detail) {
        Text *text = userdata;
        size_t passed = (size_t)(end - text->start) / SLICE * SLICE;

        if (cancel_is_requested(text->cancel))
                return -ECANCELED;
        if (passed > text->passed) {
                (void)madvise(text->start + text->passed, passed - text->passed, MADV_DONTNEED);
                text->passed = passed;
        }
        return document_check_size(document, &text->limits->map, detail);
}

int document_read(Document **ret, int fd, const VMLimits *limits, const Cancel *cancel,
                  Detail *detail) {
        _cleanup_(text_deinit) Text text = {.limits = limits, .cancel = cancel};
        int r;

        r = text_read(&text, fd, detail);
        if (r != 0)
                return r;
        return document_parse_text(ret, text.start ?: "", text.length, limits, on_passed, &text,
                                   detail);
}
