/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>

#include "daemon/vm/share.h"

int share_check(const Share *share, const VM *vm, size_t n, uint32_t uid, size_t n_user,
                Detail *detail) {
        const char *unit = share->unit ?: "calls";
        bool is_owner = uid == 0 || uid == vm->owner;
        size_t max = is_owner ? share->max : share->max - share->reserved;

        if (!is_owner && n_user >= share->user_max)
                return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                                  "VM \"%s\": %zu %s of uid %" PRIu32 " %s, the limit is %zu",
                                  vm->name, n_user, unit, uid, share->what, share->user_max);
        if (n >= max)
                return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                                  "VM \"%s\": %zu %s %s, the limit is %zu%s", vm->name, n, unit,
                                  share->what, max,
                                  is_owner ? "" : " for all but its owner and root");
        return 0;
}
