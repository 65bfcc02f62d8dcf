/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Inclusive ranges
 *
 * A Range is [first, last] within [0, 2^64), both ends inclusive. 2^64 bytes are representable and
 * no sum of two of its fields is ever needed, so nothing here can overflow.
 *
 * I1: first <= last. A Range is never empty; what may be empty is a function's result, and then the
 *     function says so by returning false and leaves *ret alone.
 *
 * A size is a uint64_t in bytes in which all-ones stands for 2^64 (SIZE_WHOLE).
 *
 * Source: this project.
 */

#include <stdbool.h>
#include <stdint.h>

typedef struct Range Range;

struct Range {
        uint64_t first;
        uint64_t last;
};

#define SIZE_WHOLE  UINT64_MAX
#define RANGE_WHOLE ((Range){0, UINT64_MAX})

/* [0, size - 1]; false for size 0. */
static inline bool range_from_size(uint64_t size, Range *ret) {
        if (size == 0)
                return false;
        *ret = (Range){0, size == SIZE_WHOLE ? UINT64_MAX : size - 1};
        return true;
}

/* The bytes in a range as a size: 2^64 comes out as SIZE_WHOLE. */
static inline uint64_t range_size(Range range) {
        uint64_t less_one = range.last - range.first;

        return less_one == UINT64_MAX ? SIZE_WHOLE : less_one + 1;
}

/* One comparison: what lies below the range wraps to above it. */
static inline bool range_contains(Range range, uint64_t address) {
        return address - range.first <= range.last - range.first;
}

static inline bool range_covers(Range outer, Range inner) {
        return outer.first <= inner.first && inner.last <= outer.last;
}

static inline bool range_overlaps(Range a, Range b) {
        return a.first <= b.last && b.first <= a.last;
}

/* Whether next begins right behind the end of range. */
static inline bool range_touches(Range range, Range next) {
        return range.last != UINT64_MAX && range.last + 1 == next.first;
}

static inline bool range_equal(Range a, Range b) {
        return a.first == b.first && a.last == b.last;
}

/* By where they begin, then by where they end. */
static inline int range_compare(Range a, Range b) {
        if (a.first != b.first)
                return a.first < b.first ? -1 : 1;
        return (a.last > b.last) - (a.last < b.last);
}

static inline bool range_intersect(Range a, Range b, Range *ret) {
        if (!range_overlaps(a, b))
                return false;
        *ret = (Range){
                .first = a.first > b.first ? a.first : b.first,
                .last = a.last < b.last ? a.last : b.last,
        };
        return true;
}

/* The range moved up; what would pass 2^64 is clipped. False when nothing is left. */
static inline bool range_shift_up(Range range, uint64_t by, Range *ret) {
        if (range.first > UINT64_MAX - by)
                return false;
        *ret = (Range){
                .first = range.first + by,
                .last = range.last > UINT64_MAX - by ? UINT64_MAX : range.last + by,
        };
        return true;
}

/* The range moved down; what would fall below 0 is clipped. False when nothing is left. */
static inline bool range_shift_down(Range range, uint64_t by, Range *ret) {
        if (range.last < by)
                return false;
        *ret = (Range){
                .first = range.first < by ? 0 : range.first - by,
                .last = range.last - by,
        };
        return true;
}

/* The place of `size` bytes at `offset`; false if they do not fit below 2^64, or size is 0. */
static inline bool range_place(uint64_t offset, uint64_t size, Range *ret) {
        Range range;

        if (!range_from_size(size, &range) || range.last > UINT64_MAX - offset)
                return false;
        return range_shift_up(range, offset, ret);
}
