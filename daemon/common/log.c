/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <endian.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "daemon/common/log.h"
#include "lib/util/utf8.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

typedef struct Entry Entry;

#define TEXT_MAX   2048 /* the message */
#define VALUE_MAX  512  /* of any other field */
#define QUOTED_MAX 64   /* of a VM, in the message */

/* A datagram in the journal's native protocol, with room for all fields there are. */
struct Entry {
        char data[8192];
        size_t n;
};

static int journal = -1;
static const char *default_vm;
static atomic_ulong lost; /* entries, since the journal last took one */

/* The binary form: the only one in which a value may have any bytes. */
static void add_bytes(Entry *entry, const char *key, const char *value, size_t length) {
        size_t key_length = strlen(key);
        uint64_t size = htole64(length);
        char *p = entry->data + entry->n;

        if (sizeof(entry->data) - entry->n < key_length + length + sizeof(size) + 2)
                return;
        p = mempcpy(p, key, key_length);
        *p++ = '\n';
        p = mempcpy(p, &size, sizeof(size));
        p = mempcpy(p, value, length);
        *p++ = '\n';
        entry->n = (size_t)(p - entry->data);
}

static void add_field(Entry *entry, const char *key, const char *value) {
        add_bytes(entry, key, value, utf8_cut(value, VALUE_MAX));
}

static void add_number(Entry *entry, const char *key, uint64_t value) {
        char text[24];
        int n = snprintf(text, sizeof(text), "%" PRIu64, value);

        add_bytes(entry, key, text, (size_t)n);
}

static void add_fields(Entry *entry, const LogFields *fields) {
        const struct {
                const char *key, *value;
        } texts[] = {
                {"MESSAGE_ID", fields->message_id},
                {"GUESTMAP_VM", fields->vm ?: default_vm},
                {"GUESTMAP_REGION", fields->region},
                {"GUESTMAP_CALLER", fields->caller},
                {"GUESTMAP_MEMBER", fields->member},
                {"GUESTMAP_OBJECT", fields->object},
                {"GUESTMAP_ARGUMENTS", fields->arguments},
                {"GUESTMAP_RESULT", fields->result},
        };

        for (size_t i = 0; i < ELEMENTS_OF(texts); i++)
                if (texts[i].value)
                        add_field(entry, texts[i].key, texts[i].value);
        if (fields->has_uid)
                add_number(entry, "GUESTMAP_CALLER_UID", fields->uid);
        if (fields->has_generation)
                add_number(entry, "GUESTMAP_GENERATION", fields->generation);
}

static bool send_entry(int priority, const LogFields *fields, const char *text) {
        Entry entry = {};

        add_bytes(&entry, "MESSAGE", text, strlen(text));
        add_number(&entry, "PRIORITY", (uint64_t)priority);
        add_field(&entry, "SYSLOG_IDENTIFIER", program_invocation_short_name);
        add_fields(&entry, fields);
        return send(journal, entry.data, entry.n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* Says how many were lost before it; if that is not taken either, they stay counted. */
static bool tell_lost(void) {
        unsigned long n = atomic_load(&lost);
        char text[64];

        if (n == 0)
                return true;
        snprintf(text, sizeof(text), "%lu log entries before this one were lost", n);
        if (!send_entry(LOG_WARNING, &(const LogFields){}, text))
                return false;
        atomic_fetch_sub(&lost, n);
        return true;
}

void log_entry(int priority, const LogFields *fields, const char *format, ...) {
        const char *vm = fields->vm ?: default_vm;
        char text[TEXT_MAX], shown[TEXT_MAX];
        int n = 0;
        va_list arguments;

        if (vm)
                n = snprintf(text, sizeof(text), "VM \"%.*s\": ", (int)utf8_cut(vm, QUOTED_MAX),
                             vm);
        va_start(arguments, format);
        vsnprintf(text + n, sizeof(text) - (size_t)n, format, arguments);
        va_end(arguments);
        utf8_show(shown, sizeof(shown), text);

        if (journal < 0)
                fprintf(stderr, "%s: %s\n", program_invocation_short_name, shown);
        else if (!tell_lost() || !send_entry(priority, fields, shown))
                atomic_fetch_add(&lost, 1);
}

void log_set_vm(const char *vm) {
        default_vm = vm;
}

bool log_is_journal(void) {
        return journal >= 0;
}

int log_open_journal(const char *path) {
        _cleanup_(closep) int fd = -1;
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, path, strlen(path) + 1);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        safe_close(journal);
        journal = TAKE_FD(fd);
        return 0;
}

/* $JOURNAL_STREAM is inherited by those whose standard error goes elsewhere, too. */
static bool stderr_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long device, inode;
        struct stat status;

        return stream && sscanf(stream, "%lu:%lu", &device, &inode) == 2 &&
               fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device &&
               status.st_ino == inode;
}

void log_open(void) {
        int r;

        if (!stderr_is_journal())
                return;
        r = log_open_journal(JOURNAL_SOCKET);
        if (r < 0)
                log_error("%s: %s", JOURNAL_SOCKET, strerror(-r));
}
