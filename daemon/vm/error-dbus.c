/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "api/errors.h"
#include "daemon/vm/error-dbus.h"
#include "daemon/vm/vm-error.h"

static const char *const tokens[] = {
        [MAP_E_NO_SUCH_REGION] = GUESTMAP_ERROR_NO_SUCH_REGION,
        [MAP_E_REGION_EXISTS] = GUESTMAP_ERROR_REGION_EXISTS,
        [MAP_E_NO_SUCH_ADDRESS_SPACE] = GUESTMAP_ERROR_NO_SUCH_ADDRESS_SPACE,
        [MAP_E_ADDRESS_SPACE_EXISTS] = GUESTMAP_ERROR_ADDRESS_SPACE_EXISTS,
        [MAP_E_INVALID_NAME] = GUESTMAP_ERROR_INVALID_NAME,
        [MAP_E_INVALID_RANGE] = GUESTMAP_ERROR_INVALID_RANGE,
        [MAP_E_INVALID_KIND] = GUESTMAP_ERROR_INVALID_KIND,
        [MAP_E_WOULD_LOOP] = GUESTMAP_ERROR_WOULD_LOOP,
        [MAP_E_IN_USE] = GUESTMAP_ERROR_IN_USE,
        [MAP_E_NO_SLOTS] = GUESTMAP_ERROR_NO_SLOTS,
        [MAP_E_NO_MEMORY] = GUESTMAP_ERROR_NO_MEMORY,
        [MAP_E_KVM] = GUESTMAP_ERROR_KVM,
        [MAP_E_CONFLICT] = GUESTMAP_ERROR_CONFLICT,
        [MAP_E_QUOTA_EXCEEDED] = GUESTMAP_ERROR_QUOTA_EXCEEDED,
        [MAP_E_TOO_LARGE] = GUESTMAP_ERROR_TOO_LARGE,
        [MAP_E_IOEVENTFD_EXISTS] = GUESTMAP_ERROR_IOEVENTFD_EXISTS,
        [MAP_E_NO_SUCH_IOEVENTFD] = GUESTMAP_ERROR_NO_SUCH_IOEVENTFD,
        [MAP_E_NO_FREE_RANGE] = GUESTMAP_ERROR_NO_FREE_RANGE,
        [VM_E_INVALID_DOCUMENT] = GUESTMAP_ERROR_INVALID_DOCUMENT,
        [VM_E_TRANSACTION_CLOSED] = GUESTMAP_ERROR_TRANSACTION_CLOSED,
        [VM_E_UNASSIGNED] = GUESTMAP_ERROR_UNASSIGNED,
        [VM_E_NOT_SUPPORTED] = GUESTMAP_ERROR_NOT_SUPPORTED,
        [VM_E_NO_SUCH_VCPU] = GUESTMAP_ERROR_NO_SUCH_VCPU,
        [VM_E_CANCELLED] = GUESTMAP_ERROR_CANCELLED,
        [VM_E_NO_SPACE] = GUESTMAP_ERROR_NO_SPACE,
};

/* D-Bus' own error, whose word needs no other. */
static const char *bus_token(int outcome) {
        if (outcome == MAP_E_INVALID_ARGUMENT || outcome == VM_E_INVALID_ARGUMENTS)
                return "InvalidArgs";
        return outcome == VM_E_ACCESS_DENIED ? "AccessDenied" : NULL;
}

const char *error_token(int outcome) {
        const char *token = bus_token(outcome);

        if (token)
                return token;
        return outcome > 0 && (size_t)outcome < ELEMENTS_OF(tokens) ? tokens[outcome] : NULL;
}

static int error_set(sd_bus_error *error, const char *prefix, const char *token,
                     const Detail *detail) {
        char name[128];

        snprintf(name, sizeof(name), "%s%s", prefix, token);
        return sd_bus_error_setf(error, name, "%s: %s", token, detail->text);
}

int error_from_outcome(sd_bus_error *error, int outcome, const Detail *detail) {
        static const Detail out_of_memory = {"guestmap-vmd is out of memory"};
        const char *token, *prefix;

        if (outcome == -ENOMEM)
                return error_set(error, GUESTMAP_ERROR_PREFIX, GUESTMAP_ERROR_NO_MEMORY,
                                 &out_of_memory);
        if (outcome < 0 && detail && detail->text[0])
                return sd_bus_error_set_errnof(error, outcome, "%s", detail->text);
        if (outcome <= 0)
                return outcome;
        token = error_token(outcome);
        if (!token)
                return -EINVAL;
        prefix = bus_token(outcome) ? "org.freedesktop.DBus.Error." : GUESTMAP_ERROR_PREFIX;
        return error_set(error, prefix, token, detail);
}
