/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * liburcu's atomic operations, made of the compiler's
 *
 * Stands in for <urcu/uatomic.h> where ThreadSanitizer looks on: liburcu's own are assembler, in
 * which it sees neither the access nor the order that follows from it, and so takes the free at the
 * end of a reference count for a race with every earlier use.
 */

#include <urcu/compiler.h>

#define uatomic_set(address, value)  __atomic_store_n(address, value, __ATOMIC_RELAXED)
#define uatomic_read(address)        __atomic_load_n(address, __ATOMIC_RELAXED)
#define uatomic_xchg(address, value) __atomic_exchange_n(address, value, __ATOMIC_SEQ_CST)

/* What was there; `value` is there now if that is what was expected. */
#define uatomic_cmpxchg(address, expected, value)                                                  \
        ({                                                                                         \
                typeof(*(address)) was_ = (expected);                                              \
                                                                                                   \
                __atomic_compare_exchange_n(address, &was_, value, 0, __ATOMIC_SEQ_CST,            \
                                            __ATOMIC_SEQ_CST);                                     \
                was_;                                                                              \
        })

#define uatomic_add_return(address, value) __atomic_add_fetch(address, value, __ATOMIC_SEQ_CST)
#define uatomic_sub_return(address, value) __atomic_sub_fetch(address, value, __ATOMIC_SEQ_CST)
#define uatomic_add(address, value)        ((void)uatomic_add_return(address, value))
#define uatomic_sub(address, value)        ((void)uatomic_sub_return(address, value))
#define uatomic_inc(address)               uatomic_add(address, 1)
#define uatomic_dec(address)               uatomic_sub(address, 1)
