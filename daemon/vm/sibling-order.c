/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdbool.h>

#include "daemon/vm/sibling-order.h"
#include "lib/util/cleanup.h"

/* How many of the ends, an ascending list of indices, have a place below `place`. */
static size_t count_below(const uint64_t *places, const size_t *ends, size_t n, uint64_t place) {
        size_t low = 0;

        while (low < n) {
                size_t middle = low + (n - low) / 2;

                if (places[ends[middle]] < place)
                        low = middle + 1;
                else
                        n = middle;
        }
        return low;
}

/* Sets to 0 all places that are not on a longest ascending subsequence. O(n log n). */
static int keep_longest(uint64_t *places, size_t n) {
        _cleanup_(freep) size_t *ends = reallocarray(NULL, n, sizeof(*ends));
        _cleanup_(freep) size_t *before = reallocarray(NULL, n, sizeof(*before));
        size_t n_ends = 0, kept;

        if (!ends || !before)
                return -ENOMEM;
        /* ends[k]: where the subsequence of length k + 1 with the lowest end has that end. */
        for (size_t i = 0; i < n; i++) {
                size_t k;

                if (places[i] == 0)
                        continue;
                k = count_below(places, ends, n_ends, places[i]);
                before[i] = k > 0 ? ends[k - 1] : SIZE_MAX;
                ends[k] = i;
                n_ends = MAX_OF(n_ends, k + 1);
        }
        kept = n_ends > 0 ? ends[n_ends - 1] : SIZE_MAX;
        for (size_t i = n; i-- > 0;) {
                if (i == kept)
                        kept = before[i];
                else
                        places[i] = 0;
        }
        return 0;
}

/* Gives n places, evenly between low and high, neither included. */
static void spread(uint64_t *places, size_t n, uint64_t low, uint64_t high) {
        uint64_t step = (high - low) / (n + 1);

        for (size_t i = 0; i < n; i++)
                places[i] = low + step * (i + 1);
}

/* Whether `place`, behind `low`, leaves no room for n others before it. */
static bool is_too_close(uint64_t place, uint64_t low, size_t n) {
        return place == 0 || place - low <= n;
}

int sibling_order(uint64_t *places, size_t n) {
        uint64_t low = 0;
        size_t end;
        int r;

        if (n == 0)
                return 0;
        r = keep_longest(places, n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i = end + 1) {
                /* A run without places ends at the first one that leaves room for it. */
                for (end = i; end < n && is_too_close(places[end], low, end - i); end++)
                        places[end] = 0;
                if (end == n)
                        break;
                spread(places + i, end - i, low, places[end]);
                low = places[end];
        }
        return 0;
}
