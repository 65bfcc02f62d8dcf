/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/common/rights.h"
#include "tests/fuzz/calls.h"

#define LONG "thirty-two bytes of a long name, "

enum { DEPTH_MAX = 8 };

static const char *const objects[] = {
        "",           "",
        "/space/memory", "/space/io",
        "/region/ram", "/region/dev",
        "/region/system", "/transaction/1",
        "/transaction/2", "/vcpu/0",
        "/region/none",  "/space",
        "/transaction/18446744073709551616", "/vcpu/4294967296",
};

static const char *const words[] = {
        "ram",      "dev",       "system",   "io",         "memory",  "new",     "x",
        "container", "mmio",     "romd",     "rom",        "alias",   "reserved", "",
        "none",     "constant",  "latch",    "log",        "socket",  "real",    "flat",
        "long",     "layout",    "flat",     "regions",    "slots",   "migration", "rate",
        "org.guestmap1.VM", "org.guestmap1.Region", "Enabled", "Generation", "enabled",
        "{\"guestmap\":1,\"edits\":[{\"enable-region\":{\"name\":\"dev\",\"enabled\":false}}]}",
        "{\"guestmap\":1,\"regions\":[]}",
        "{\"guestmap\":1,\"edits\":[{\"remove-region\":{\"name\":\"ram\"}}]}",
        "\x7f\u00ff\U0001f600",
        LONG LONG LONG LONG LONG,
};

static const char *const options[] = {
        "expect-generation", "enabled", "readonly", "fd",        "fd-offset", "prealloc",
        "dirty-log",         "dry-run", "fds",      "keep-memory", "mode",    "page-tables",
        "value",             "timeout-usec", "width", "priority", "size",     "offset",
        "romd",              "nonvolatile", "nothing", "",        "hugepage-size", "rip",
        "cs.base",           "cr0",
};

static void must(int r, const char *what) {
        if (r >= 0)
                return;
        fprintf(stderr, "%s: %s\n", what, strerror(-r));
        abort();
}

static int choose_descriptor(Choices *choices) {
        int pair[2];

        switch (choose(choices, 6)) {
        case 0:
                return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        case 1:
                return open("/dev/null", O_RDWR | O_CLOEXEC);
        case 2:
                must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
                close(pair[1]);
                return pair[0];
        case 3:
                must(pipe2(pair, O_CLOEXEC), "pipe2");
                close(pair[1]);
                return pair[0];
        case 4:
                return open("/", O_PATH | O_CLOEXEC);
        default:
                pair[0] = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
                (void)!write(pair[0], words[33], strlen(words[33]));
                if (choose(choices, 2))
                        (void)fcntl(pair[0], F_ADD_SEALS, F_SEAL_SHRINK);
                return pair[0];
        }
}

static void append_basic(Choices *choices, sd_bus_message *m, char type) {
        uint64_t number = choose_number(choices);
        const void *value = &number;
        int fd = -1;

        switch (type) {
        case 's':
                value = choose_of(choices, words);
                break;
        case 'o':
                value = "/a";
                break;
        case 'g':
                value = "a{sv}";
                break;
        case 'b':
                number &= 1;
                break;
        case 'h':
                fd = choose_descriptor(choices);
                value = &fd;
                break;
        default:
                break;
        }
        must(sd_bus_message_append_basic(m, type, value), "append a value");
        if (fd >= 0)
                close(fd);
}

static void append(Choices *choices, sd_bus_message *m, const char *types, int depth);

static void append_variant(Choices *choices, sd_bus_message *m, int depth) {
        static const char *const types[] = {"s",  "t",  "b",     "u",     "h",     "i",
                                            "as", "ay", "a{st}", "a{sh}", "a{sv}", "(tt)"};
        const char *type = choose_of(choices, types);

        must(sd_bus_message_open_container(m, 'v', type), "open a variant");
        append(choices, m, type, depth);
        must(sd_bus_message_close_container(m), "close a variant");
}

static void append_array(Choices *choices, sd_bus_message *m, const char *element, int depth) {
        must(sd_bus_message_open_container(m, 'a', element), "open an array");
        for (unsigned n = depth < DEPTH_MAX ? choose(choices, 4) : 0; n > 0; n--)
                append(choices, m, element, depth);
        must(sd_bus_message_close_container(m), "close an array");
}

static void append_entry(Choices *choices, sd_bus_message *m, const char *types, int depth) {
        must(sd_bus_message_open_container(m, 'e', types), "open an entry");
        must(sd_bus_message_append(m, "s", choose_of(choices, options)), "append a key");
        append(choices, m, types + 1, depth);
        must(sd_bus_message_close_container(m), "close an entry");
}

/* Length of the first complete type, of those that are used here. */
static size_t type_length(const char *types) {
        size_t n = strspn(types, "a");

        if (types[n] == '(' || types[n] == '{')
                for (int open = 0; n == 0 || open > 0 || strchr("({", types[n]); n++) {
                        open += strchr("({", types[n]) ? 1 : strchr(")}", types[n]) ? -1 : 0;
                        if (open == 0)
                                break;
                }
        return n + 1;
}

static void append_one(Choices *choices, sd_bus_message *m, const char *type, int depth) {
        char inner[32];
        size_t n = strlen(type);

        snprintf(inner, sizeof(inner), "%.*s", type[0] == 'a' ? (int)n - 1 : (int)n - 2, type + 1);
        if (type[0] == 'a') {
                append_array(choices, m, inner, depth + 1);
        } else if (type[0] == 'v') {
                append_variant(choices, m, depth + 1);
        } else if (type[0] == '{') {
                append_entry(choices, m, inner, depth + 1);
        } else if (type[0] == '(') {
                must(sd_bus_message_open_container(m, 'r', inner), "open a struct");
                append(choices, m, inner, depth + 1);
                must(sd_bus_message_close_container(m), "close a struct");
        } else {
                append_basic(choices, m, type[0]);
        }
}

static void append(Choices *choices, sd_bus_message *m, const char *types, int depth) {
        while (*types) {
                size_t n = type_length(types);
                char type[32];

                snprintf(type, sizeof(type), "%.*s", (int)n, types);
                append_one(choices, m, type, depth);
                types += n;
        }
}

sd_bus_message *call_choose(Choices *choices, sd_bus *bus, const char *destination,
                            const char *vm) {
        static const char *const others[] = {"", "s", "t", "h", "v", "a{sv}", "sa{sv}", "ttta{sv}"};
        const MethodRight *method = &method_rights[choose(choices, 255) % n_method_rights];
        const char *interface = choose(choices, 8) ? method->interface : NULL;
        const char *types = choose(choices, 8) ? method->signature : choose_of(choices, others);
        sd_bus_message *m = NULL;
        char path[256];

        snprintf(path, sizeof(path), "%s%s", vm, choose_of(choices, objects));
        must(sd_bus_message_new_method_call(bus, &m, destination, path, interface, method->member),
             "make a call");
        append(choices, m, types, 0);
        return m;
}
