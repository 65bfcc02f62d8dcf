/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "api/errors.h"
#include "api/names.h"
#include "client/dump.h"
#include "client/layout.h"

static int parse(const char *text, json_object **ret) {
        enum json_tokener_error error;

        *ret = json_tokener_parse_verbose(text, &error);
        if (!*ret)
                return fail("cannot read the layout: %s", json_tokener_error_desc(error));
        return 0;
}

/* A layout beyond what one message carries. */
static int fetch_dump(Client *client, const char *vm_path, json_object **ret) {
        int r;

        r = client_need_fds(client, "a layout of more than 8 MiB");
        return r < 0 ? r : dump_fetch(client, vm_path, "layout", ret);
}

/* Not Dump at once: no descriptor comes through ssh. */
int layout_fetch(Client *client, const char *vm_path, json_object **ret) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL, *reply = NULL;
        const char *text;
        int r;

        r = client_request(client, &request, vm_path, GUESTMAP_INTERFACE_VM, "GetLayout");
        if (r < 0)
                return r;
        r = sd_bus_message_append(request, "a{sv}", 0);
        if (r < 0)
                return client_cannot_ask(r);
        r = client_try(client, request, &error, &reply);
        if (sd_bus_error_has_name(&error, GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_TOO_LARGE))
                return fetch_dump(client, vm_path, ret);
        if (r < 0)
                return client_print_error(client, &error, r);
        r = sd_bus_message_read(reply, "s", &text);
        return r < 0 ? client_cannot_read(r) : parse(text, ret);
}

/* What was read of the file, and the rest of it, to be sealed. */
static int fill_memfd(int fd, const char *text, size_t n, FILE *file, const char *path) {
        _cleanup_(fclosep) FILE *out = fdopen(dup(fd), "w");
        char buffer[65536];

        if (!out)
                return fail_errno(-errno, "cannot keep %s", path);
        for (; n > 0; text = buffer, n = fread(buffer, 1, sizeof(buffer), file))
                if (fwrite(text, 1, n, out) < n)
                        return fail_errno(-errno, "cannot keep %s", path);
        if (ferror(file))
                return fail_errno(-errno, "cannot read %s", path);
        return fflush(out) ? fail_errno(-errno, "cannot keep %s", path) : 0;
}

/* Sealed, so that it is the same for the service as for us. */
static int read_to_memfd(const char *text, size_t n, FILE *file, const char *path, int *ret) {
        _cleanup_(closep) int fd = memfd_create("document", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        int r;

        if (fd < 0)
                return fail_errno(-errno, "cannot keep %s", path);
        r = fill_memfd(fd, text, n, file, path);
        if (r < 0)
                return r;
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
                return fail_errno(-errno, "cannot seal %s", path);
        *ret = TAKE_FD(fd);
        return 0;
}

static int read_document(ClientDocument *ret, FILE *file, const char *path) {
        _cleanup_(freep) char *text = must(malloc(GUESTMAP_DOCUMENT_MAX + 2));
        size_t n;

        n = fread(text, 1, GUESTMAP_DOCUMENT_MAX + 1, file);
        if (ferror(file))
                return fail_errno(-errno, "cannot read %s", path);
        if (memchr(text, '\0', n))
                return fail("%s: not a text file", path);
        if (n > GUESTMAP_DOCUMENT_MAX)
                return read_to_memfd(text, n, file, path, &ret->fd);
        text[n] = '\0';
        ret->text = TAKE_PTR(text);
        return 0;
}

int client_document_read(ClientDocument *ret, const char *path) {
        _cleanup_(fclosep) FILE *file = NULL;

        *ret = (ClientDocument){.fd = -1};
        if (strcmp(path, "-") == 0)
                return read_document(ret, stdin, "standard input");
        file = fopen(path, "re");
        if (!file)
                return fail_errno(-errno, "cannot open %s", path);
        return read_document(ret, file, path);
}

void client_document_deinit(ClientDocument *document) {
        free(document->text);
        safe_close(document->fd);
}

bool client_document_mentions(const ClientDocument *document, const char *word) {
        struct stat status;
        void *text;
        bool found;

        if (document->text)
                return strstr(document->text, word);
        if (fstat(document->fd, &status) < 0)
                return false;
        text = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, document->fd, 0);
        if (text == MAP_FAILED)
                return false;
        found = memmem(text, (size_t)status.st_size, word, strlen(word));
        (void)munmap(text, (size_t)status.st_size);
        return found;
}

static void print_list(json_object *list) {
        size_t n = json_object_array_length(list);

        fputs("[", stdout);
        for (size_t i = 0; i < n; i++) {
                json_object *item = json_object_array_get_idx(list, i);
                int flags = JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE;

                printf("%s\n    %s", i ? "," : "",
                       (char *)must((void *)json_object_to_json_string_ext(item, flags)));
        }
        fputs("]", stdout);
}

void layout_print(json_object *layout) {
        const char *before = "{ ";

        json_object_object_foreach(layout, key, value) {
                printf("%s\"%s\": ", before, key);
                if (json_object_is_type(value, json_type_array))
                        print_list(value);
                else
                        fputs(json_object_to_json_string(value), stdout);
                before = ",\n  ";
        }
        puts(" }");
}
