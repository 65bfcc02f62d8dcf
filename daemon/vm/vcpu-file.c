/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/vm/journal-record.h"
#include "daemon/vm/vcpu-file.h"
#include "daemon/vm/vcpus.h"
#include "daemon/vm/vm.h"
#include "lib/util/crc32c.h"

typedef struct FileHead FileHead;
typedef struct FileRow FileRow;
typedef struct Text Text;

static const char name[] = "vcpus", magic[24] = "guestmap-vcpus 2\n";

enum {
        STOP_USEC = 5000000,
        FILE_MAX = 64 << 20,
};

struct FileHead {
        char magic[sizeof(magic)];
        uint32_t n;
        uint32_t lost; /* VM.lost, if vCPUs are; there are none then */
        uint64_t size; /* of all that there is before the checksum */
};

struct FileRow {
        uint32_t index;
        uint32_t runs;
        uint32_t state;      /* VCPUState */
        uint32_t image_size; /* 0: none was saved */
        uint64_t address;    /* where its last run ended, */
        char reason[256];    /* and why */
};

/* What is left of a file that is read. */
struct Text {
        const uint8_t *at;
        size_t n;
};

static int write_all(int fd, const char *bytes, size_t size) {
        off_t at = 0;

        while (size > 0) {
                ssize_t n = pwrite(fd, bytes + at, size, at);

                if (n < 0 && errno != EINTR)
                        return -errno;
                at += MAX_OF(n, 0);
                size -= (size_t)MAX_OF(n, 0);
        }
        return 0;
}

/*
 * Over what was there, for which there is room already: nothing can do without that at the end.
 * Where the file system has no fallocate(), the C library reads and writes to get that room.
 */
static int write_over(int directory, const char *bytes, size_t size, size_t room) {
        _cleanup_(closep) int fd =
                openat(directory, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        int r;

        if (fd < 0)
                return -errno;
        r = posix_fallocate(fd, 0, (off_t)room);
        return r != 0 ? -r : write_all(fd, bytes, size);
}

/* Bytes of the file when it says what all of them are. */
static size_t room_for_all(const VM *vm) {
        size_t room = sizeof(FileHead) + sizeof(uint32_t);

        for (VCPU *vcpu = vcpus_next(vm->vcpus, NULL); vcpu; vcpu = vcpus_next(vm->vcpus, vcpu))
                room += sizeof(FileRow) + vcpu_saved_size(vcpu);
        return room;
}

static void write_row(FILE *file, const VCPU *vcpu, bool runs, const VCPUImage *image) {
        const VCPUEnd *end = vcpu_last_end(vcpu);
        FileRow row = {
                .index = vcpu_index(vcpu),
                .runs = runs,
                .state = end->state,
                .image_size = image ? (uint32_t)image->size : 0,
                .address = end->address,
        };

        snprintf(row.reason, sizeof(row.reason), "%.255s", end->reason.text);
        fwrite(&row, sizeof(row), 1, file);
        if (image)
                fwrite(image->bytes, image->size, 1, file);
}

/* `ran` says for each index whether it did; NULL: without what they are. */
static int write_rows(FILE *file, const VM *vm, const bool *ran, Detail *detail) {
        VCPU *vcpu;

        for (vcpu = vcpus_next(vm->vcpus, NULL); vcpu; vcpu = vcpus_next(vm->vcpus, vcpu)) {
                _cleanup_(vcpu_image_freep) VCPUImage *image = NULL;
                int r = ran ? vcpu_save(vcpu, &image, detail) : 0;

                if (r != 0)
                        return r;
                write_row(file, vcpu, ran && ran[vcpu_index(vcpu)], image);
        }
        return 0;
}

static void write_head(FILE *file, const VM *vm) {
        FileHead head = {.lost = vm->lost & VM_LOST_VCPUS ? vm->lost : 0};

        memcpy(head.magic, magic, sizeof(magic));
        for (VCPU *vcpu = vcpus_next(vm->vcpus, NULL); vcpu; vcpu = vcpus_next(vm->vcpus, vcpu))
                head.n++;
        fwrite(&head, sizeof(head), 1, file);
}

/* What is known only when all of it is there. */
static void seal(char *bytes, size_t size) {
        uint32_t crc;

        size -= sizeof(crc);
        ((FileHead *)bytes)->size = size;
        crc = crc32c(0, bytes, size);
        memcpy(bytes + size, &crc, sizeof(crc));
}

static int write_file(VM *vm, const bool *ran, Detail *detail) {
        _cleanup_(freep) char *bytes = NULL;
        const uint32_t no_crc = 0;
        FILE *file;
        size_t size;
        int r;

        file = open_memstream(&bytes, &size);
        if (!file)
                return -ENOMEM;
        write_head(file, vm);
        r = write_rows(file, vm, ran, detail);
        fwrite(&no_crc, sizeof(no_crc), 1, file);
        if (fclose(file) != 0 && r == 0)
                r = -ENOMEM;
        if (r != 0)
                return r;
        seal(bytes, size);
        r = write_over(vm->record->journal->directory, bytes, size, room_for_all(vm));
        return file_failed(r, vm, name, detail);
}

int vcpu_file_note(VM *vm, Detail *detail) {
        return vm->record ? write_file(vm, NULL, detail) : 0;
}

int vcpu_file_save(VM *vm, Detail *detail) {
        bool ran[VCPUS_MAX] = {};
        int r;

        /* That they are lost is there already. */
        if (!vm->record || !vcpus_next(vm->vcpus, NULL))
                return 0;
        r = vcpus_stop(vm->vcpus, STOP_USEC, ran, detail);
        return r != 0 ? r : write_file(vm, ran, detail);
}

static bool is_whole(const uint8_t *bytes, size_t size) {
        const FileHead *head = (const FileHead *)bytes;
        uint32_t crc;

        if (size < sizeof(*head) + sizeof(crc) || head->size > size - sizeof(crc) ||
            memcmp(head->magic, magic, sizeof(magic)) != 0)
                return false;
        memcpy(&crc, bytes + head->size, sizeof(crc));
        return crc == crc32c(0, bytes, head->size);
}

/* -ENOENT: there is none. -EBADMSG: it is not as it was written. */
static int read_file(int directory, uint8_t **ret, size_t *ret_size) {
        _cleanup_(closep) int fd =
                openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        _cleanup_(freep) uint8_t *bytes = NULL;
        struct stat status;
        size_t size;

        if (fd < 0 || fstat(fd, &status) < 0)
                return -errno;
        if (status.st_size > FILE_MAX)
                return -EBADMSG;
        size = (size_t)status.st_size;
        bytes = malloc(size + 1);
        if (!bytes)
                return -ENOMEM;
        if (read(fd, bytes, size) != (ssize_t)size)
                return -EIO;
        if (!is_whole(bytes, size))
                return -EBADMSG;
        *ret_size = ((const FileHead *)bytes)->size;
        *ret = TAKE_PTR(bytes);
        return 0;
}

/* The next bytes; NULL: there are not so many. */
static const void *take(Text *text, size_t n) {
        const uint8_t *at = text->at;

        if (n > text->n)
                return NULL;
        text->at += n;
        text->n -= n;
        return at;
}

static int load_row(VM *vm, Text *text, bool *runs, Detail *detail) {
        const FileRow *row = take(text, sizeof(*row));
        const void *image = row ? take(text, row->image_size) : NULL;
        VCPUEnd end = {};
        int r;

        if (!image)
                return -EBADMSG;
        if (row->image_size == 0)
                return -ENODATA;
        end.state = (VCPUState)row->state;
        end.address = row->address;
        detail_set(&end.reason, 0, "%.*s", (int)sizeof(row->reason), row->reason);
        r = vcpus_restore(vm->vcpus, row->index, image, row->image_size, &end, detail);
        if (r == 0)
                runs[row->index] = row->runs;
        return r;
}

/* -ENODATA: what they were was not saved, or is lost since an earlier process. */
static int load_rows(VM *vm, Text *text, bool *runs, Detail *detail) {
        const FileHead *head = take(text, sizeof(*head));
        int r = 0;

        if (!head)
                return -EBADMSG;
        vm->lost |= head->lost;
        if (head->lost)
                return -ENODATA;
        for (uint32_t i = 0; r == 0 && i < head->n; i++)
                r = load_row(vm, text, runs, detail);
        return r;
}

static int load_file(VM *vm, bool *runs, Detail *detail) {
        _cleanup_(freep) uint8_t *bytes = NULL;
        Text text = {};
        int r;

        r = read_file(vm->record->journal->directory, &bytes, &text.n);
        if (r < 0)
                return r;
        text.at = bytes;
        return load_rows(vm, &text, runs, detail);
}

/* What of the file is not to be seen again by the next process: it is as after a crash then. */
static int start(VM *vm, const bool *runs, Detail *detail) {
        VCPU *vcpu;
        int r;

        r = vcpu_file_note(vm, detail);
        for (vcpu = vcpus_next(vm->vcpus, NULL); r == 0 && vcpu; vcpu = vcpus_next(vm->vcpus, vcpu))
                if (runs[vcpu_index(vcpu)])
                        r = vcpu_start(vcpu, 0, detail);
        return r;
}

/* On memory that is new and empty no guest goes on. */
static int load(VM *vm, Detail *detail) {
        bool runs[VCPUS_MAX] = {};
        int r;

        r = load_file(vm, runs, detail);
        if (r == 0 && vm->lost & VM_LOST_MEMORY && vcpus_next(vm->vcpus, NULL))
                r = detail_set(detail, VM_E_NOT_SUPPORTED, "their memory is lost");
        return r != 0 ? r : start(vm, runs, detail);
}

/* What is lost stays lost: an image that is out of date is worse than none. */
static void lose(VM *vm, Detail *detail) {
        Detail why = {};

        vcpus_clear(vm->vcpus);
        vm->lost |= VM_LOST_VCPUS;
        if (vcpu_file_note(vm, &why) != 0 && unlinkat(vm->record->journal->directory, name, 0) < 0)
                detail_set(detail, 0, "file \"%s\" cannot be taken away: %s", name,
                           strerror(errno));
}

int vcpu_file_load(VM *vm, Detail *detail) {
        int r;

        detail_set(detail, 0, "%s", "");
        if (!vm->record)
                return 0;
        r = load(vm, detail);
        if (r == 0 || r == -ENOENT)
                return 0;
        if (r == -ENOMEM)
                return r;
        if (r < 0 && r != -ENODATA)
                detail_set(detail, 0, "file \"%s\": %s", name, strerror(-r));
        lose(vm, detail);
        return 0;
}
