/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>

#include "api/names.h"
#include "daemon/vm/document-number.h"
#include "daemon/vm/journal-facts.h"
#include "daemon/vm/journal-record.h"
#include "daemon/vm/journal-scan.h"
#include "daemon/vm/json-piece.h"
#include "lib/util/crc32c.h"

static const char name[] = FACTS_NAME, new_name[] = FACTS_NAME ".new";

static void write_facts(JSONWriter *writer, const Facts *facts) {
        json_open(writer, '{');
        json_key(writer, "paused");
        json_boolean(writer, facts->paused);
        json_key(writer, "dirty-log");
        json_number(writer, facts->dirty_log);
        json_key(writer, "transactions");
        json_number(writer, facts->transactions);
        json_close(writer, '}');
}

static int write_file(int directory, const char *text, size_t n) {
        _cleanup_(closep) int fd = -1;
        char header[JOURNAL_HEADER + 1];
        struct iovec vectors[] = {{header, JOURNAL_HEADER}, {(void *)text, n}};
        ssize_t written;

        fd = openat(directory, new_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                    0600);
        if (fd < 0)
                return -errno;
        journal_header(header, n - 1, 1, crc32c(0, text, n - 1));
        written = writev(fd, vectors, ELEMENTS_OF(vectors));
        if (written < 0)
                return -errno;
        return (size_t)written == JOURNAL_HEADER + n ? 0 : -ENOSPC;
}

static int replace_file(const char *path, const char *text) {
        _cleanup_(closep) int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r;

        if (directory < 0)
                return -errno;
        r = write_file(directory, text, strlen(text));
        if (r == 0 && renameat(directory, new_name, directory, name) < 0)
                r = -errno;
        if (r < 0)
                (void)unlinkat(directory, new_name, 0);
        return r;
}

static int save(const VM *vm, const Facts *facts) {
        _cleanup_(json_writer_deinit) JSONWriter writer;
        _cleanup_(freep) char *text = NULL;
        int r;

        json_writer_init(&writer, GUESTMAP_DOCUMENT_MAX);
        write_facts(&writer, facts);
        r = json_writer_take(&writer, &text);
        return r < 0 ? r : replace_file(vm->directory, text);
}

int facts_set(VM *vm, const Facts *facts, Detail *detail) {
        int r = vm->directory ? save(vm, facts) : 0;

        if (r == 0)
                vm->facts = *facts;
        return file_failed(r, vm, name, detail);
}

static int read_member(Facts *facts, json_object *value, const JSONPath *path) {
        if (json_path_is(path, "dirty-log"))
                return document_number(value, &facts->dirty_log);
        if (json_path_is(path, "transactions"))
                return document_number(value, &facts->transactions);
        if (!json_path_is(path, "paused") || !json_object_is_type(value, json_type_boolean))
                return -EINVAL;
        facts->paused = json_object_get_boolean(value);
        return 0;
}

typedef struct FactsReader {
        Facts facts;
        json_tokener *tokener;
} FactsReader;

static int read_piece(const JSONPiece *piece, void *userdata, Detail *detail) {
        _cleanup_(json_object_putp) json_object *value = NULL;
        FactsReader *reader = userdata;
        int r;

        r = piece->text ? json_piece_parse(reader->tokener, piece, &value, detail) : -EINVAL;
        if (r == 0)
                r = read_member(&reader->facts, value, piece->path);
        return r == -EINVAL || r == -ERANGE
                       ? json_path_error(piece->path, VM_E_DAMAGED, detail, "is no such fact")
                       : r;
}

static int parse(Facts *ret, const char *bytes, size_t length, Detail *detail) {
        _cleanup_(json_tokener_freep) json_tokener *tokener = json_piece_tokener();
        JournalScan scan = {.bytes = bytes, .length = length};
        FactsReader reader = {.tokener = tokener};
        JournalRecord record;
        int r;

        if (!tokener)
                return -ENOMEM;
        if (journal_scan(&scan, &record, detail) != 0 || scan.at != length)
                return detail_set(detail, VM_E_DAMAGED, "it is not one whole record");
        r = json_scan(record.text, record.length, GUESTMAP_JSON_DEPTH_MAX, read_piece, &reader,
                      detail);
        if (r == 0)
                *ret = reader.facts;
        return r > 0 ? VM_E_DAMAGED : r;
}

int facts_read(Facts *ret, const char *directory, Detail *detail) {
        _cleanup_(freep) char *bytes = NULL;
        size_t length;
        int r;

        *ret = (Facts){};
        r = journal_read(directory, name, &bytes, &length);
        if (r == -ENOENT)
                return 0;
        return r < 0 ? r : parse(ret, bytes, length, detail);
}
