/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Documents from files: what other hands do to the file meanwhile, and what is held of it. pread()
 * is watched: what happens between two slices happens then.
 */

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/vm/document.h"
#include "tests/common/apply.h"
#include "tests/common/unit.h"

ssize_t __real_pread64(int fd, void *buffer, size_t n, off_t offset);
ssize_t __wrap_pread64(int fd, void *buffer, size_t n, off_t offset);

static Cancel cancel;
static unsigned n_reads;
static off_t cut_to;        /* before the second read, unless 0 */
static unsigned cancel_at;  /* after so many reads, unless 0 */
static unsigned interrupts; /* so many reads are interrupted first */

ssize_t __wrap_pread64(int fd, void *buffer, size_t n, off_t offset) {
        if (interrupts > 0) {
                interrupts--;
                errno = EINTR;
                return -1;
        }
        n_reads++;
        if (n_reads == 2 && cut_to > 0)
                assert_int_equal(ftruncate(fd, cut_to), 0);
        if (n_reads == cancel_at)
                cancel_request(&cancel);
        return __real_pread64(fd, buffer, n, offset);
}

static int setup(void **state) {
        cancel = (Cancel){};
        n_reads = 0;
        cut_to = 0;
        cancel_at = 0;
        interrupts = 0;
        return 0;
}

/* A layout of n regions, 200 bytes each about. */
static int make_file(unsigned n, const char *end) {
        int fd = memfd_create("document", MFD_CLOEXEC);
        FILE *out = fdopen(dup(fd), "w");

        assert_non_null(out);
        fputs("{\"guestmap\": 1, \"regions\": [", out);
        for (unsigned i = 0; i < n; i++)
                fprintf(out, "%s\n{\"name\": \"region %u\", \"kind\": \"mmio\", \"size\": 1%120s}",
                        i > 0 ? "," : "", i, "");
        fputs(end, out);
        assert_int_equal(fclose(out), 0);
        return fd;
}

static int try_read(int fd, const VMLimits *limits, Detail *detail) {
        _cleanup_(document_freep) Document *document = NULL;
        int r;

        r = document_read(&document, fd, limits ?: &vm_limits_default, &cancel, detail);
        close(fd);
        if (r == 0)
                assert_false(document_is_patch(document));
        return r;
}

static void test_slices(void **state) {
        interrupts = 3;
        assert_int_equal(try_read(make_file(20000, "]}"), NULL, NULL), 0);
        assert_in_range(n_reads, 3, 5);
}

/* All of the text before is gone by then; the words about it are right all the same. */
static void test_late_errors(void **state) {
        static const struct {
                const char *end, *what;
        } ends[] = {
                {"],\n\"colour\": 1}", "colour: unknown key"},
                {"],\n 1}", "expected a key (line 20002, byte 2)"},
                {"],\n\"guestmap\": 1}",
                 "guestmap: the key stands twice in one object (line 20002, "
                 "byte 11)"},
                {",\n{\"name\": 1}]}", "regions[20000].name: must be a string, not 1 (int)"},
                {",\n{\"name\"}]}", "regions[20000].name: expected a colon (line 20002, byte 8)"},
        };

        for (size_t i = 0; i < ELEMENTS_OF(ends); i++) {
                Detail detail = {};

                assert_int_equal(try_read(make_file(20000, ends[i].end), NULL, &detail),
                                 VM_E_INVALID_DOCUMENT);
                assert_string_equal(detail.text, ends[i].what);
        }
}

static void test_cut(void **state) {
        Detail detail = {};

        cut_to = (1 << 20) + 10;
        assert_int_equal(try_read(make_file(20000, "]}"), NULL, &detail), VM_E_INVALID_DOCUMENT);
        assert_non_null(strstr(detail.text, "the document was cut while it was read: it had "));
        assert_non_null(strstr(detail.text, " bytes and ends behind 1048586"));
}

static void test_cancel(void **state) {
        cancel_at = 1;
        assert_int_equal(try_read(make_file(20000, "]}"), NULL, NULL), -ECANCELED);
        assert_int_equal(n_reads, 1);

        cancel = (Cancel){};
        n_reads = 0;
        cancel_at = 1;
        assert_int_equal(try_read(make_file(1, "]}"), NULL, NULL), -ECANCELED);
}

/* It ends with the first that is too many, whatever there is behind. */
static void test_limits(void **state) {
        VMLimits limits = vm_limits_default;
        Detail detail = {};

        limits.map.regions = 100;
        assert_int_equal(try_read(make_file(100, "]}"), &limits, NULL), 0);
        assert_int_equal(try_read(make_file(101, "nonsense"), &limits, &detail),
                         MAP_E_QUOTA_EXCEEDED);
        assert_string_equal(detail.text,
                            "the document has more than 100 regions, the limit Regions");
}

static void test_empty(void **state) {
        Detail detail = {};

        assert_int_equal(try_read(memfd_create("empty", MFD_CLOEXEC), NULL, &detail),
                         VM_E_INVALID_DOCUMENT);
        assert_string_equal(detail.text, "a document is an object: expected { (line 1, byte 1)");
        assert_int_equal(n_reads, 0);
}

#define FILE_TEST(test) cmocka_unit_test_setup(test, setup)

UNIT_TESTS(FILE_TEST(test_slices), FILE_TEST(test_late_errors), FILE_TEST(test_cut),
           FILE_TEST(test_cancel), FILE_TEST(test_limits), FILE_TEST(test_empty));
