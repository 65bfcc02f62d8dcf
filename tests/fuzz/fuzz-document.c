/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Layouts and patches: any text is refused with a reason or applied, and what a map is afterwards
 * is a document that changes nothing
 */

#include <stdlib.h>
#include <string.h>

#include "lib/memory/map-error.h"
#include "lib/util/cleanup.h"
#include "lib/util/rcu.h"
#include "tests/common/apply.h"
#include "tests/fuzz/choices.h"

static const char before[] =
        "{\"guestmap\": 1, \"regions\": ["
        "{\"name\": \"system\", \"kind\": \"container\", \"size\": \"2^64\"},"
        "{\"name\": \"ram\", \"kind\": \"ram\", \"size\": \"1MiB\", \"parent\": \"system\"},"
        "{\"name\": \"a\", \"kind\": \"alias\", \"target\": \"ram\", \"size\": 4096,"
        " \"parent\": \"system\", \"offset\": \"4GiB\"},"
        "{\"name\": \"dev\", \"kind\": \"mmio\", \"size\": 4096, \"parent\": \"system\","
        " \"offset\": \"0xfed00000\", \"ioeventfds\": [{\"offset\": 0, \"length\": 4}]}],"
        "\"address-spaces\": [{\"name\": \"memory\", \"root\": \"system\"}]}";

static void check_settled(VM *vm) {
        _cleanup_(freep) char *layout = must_layout(vm);
        uint64_t generation = vm->map->generation;

        must_apply(vm, layout);
        if (vm->map->generation != generation)
                abort();
}

static void check_outcome(int r, const Detail *detail) {
        if (r < 0 || (r > 0 && detail->text[0] == '\0'))
                abort();
}

static void apply(const char *text) {
        VM *vm = must_vm("none");
        Detail detail = {};
        Applied applied;
        int r;

        must_apply(vm, before);
        r = try_apply(vm, text, &applied, &detail);
        check_outcome(r, &detail);
        if (r == 0)
                check_settled(vm);
        vm_free(vm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(freep) char *text = strndup((const char *)data, size);
        _cleanup_(document_freep) Document *document = NULL;
        Detail detail = {};
        int r;

        /* Most is no document, and that is soon known. */
        r = document_parse(&document, text, strlen(text), &vm_limits_default, &detail);
        check_outcome(r, &detail);
        if (r == 0)
                apply(text);
        return 0;
}
