/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The names that the service knows, for completion
 *
 * The VM is not looked for first: where its path leads nowhere, there is nothing to offer.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/names.h"
#include "client/complete.h"
#include "client/number.h"
#include "client/vm-list.h"

typedef struct Name Name;

enum { REGIONS_OFFERED = 1000 }; /* nobody reads more */

/* An element of a list; the text is the message's, or in the buffer. */
struct Name {
        const char *text;
        char buffer[64];
        char remark[160];
};

/* Reads the next element: 1, 0 at the end, or a negative errno. */
typedef int NameReader(sd_bus_message *reply, Name *ret);

static int offer_list(const Completion *completion, sd_bus_message *reply, const char *element,
                      NameReader *read) {
        Name name = {};
        int r;

        r = sd_bus_message_enter_container(reply, 'a', element);
        while (r >= 0 && (r = read(reply, &name)) > 0)
                if (*name.text)
                        complete_offer(completion, name.text, name.remark[0] ? name.remark : NULL);
        return r < 0 ? client_cannot_read(r) : 0;
}

int complete_vms(const Completion *completion) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        VMRow vm;
        int r;

        r = client_method(completion->client, &reply, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER,
                          "ListVMs", NULL);
        if (r >= 0)
                r = vm_list_enter(reply);
        while (r >= 0 && (r = vm_list_next(reply, &vm)) > 0)
                complete_offer(completion, vm.name, vm.state);
        return r;
}

static int vm_path(const Completion *completion, char **ret) {
        int r;

        if (!completion->arguments || !completion->arguments[0])
                return fail("the VM comes first");
        r = sd_bus_path_encode(GUESTMAP_PATH_VM, completion->arguments[0], ret);
        return r < 0 ? fail_errno(r, "cannot address VM \"%s\"", completion->arguments[0]) : 0;
}

/* A method of the VM without arguments. */
static int call_vm(const Completion *completion, const char *method, sd_bus_message **ret_reply) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = vm_path(completion, &path);
        return r < 0 ? r
                     : client_method(completion->client, ret_reply, path, GUESTMAP_INTERFACE_VM,
                                     method, NULL);
}

/* A page of regions, which come in the order of their names; *ret_last is the last of them. */
static int offer_regions(const Completion *completion, sd_bus_message *reply, size_t *n,
                         const char **ret_last) {
        const char *name, *kind;
        uint64_t size;
        int r;

        r = sd_bus_message_skip(reply, "t");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(ssttsib)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(ssttsib)", &name, &kind, &size, NULL,
                                                  NULL, NULL, NULL)) > 0) {
                char remark[64];

                *ret_last = name;
                if (strncmp(name, completion->word, strlen(completion->word)) != 0)
                        continue;
                if ((*n)++ >= REGIONS_OFFERED)
                        break;
                snprintf(remark, sizeof(remark), "%s, %s", kind, number_size(size).text);
                complete_offer(completion, name, remark);
        }
        return r < 0 ? client_cannot_read(r) : 0;
}

/* Page by page from before the first name that the word begins to behind the last. */
int complete_regions(const Completion *completion) {
        size_t length = strlen(completion->word), n = 0;
        _cleanup_(freep) char *path = NULL, *after = NULL;
        int r;

        r = vm_path(completion, &path);
        if (r < 0)
                return r;
        after = must(strndup(completion->word, length ? length - 1 : 0));
        do {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
                const char *last = NULL;

                r = client_method(completion->client, &reply, path, GUESTMAP_INTERFACE_VM,
                                  "ListRegions", "su", after, 0);
                if (r >= 0)
                        r = offer_regions(completion, reply, &n, &last);
                if (r < 0)
                        return r;
                free(after);
                after = last ? must(strdup(last)) : NULL;
        } while (after && n < REGIONS_OFFERED && strncmp(after, completion->word, length) <= 0);
        return 0;
}

static int read_preparing(sd_bus_message *reply, Name *ret) {
        uint64_t there, size;
        int r;

        r = sd_bus_message_read(reply, "(stt)", &ret->text, &there, &size);
        if (r > 0)
                snprintf(ret->remark, sizeof(ret->remark), "%s of %s",
                         number_size_about(there).text, number_size(size).text);
        return r;
}

int complete_preparing(const Completion *completion) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(freep) char *path = NULL;
        int r;

        r = vm_path(completion, &path);
        if (r < 0)
                return r;
        r = client_method(completion->client, &reply, path, "org.freedesktop.DBus.Properties",
                          "Get", "ss", GUESTMAP_INTERFACE_VM, "Preparing");
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'v', "a(stt)");
        return r < 0 ? client_cannot_read(r)
                     : offer_list(completion, reply, "(stt)", read_preparing);
}

static int read_space(sd_bus_message *reply, Name *ret) {
        const char *root;
        int r;

        r = sd_bus_message_read(reply, "(sst)", &ret->text, &root, NULL);
        if (r > 0)
                snprintf(ret->remark, sizeof(ret->remark), "shows %s", root);
        return r;
}

int complete_spaces(const Completion *completion) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = call_vm(completion, "ListAddressSpaces", &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_skip(reply, "t");
        return r < 0 ? client_cannot_read(r) : offer_list(completion, reply, "(sst)", read_space);
}

static int read_transaction(sd_bus_message *reply, Name *ret) {
        const char *path;
        uint32_t edits;
        int r;

        r = sd_bus_message_read(reply, "(otu)", &path, NULL, &edits);
        if (r <= 0)
                return r;
        ret->text = strrchr(path, '/') + 1;
        snprintf(ret->remark, sizeof(ret->remark), "%" PRIu32 " edit%s", edits, PLURAL(edits));
        return r;
}

int complete_transactions(const Completion *completion) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = call_vm(completion, "ListTransactions", &reply);
        return r < 0 ? r : offer_list(completion, reply, "(otu)", read_transaction);
}

static int read_vcpu(sd_bus_message *reply, Name *ret) {
        const char *state;
        uint32_t index;
        int r;

        r = sd_bus_message_read(reply, "(uos)", &index, NULL, &state);
        if (r <= 0)
                return r;
        snprintf(ret->buffer, sizeof(ret->buffer), "%" PRIu32, index);
        snprintf(ret->remark, sizeof(ret->remark), "%s", state);
        ret->text = ret->buffer;
        return r;
}

int complete_vcpus(const Completion *completion) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = call_vm(completion, "ListVCPUs", &reply);
        return r < 0 ? r : offer_list(completion, reply, "(uos)", read_vcpu);
}

static int read_register(sd_bus_message *reply, Name *ret) {
        const char *name;
        uint64_t value;
        int r;

        r = sd_bus_message_read(reply, "{st}", &name, &value);
        if (r <= 0)
                return r;
        snprintf(ret->buffer, sizeof(ret->buffer), "%s=", name);
        snprintf(ret->remark, sizeof(ret->remark), "%s", number_hex(value).text);
        ret->text = ret->buffer;
        return r;
}

/* Of the vCPU whose index stands behind the VM. */
int complete_registers(const Completion *completion) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(freep) char *vm = NULL, *path = NULL;
        int r;

        r = vm_path(completion, &vm);
        if (r < 0)
                return r;
        if (asprintf(&path, "%s/vcpu/%s", vm, completion->arguments[1]) < 0)
                must(path = NULL);
        r = client_method(completion->client, &reply, path, GUESTMAP_INTERFACE_VCPU, "GetRegisters",
                          NULL);
        return r < 0 ? r : offer_list(completion, reply, "{st}", read_register);
}
