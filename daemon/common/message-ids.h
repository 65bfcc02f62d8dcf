/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Ids of the messages that the catalog explains, systemd/guestmap.catalog
 *
 * An id belongs to its message for ever.
 */

#define MESSAGE_VM_CREATED          "c7ddc6d9dacd4089a6cdf6e4358d9a4e"
#define MESSAGE_VM_DESTROYED        "0dd1ada236554f058f99a85db412dc6d"
#define MESSAGE_VM_CRASHED          "515dc49570b947c4a1ce200540e43960"
#define MESSAGE_VM_LOST             "c4163256484c48268f1b621a08906481"
#define MESSAGE_VM_RECOVERED        "fc3ec51324a644bb850da940fce991e5"
#define MESSAGE_CALL                "5d014ea25af84431a93677cf8c5ba333"
#define MESSAGE_CALL_DENIED         "54937aa9ad5b4cc0ae88cc20879e6534"
#define MESSAGE_CALLS_UNLOGGED      "551a0268724c4cf89162611312cd256a"
#define MESSAGE_BUS_LOST            "a1643e86022a474991f770566598606c"
#define MESSAGE_TRANSACTION_EXPIRED "010d71ed9f174986a9d4951bad1d9062"
