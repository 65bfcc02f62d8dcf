/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "lib/util/crc32c.h"

/* Half a byte at a time. */
static uint32_t add_plainly(uint32_t state, const uint8_t *at, size_t n) {
        static const uint32_t steps[16] = {
                0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
        };

        while (n-- > 0) {
                state ^= *at++;
                state = state >> 4 ^ steps[state & 15];
                state = state >> 4 ^ steps[state & 15];
        }
        return state;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t add_fast(uint32_t state, const uint8_t *at,
                                                           size_t n) {
        uint64_t wide = state, word;

        for (; n >= sizeof(word); n -= sizeof(word), at += sizeof(word)) {
                memcpy(&word, at, sizeof(word));
                wide = __builtin_ia32_crc32di(wide, word);
        }
        state = (uint32_t)wide;
        while (n-- > 0)
                state = __builtin_ia32_crc32qi(state, *at++);
        return state;
}

static uint32_t add(uint32_t state, const uint8_t *at, size_t n) {
        return __builtin_cpu_supports("sse4.2") ? add_fast(state, at, n)
                                                : add_plainly(state, at, n);
}
#else
static uint32_t add(uint32_t state, const uint8_t *at, size_t n) {
        return add_plainly(state, at, n);
}
#endif

uint32_t crc32c(uint32_t crc, const void *bytes, size_t n) {
        return ~add(~crc, bytes, n);
}
