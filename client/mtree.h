/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Mtree: what QEMU prints for "info mtree", with or without -D, and for "info mtree -f", as data
 *
 * I1: addresses are as printed: in the region whose name heads the block, not in the parent.
 * I2: siblings are linked as printed: by address; at one address, the one that wins comes first.
 *
 * Nothing here is printed, and nothing decided: mtree-import.h makes regions of it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct MtreeBlock MtreeBlock;
typedef struct MtreeError MtreeError;
typedef struct MtreeFlat MtreeFlat;
typedef struct MtreeLine MtreeLine;
typedef struct MtreeSection MtreeSection;
typedef struct MtreeSpace MtreeSpace;
typedef struct MtreeTree MtreeTree;

enum {
        MTREE_TEXT_MAX = 16 << 20,
        MTREE_BLOCKS_MAX = 4096,
        MTREE_DEPTH_MAX = 128,
        MTREE_NAME_MAX = 128, /* bytes, as org.guestmap1(5) has it */
};

typedef enum MtreeType {
        MTREE_IO,
        MTREE_RAM,
        MTREE_ROM,
        MTREE_ROMD,
        MTREE_RAMD,
} MtreeType;

/* Where a dump cannot be understood, and why. */
struct MtreeError {
        unsigned line; /* from 1; 0: none in particular */
        char text[320];
};

/* A region as it was printed once. */
struct MtreeLine {
        const char *name;
        const char *target; /* NULL: not an alias */
        uint64_t first;
        uint64_t last;
        uint64_t window; /* where in its target an alias begins */
        int32_t priority;
        MtreeType type;
        bool nonvolatile;
        bool enabled;
        bool orphan; /* its parent was not printed: disabled, in a dump without -D */
        bool unseen; /* not printed itself, for the same reason; stands for the block's root */
        unsigned line;
        unsigned depth; /* 1: a root */
        MtreeLine *parent;
        MtreeLine *child;
        MtreeLine *last_child;
        MtreeLine *next;
};

/* "address-space: NAME", once or more, or "memory-region: NAME", and a tree. */
struct MtreeBlock {
        const char *name; /* of the region, or of the first space */
        bool is_space;
        unsigned line;
        MtreeLine *root;
};

struct MtreeSpace {
        const char *name;
        size_t place; /* the block of a tree; the view of a flat dump */
        unsigned line;
};

struct MtreeTree {
        char *text;
        MtreeLine *lines; /* in order */
        size_t n_lines;
        MtreeBlock *blocks;
        size_t n_blocks;
        MtreeSpace *spaces;
        size_t n_spaces;
};

struct MtreeSection {
        const char *name;
        uint64_t first;
        uint64_t last;
        uint64_t offset;
        int32_t priority;
        MtreeType type;
        size_t view;
};

struct MtreeFlat {
        char *text;
        MtreeSection *sections; /* view by view, each in address order */
        size_t n_sections;
        size_t *views; /* where each begins in `sections`; one more ends the last */
        size_t n_views;
        MtreeSpace *spaces;
        size_t n_spaces;
};

/*
 * `text` is copied. -EINVAL with an error that says where; *ret can be deinitialized whatever
 * comes. What a monitor prints around a dump, its prompt and the echo of the command, is skipped.
 */
int mtree_parse_tree(MtreeTree *ret, const char *text, MtreeError *error);
void mtree_tree_deinit(MtreeTree *tree);
int mtree_parse_flat(MtreeFlat *ret, const char *text, MtreeError *error);
void mtree_flat_deinit(MtreeFlat *flat);
