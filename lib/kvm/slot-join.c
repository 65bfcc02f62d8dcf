/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Joints, in a tree by what they cost. To join two pieces changes what the joints on either side
 * cost, and nothing else.
 *
 * I1: a joint is in the tree iff its pieces can be joined, and then at its present cost.
 */

#include "lib/kvm/slot-join.h"
#include "lib/util/tree.h"

typedef struct Joint Joint;
typedef struct Joints Joints;

RB_HEAD(JointsByCost, Joint);

/* Of a piece and the one behind it. */
struct Joint {
        Extent *piece;
        uint64_t mapped;        /* bytes of the piece that a slot has and would keep */
        Joint *before, *behind; /* those of the neighbouring pieces */
        uint64_t cost;          /* bytes that joining would unmap */
        bool possible;
        bool joined; /* the piece is part of the one before it */
        RB_ENTRY(Joint) by_cost;
};

struct Joints {
        Joint *items; /* one for each piece, in their order */
        size_t n;
        struct JointsByCost by_cost;
        uint64_t size_max;
};

static int compare_cost(const Joint *a, const Joint *b) {
        if (a->cost != b->cost)
                return a->cost > b->cost ? 1 : -1;
        return (a > b) - (a < b);
}

RB_GENERATE_STATIC(JointsByCost, Joint, by_cost, compare_cost)

static void joint_take_out(Joints *joints, Joint *joint) {
        if (joint->possible)
                RB_REMOVE(JointsByCost, &joints->by_cost, joint);
        joint->possible = false;
}

/* Sees anew whether a joint is possible, and what it costs. */
static void joint_assess(Joints *joints, Joint *joint) {
        const Joint *behind = joint->behind;

        joint_take_out(joints, joint);
        if (!behind || !extent_can_join(joint->piece, behind->piece, joints->size_max))
                return;
        joint->cost = joint->mapped + behind->mapped;
        joint->possible = true;
        RB_INSERT(JointsByCost, &joints->by_cost, joint);
}

static void joint_close(Joints *joints, Joint *joint) {
        Joint *behind = joint->behind;

        joint_take_out(joints, behind);
        joint->piece->range.last = behind->piece->range.last;
        joint->mapped = 0;
        joint->behind = behind->behind;
        if (joint->behind)
                joint->behind->before = joint;
        behind->joined = true;
        joint_assess(joints, joint);
        if (joint->before)
                joint_assess(joints, joint->before);
}

/* A piece is mapped already if a slot has just that, perhaps logged otherwise. */
static void joints_compare(Joints *joints, const SlotList *slots) {
        size_t next = 0;

        for (size_t i = 0; i < joints->n; i++) {
                const Extent *piece = joints->items[i].piece;

                while (next < slots->n &&
                       slots->items[next].extent.range.first < piece->range.first)
                        next++;
                if (next < slots->n && range_equal(slots->items[next].extent.range, piece->range) &&
                    extent_same_memory(&slots->items[next].extent, piece))
                        joints->items[i].mapped = range_size(piece->range);
        }
}

static int joints_init(Joints *joints, const Extents *pieces, const SlotList *slots,
                       uint64_t size_max) {
        size_t n = pieces->n;

        *joints = (Joints){.n = n, .size_max = size_max};
        RB_INIT(&joints->by_cost);
        joints->items = calloc(n + 1, sizeof(*joints->items));
        if (!joints->items)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                joints->items[i].piece = &pieces->items[i];
                joints->items[i].before = i > 0 ? &joints->items[i - 1] : NULL;
                joints->items[i].behind = i + 1 < n ? &joints->items[i + 1] : NULL;
        }
        joints_compare(joints, slots);
        for (size_t i = 0; i < n; i++)
                joint_assess(joints, &joints->items[i]);
        return 0;
}

static void joints_deinit(Joints *joints) {
        free(joints->items);
}

/* Leaves out the pieces that are part of others. */
static void extents_drop_joined(Extents *pieces, const Joints *joints) {
        pieces->n = 0;
        for (size_t i = 0; i < joints->n; i++)
                if (!joints->items[i].joined)
                        pieces->items[pieces->n++] = *joints->items[i].piece;
}

int extents_join(Extents *wanted, const SlotList *slots, size_t excess, uint64_t size_max) {
        _cleanup_(joints_deinit) Joints joints;
        Joint *cheapest;
        int r;

        r = joints_init(&joints, wanted, slots, size_max);
        if (r < 0)
                return r;
        while (excess-- > 0 && (cheapest = RB_MIN(JointsByCost, &joints.by_cost)))
                joint_close(&joints, cheapest);
        extents_drop_joined(wanted, &joints);
        return 0;
}
