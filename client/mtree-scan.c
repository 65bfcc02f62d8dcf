/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/mtree-scan.h"
#include "lib/util/string-table.h"
#include "lib/util/utf8.h"

static const char *const type_names[] = {
        [MTREE_IO] = "i/o",    [MTREE_RAM] = "ram",   [MTREE_ROM] = "rom",
        [MTREE_ROMD] = "romd", [MTREE_RAMD] = "ramd",
};

size_t mtree_scan_count(const char *text) {
        size_t n = 1;

        for (; *text; text++)
                n += *text == '\n';
        return n;
}

bool mtree_scan_next(MtreeScan *scan) {
        size_t length = strcspn(scan->rest, "\n");
        bool more = scan->rest[length] == '\n';

        if (length == 0 && !more)
                return false;
        scan->at = scan->rest;
        scan->rest += length + more;
        scan->at[length] = '\0';
        if (length > 0 && scan->at[length - 1] == '\r')
                scan->at[length - 1] = '\0';
        scan->line++;
        return true;
}

bool mtree_scan_is_noise(const MtreeScan *scan) {
        return !*scan->at || strncmp(scan->at, "(qemu)", 6) == 0;
}

int mtree_scan_refuse(MtreeScan *scan, const char *format, ...) {
        va_list arguments;

        scan->error->line = scan->line;
        va_start(arguments, format);
        vsnprintf(scan->error->text, sizeof(scan->error->text), format, arguments);
        va_end(arguments);
        return -EINVAL;
}

size_t mtree_scan_blanks(MtreeScan *scan) {
        size_t n = strspn(scan->at, " ");

        scan->at += n;
        return n;
}

bool mtree_scan_word(MtreeScan *scan, const char *word) {
        size_t length = strlen(word);

        if (strncmp(scan->at, word, length) != 0)
                return false;
        scan->at += length;
        return true;
}

/* QEMU prints sixteen digits, older ones eight for some targets. */
static bool read_hex(const char *text, const char **ret_end, uint64_t *ret) {
        size_t n = strspn(text, "0123456789abcdef");

        if (n == 0 || n > 16)
                return false;
        *ret = strtoull(text, NULL, 16);
        *ret_end = text + n;
        return true;
}

static bool scan_hex(MtreeScan *scan, uint64_t *ret) {
        const char *end;

        if (!read_hex(scan->at, &end, ret))
                return false;
        scan->at += end - scan->at;
        return true;
}

static bool scan_priority(MtreeScan *scan, int32_t *ret) {
        char *end;
        long value;

        errno = 0;
        value = strtol(scan->at, &end, 10);
        if (end == scan->at || errno != 0 || value < INT32_MIN || value > INT32_MAX)
                return false;
        *ret = (int32_t)value;
        scan->at = end;
        return true;
}

static int scan_type(MtreeScan *scan, MtreeType *ret) {
        size_t length = strcspn(scan->at, ")");
        char word[16] = "";
        int type;

        snprintf(word, sizeof(word), "%.*s", (int)MIN_OF(length, sizeof(word) - 1), scan->at);
        type = string_table_find(type_names, ELEMENTS_OF(type_names), word);
        if (type < 0)
                return mtree_scan_refuse(scan, "type \"%s\" is none of i/o, ram, rom, romd, ramd",
                                         word);
        scan->at += length;
        *ret = (MtreeType)type;
        return 0;
}

int mtree_scan_range(MtreeScan *scan, MtreeSection *section, bool *ret_nonvolatile) {
        int r;

        if (!scan_hex(scan, &section->first) || !mtree_scan_word(scan, "-") ||
            !scan_hex(scan, &section->last) || !mtree_scan_word(scan, " (prio ") ||
            !scan_priority(scan, &section->priority) || !mtree_scan_word(scan, ", "))
                return mtree_scan_refuse(scan, "not \"FIRST-LAST (prio N, TYPE): NAME\"");
        *ret_nonvolatile = mtree_scan_word(scan, "nv-");
        r = scan_type(scan, &section->type);
        if (r < 0)
                return r;
        if (!mtree_scan_word(scan, "): "))
                return mtree_scan_refuse(scan, "not \"): NAME\" behind the type");
        return 0;
}

/* The last `mark` on the line. */
static char *find_last(MtreeScan *scan, const char *mark) {
        char *found = NULL;

        for (char *at = strstr(scan->at, mark); at; at = strstr(at + 1, mark))
                found = at;
        return found;
}

bool mtree_scan_tail(MtreeScan *scan, const char *mark, uint64_t *ret) {
        char *found = find_last(scan, mark);
        const char *end;
        uint64_t value;

        if (!found || !read_hex(found + strlen(mark), &end, &value) || *end)
                return false;
        *found = '\0';
        *ret = value;
        return true;
}

bool mtree_scan_window(MtreeScan *scan, const char *mark, uint64_t *ret_first) {
        char *found = find_last(scan, mark);
        uint64_t first, last;
        const char *end;

        if (!found || !read_hex(found + strlen(mark), &end, &first) || *end != '-' ||
            !read_hex(end + 1, &end, &last) || *end)
                return false;
        *found = '\0';
        *ret_first = first;
        return true;
}

bool mtree_scan_end(MtreeScan *scan, const char *word) {
        size_t length = strlen(scan->at), n = strlen(word);

        if (length < n || strcmp(scan->at + length - n, word) != 0)
                return false;
        scan->at[length - n] = '\0';
        return true;
}

void mtree_scan_owner(MtreeScan *scan) {
        static const char *const marks[] = {" owner:{", " parent:{"};

        if (mtree_scan_end(scan, " orphan"))
                return;
        for (size_t i = 0; i < ELEMENTS_OF(marks); i++) {
                char *found = strstr(scan->at, marks[i]);

                if (found)
                        *found = '\0';
        }
}

static bool is_text(const char *name) {
        size_t left = strlen(name), n;

        for (; left > 0; name += n, left -= n) {
                n = utf8_length(name, left);
                if (n == 0 || utf8_is_control(name, n))
                        return false;
        }
        return true;
}

int mtree_scan_name(MtreeScan *scan, const char **ret) {
        size_t length = strlen(scan->at);

        if (length == 0)
                return mtree_scan_refuse(scan, "there is no name");
        if (length > MTREE_NAME_MAX)
                return mtree_scan_refuse(scan, "a name of %zu bytes; they have at most %u", length,
                                         MTREE_NAME_MAX);
        if (!is_text(scan->at))
                return mtree_scan_refuse(scan, "a name with what is not printable UTF-8");
        *ret = scan->at;
        return 0;
}
