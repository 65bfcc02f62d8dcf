/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "daemon/common/rights.h"
#include "lib/util/cleanup.h"

#define PROPERTIES     "org.freedesktop.DBus.Properties"
#define INTROSPECTABLE "org.freedesktop.DBus.Introspectable"
#define OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"
#define PEER           "org.freedesktop.DBus.Peer"

const MethodRight method_rights[] = {
        {GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", GUESTMAP_RIGHT_CREATE},
        {GUESTMAP_INTERFACE_MANAGER, "DestroyVM", "sa{sv}", GUESTMAP_RIGHT_ADMIN},
        {GUESTMAP_INTERFACE_MANAGER, "GetMetrics", "", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_MANAGER, "GetVM", "s", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_MANAGER, "ListVMs", "", GUESTMAP_RIGHT_INSPECT},

        {GUESTMAP_INTERFACE_MAP, "AddRegion", "sststia{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "AddAlias", "ssttstia{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "RemoveRegion", "sa{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "EnableRegion", "sba{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "MoveRegion", "sstia{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "SetRegion", "sa{sv}a{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "AddAddressSpace", "ssa{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "RemoveAddressSpace", "sa{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "AddIOEventFD", "stubta{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "RemoveIOEventFD", "stubta{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "AddCoalesced", "stta{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "ClearCoalesced", "sa{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "SetHandler", "ssa{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "Apply", "sa{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "ApplyFD", "ha{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "FindFree", "stttt", GUESTMAP_RIGHT_INSPECT},

        {GUESTMAP_INTERFACE_VM, "Begin", "ta{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_VM, "GetLayout", "a{sv}", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "Dump", "sa{sv}", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "ListRegions", "su", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "GetSlots", "", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "GetMetrics", "", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "GetRegion", "s", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "GetAddressSpace", "s", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "ListAddressSpaces", "", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "ListTransactions", "", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "ListIOEventFDs", "s", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "GetBacking", "tb", GUESTMAP_RIGHT_ACCESS_MEMORY},
        {GUESTMAP_INTERFACE_VM, "Cancel", "s", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_VM, "AddVCPU", "ua{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_VM, "RemoveVCPU", "ua{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_VM, "ListVCPUs", "", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "Pause", "", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_VM, "Resume", "", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_VM, "StartDirtyLog", "sa{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_VM, "StopDirtyLog", "sa{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_VM, "GetDirty", "b", GUESTMAP_RIGHT_ACCESS_MEMORY},
        /* The connection itself has the rights that its opener has. */
        {GUESTMAP_INTERFACE_VM, "OpenConnection", "a{sv}", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "Destroy", "a{sv}", GUESTMAP_RIGHT_ADMIN},

        {GUESTMAP_INTERFACE_TRANSACTION, "Commit", "a{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_TRANSACTION, "Abort", "a{sv}", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_TRANSACTION, "Preview", "", GUESTMAP_RIGHT_MODIFY},

        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetFlatView", "", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetFlatViewFrom", "tu", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "Find", "t", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetChanges", "t", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "WaitChanges", "tt", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "Read", "tt", GUESTMAP_RIGHT_ACCESS_MEMORY},
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "Write", "tay", GUESTMAP_RIGHT_ACCESS_MEMORY},
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetMemoryTable", "", GUESTMAP_RIGHT_INSPECT},

        /* An ioeventfd is not memory, but whoever has it can kick the guest's device. */
        {GUESTMAP_INTERFACE_REGION, "GetIOEventFD", "tubt", GUESTMAP_RIGHT_ACCESS_MEMORY},
        {GUESTMAP_INTERFACE_REGION, "GetMemory", "b", GUESTMAP_RIGHT_ACCESS_MEMORY},
        {GUESTMAP_INTERFACE_REGION, "StartDirtyLog", "", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_REGION, "StopDirtyLog", "", GUESTMAP_RIGHT_MODIFY},
        /* Not contents, but whoever clears pages keeps others from seeing them. */
        {GUESTMAP_INTERFACE_REGION, "GetDirty", "b", GUESTMAP_RIGHT_ACCESS_MEMORY},

        /* Registers are what the guest has in hand: its memory, and the way to all of it. */
        {GUESTMAP_INTERFACE_VCPU, "SetRegisters", "a{st}", GUESTMAP_RIGHT_ACCESS_MEMORY},
        {GUESTMAP_INTERFACE_VCPU, "GetRegisters", "", GUESTMAP_RIGHT_ACCESS_MEMORY},
        {GUESTMAP_INTERFACE_VCPU, "Start", "", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_VCPU, "Stop", "", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_VCPU, "Step", "u", GUESTMAP_RIGHT_MODIFY},

        {PROPERTIES, "Get", "ss", GUESTMAP_RIGHT_INSPECT},
        {PROPERTIES, "GetAll", "s", GUESTMAP_RIGHT_INSPECT},
        {PROPERTIES, "Set", "ssv", GUESTMAP_RIGHT_MODIFY},
        {INTROSPECTABLE, "Introspect", "", GUESTMAP_RIGHT_INSPECT},
        {OBJECT_MANAGER, "GetManagedObjects", "", GUESTMAP_RIGHT_INSPECT},
        {PEER, "Ping", "", GUESTMAP_RIGHT_NONE},
        {PEER, "GetMachineId", "", GUESTMAP_RIGHT_NONE},
};

const size_t n_method_rights = ELEMENTS_OF(method_rights);

/* GUESTMAP_PATH_VM/NAME/transaction/ID */
static bool is_transaction(const char *path) {
        const size_t prefix = strlen(GUESTMAP_PATH_VM "/");

        if (strncmp(path, GUESTMAP_PATH_VM "/", prefix) != 0)
                return false;
        path += prefix;
        return strncmp(path + strcspn(path, "/"), "/transaction/", strlen("/transaction/")) == 0;
}

static const MethodRight *find_row(const char *interface, const char *member) {
        for (size_t i = 0; i < n_method_rights; i++)
                if (strcmp(method_rights[i].member, member) == 0 &&
                    (!interface || strcmp(method_rights[i].interface, interface) == 0))
                        return &method_rights[i];
        return NULL;
}

uint32_t method_right(const char *interface, const char *member) {
        const MethodRight *row = find_row(interface, member);

        return row ? row->right : GUESTMAP_RIGHT_ADMIN;
}

uint32_t call_right(const char *path, const char *interface, const char *member) {
        uint32_t right = method_right(interface, member);

        return right == GUESTMAP_RIGHT_MODIFY && is_transaction(path) ? GUESTMAP_RIGHT_NONE : right;
}

bool rights_take(const char *interface, const char *member, const char *signature) {
        bool known = false;

        for (size_t i = 0; i < n_method_rights; i++) {
                const MethodRight *row = &method_rights[i];

                if (strcmp(row->member, member) != 0 ||
                    (interface && strcmp(row->interface, interface) != 0))
                        continue;
                if (strcmp(row->signature, signature) == 0)
                        return true;
                known = true;
        }
        return !known;
}

static const struct {
        uint32_t right;
        const char *action;
        const char *verb;
} rights[] = {
        {GUESTMAP_RIGHT_INSPECT, "org.guestmap1.inspect", "look at"},
        {GUESTMAP_RIGHT_MODIFY, "org.guestmap1.modify", "change"},
        {GUESTMAP_RIGHT_ACCESS_MEMORY, "org.guestmap1.access-memory", "get at the memory of"},
        {GUESTMAP_RIGHT_ADMIN, "org.guestmap1.admin", "administer"},
        {GUESTMAP_RIGHT_CREATE, "org.guestmap1.create", "create"},
};

const char *right_action(uint32_t right) {
        for (size_t i = 0; i < ELEMENTS_OF(rights); i++)
                if (rights[i].right == right)
                        return rights[i].action;
        return NULL;
}

const char *right_verb(uint32_t right) {
        for (size_t i = 0; i < ELEMENTS_OF(rights); i++)
                if (rights[i].right == right)
                        return rights[i].verb;
        return NULL;
}
