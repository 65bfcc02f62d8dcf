/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "daemon/manager/rights.h"
#include "lib/util/cleanup.h"

#define PROPERTIES     "org.freedesktop.DBus.Properties"
#define INTROSPECTABLE "org.freedesktop.DBus.Introspectable"
#define OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"
#define PEER           "org.freedesktop.DBus.Peer"

const MethodRight method_rights[] = {
        {GUESTMAP_INTERFACE_MANAGER, "CreateVM", GUESTMAP_RIGHT_ADMIN},
        {GUESTMAP_INTERFACE_MANAGER, "DestroyVM", GUESTMAP_RIGHT_ADMIN},
        {GUESTMAP_INTERFACE_MANAGER, "GetVM", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_MANAGER, "ListVMs", GUESTMAP_RIGHT_INSPECT},

        {GUESTMAP_INTERFACE_MAP, "AddRegion", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "AddAlias", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "RemoveRegion", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "EnableRegion", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "MoveRegion", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "SetRegion", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "AddAddressSpace", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "RemoveAddressSpace", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "AddIOEventFD", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "RemoveIOEventFD", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "AddCoalesced", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "ClearCoalesced", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_MAP, "Apply", GUESTMAP_RIGHT_MODIFY},

        {GUESTMAP_INTERFACE_VM, "Begin", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_VM, "GetLayout", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "Dump", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "ListRegions", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "GetSlots", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "GetRegion", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "GetAddressSpace", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "ListTransactions", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "ListIOEventFDs", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_VM, "GetBacking", GUESTMAP_RIGHT_ACCESS_MEMORY},
        {GUESTMAP_INTERFACE_VM, "Destroy", GUESTMAP_RIGHT_ADMIN},

        {GUESTMAP_INTERFACE_TRANSACTION, "Commit", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_TRANSACTION, "Abort", GUESTMAP_RIGHT_MODIFY},
        {GUESTMAP_INTERFACE_TRANSACTION, "Preview", GUESTMAP_RIGHT_MODIFY},

        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetFlatView", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetFlatViewFrom", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "Find", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetChanges", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "WaitChanges", GUESTMAP_RIGHT_INSPECT},
        {GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetMemoryTable", GUESTMAP_RIGHT_INSPECT},

        /* An ioeventfd is not memory, but whoever has it can kick the guest's device. */
        {GUESTMAP_INTERFACE_REGION, "GetIOEventFD", GUESTMAP_RIGHT_ACCESS_MEMORY},
        {GUESTMAP_INTERFACE_REGION, "GetMemory", GUESTMAP_RIGHT_ACCESS_MEMORY},

        {PROPERTIES, "Get", GUESTMAP_RIGHT_INSPECT},
        {PROPERTIES, "GetAll", GUESTMAP_RIGHT_INSPECT},
        {PROPERTIES, "Set", GUESTMAP_RIGHT_MODIFY},
        {INTROSPECTABLE, "Introspect", GUESTMAP_RIGHT_INSPECT},
        {OBJECT_MANAGER, "GetManagedObjects", GUESTMAP_RIGHT_INSPECT},
        {PEER, "Ping", GUESTMAP_RIGHT_INSPECT},
        {PEER, "GetMachineId", GUESTMAP_RIGHT_INSPECT},
};

const size_t n_method_rights = ELEMENTS_OF(method_rights);

uint32_t rights_needed(const char *interface, const char *member) {
        uint32_t needed = 0;

        for (size_t i = 0; i < n_method_rights; i++) {
                if (strcmp(method_rights[i].member, member) != 0)
                        continue;
                if (!interface || strcmp(method_rights[i].interface, interface) == 0)
                        needed |= method_rights[i].right;
        }
        return needed ? needed : GUESTMAP_RIGHTS_ALL;
}

const char *rights_verb(uint32_t needed) {
        if (needed & GUESTMAP_RIGHT_ADMIN)
                return "create or destroy";
        if (needed & GUESTMAP_RIGHT_ACCESS_MEMORY)
                return "get at the memory of";
        if (needed & GUESTMAP_RIGHT_MODIFY)
                return "change";
        return "look at";
}
