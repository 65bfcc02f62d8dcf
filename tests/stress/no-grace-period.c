/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What if nobody waited for readers: linked into a torture in place of liburcu's call_rcu(), this
 * runs every callback at once. The torture must notice.
 */

#include "lib/util/rcu.h"

#undef rcu_head /* as liburcu has it, also where ThreadSanitizer's stands in for it */

void __wrap_urcu_memb_call_rcu(struct rcu_head *head, void (*function)(struct rcu_head *head));

void __wrap_urcu_memb_call_rcu(struct rcu_head *head, void (*function)(struct rcu_head *head)) {
        function(head);
}
