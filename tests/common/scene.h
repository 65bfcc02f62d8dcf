/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Scene: maps built by hand, and what they look like in words
 *
 * An edit is written as a call that returns it; must_edit() makes it and ends the program, saying
 * why, if it is refused. Trees and views have a text each, so that a test compares what it gets
 * with a string and a failure shows both.
 *
 *   must_edit(map, add_region(REGION_RAM, "ram", 0x1000, "system", 0, 0));
 *   must_commit(map);
 *   scene_view(map, "memory")  →  "0-fff ram@0 ram\n"
 */

#include "lib/memory/map-error.h"
#include "lib/memory/map.h"

/* Edits that borrow their strings: never to be given to edit_deinit(). */
static inline Edit add_region(RegionKind kind, const char *name, uint64_t size, const char *parent,
                              uint64_t offset, int32_t priority) {
        return (Edit){.verb = EDIT_ADD_REGION,
                      .kind = kind,
                      .flags = REGION_ENABLED,
                      .name = (char *)name,
                      .size = size,
                      .parent = (char *)parent,
                      .offset = offset,
                      .priority = priority};
}

static inline Edit add_alias(const char *name, const char *target, uint64_t target_offset,
                             uint64_t size, const char *parent, uint64_t offset, int32_t priority) {
        return (Edit){.verb = EDIT_ADD_ALIAS,
                      .kind = REGION_ALIAS,
                      .flags = REGION_ENABLED,
                      .name = (char *)name,
                      .target = (char *)target,
                      .target_offset = target_offset,
                      .size = size,
                      .parent = (char *)parent,
                      .offset = offset,
                      .priority = priority};
}

/* An edit that adds, with these flags beside those it has. */
static inline Edit with_flags(Edit edit, uint32_t flags) {
        edit.flags |= flags;
        return edit;
}

static inline Edit disabled(Edit edit) {
        edit.flags &= ~(uint32_t)REGION_ENABLED;
        return edit;
}

static inline Edit remove_region(const char *name) {
        return (Edit){.verb = EDIT_REMOVE_REGION, .name = (char *)name};
}

static inline Edit move_region(const char *name, const char *parent, uint64_t offset,
                               int32_t priority) {
        return (Edit){.verb = EDIT_MOVE_REGION,
                      .name = (char *)name,
                      .parent = (char *)parent,
                      .offset = offset,
                      .priority = priority};
}

static inline Edit set_size(const char *name, uint64_t size) {
        return (Edit){
                .verb = EDIT_SET_REGION, .mask = PROPERTY_SIZE, .name = (char *)name, .size = size};
}

static inline Edit set_offset(const char *name, uint64_t offset) {
        return (Edit){.verb = EDIT_SET_REGION,
                      .mask = PROPERTY_OFFSET,
                      .name = (char *)name,
                      .offset = offset};
}

static inline Edit set_priority(const char *name, int32_t priority) {
        return (Edit){.verb = EDIT_SET_REGION,
                      .mask = PROPERTY_PRIORITY,
                      .name = (char *)name,
                      .priority = priority};
}

static inline Edit set_target_offset(const char *name, uint64_t target_offset) {
        return (Edit){.verb = EDIT_SET_REGION,
                      .mask = PROPERTY_TARGET_OFFSET,
                      .name = (char *)name,
                      .target_offset = target_offset};
}

static inline Edit set_flags(const char *name, uint32_t mask, uint32_t flags) {
        return (Edit){.verb = EDIT_SET_REGION,
                      .mask = PROPERTY_FLAGS,
                      .name = (char *)name,
                      .flags_mask = mask,
                      .flags = flags};
}

static inline Edit enable(const char *name) {
        return set_flags(name, REGION_ENABLED, REGION_ENABLED);
}

static inline Edit disable(const char *name) {
        return set_flags(name, REGION_ENABLED, 0);
}

static inline Edit add_space(const char *name, const char *root) {
        return (Edit){.verb = EDIT_ADD_ADDRESS_SPACE, .name = (char *)name, .parent = (char *)root};
}

static inline Edit remove_space(const char *name) {
        return (Edit){.verb = EDIT_REMOVE_ADDRESS_SPACE, .name = (char *)name};
}

static inline Edit add_ioeventfd(const char *region, IOEventFD *ioeventfd) {
        return (Edit){.verb = EDIT_ADD_IOEVENTFD, .name = (char *)region, .ioeventfd = ioeventfd};
}

static inline Edit remove_ioeventfd(const char *region, IOEventFD *key) {
        return (Edit){.verb = EDIT_REMOVE_IOEVENTFD, .name = (char *)region, .ioeventfd = key};
}

static inline Edit add_coalesced(const char *region, uint64_t offset, uint64_t size) {
        return (Edit){
                .verb = EDIT_ADD_COALESCED, .name = (char *)region, .offset = offset, .size = size};
}

static inline Edit clear_coalesced(const char *region) {
        return (Edit){.verb = EDIT_CLEAR_COALESCED, .name = (char *)region};
}

static inline Edit set_handler(const char *region, Handler *handler) {
        return (Edit){.verb = EDIT_SET_HANDLER, .name = (char *)region, .handler = handler};
}

/* A map with container "system" (2^64), seen as address space "memory", committed: generation 1. */
Map *scene_new(void);
/* A map with nothing in it. */
Map *scene_new_empty(void);

void must_edit(Map *map, Edit edit);
/* The same, then a commit. */
void must_edit_commit(Map *map, Edit edit);
void must_commit(Map *map);
/* An ioeventfd without a descriptor: enough where no accelerator looks at it. */
IOEventFD *must_ioeventfd(uint64_t offset, uint32_t length, bool match, uint64_t data);
void must_add_ioeventfd(Map *map, const char *region, uint64_t offset, uint32_t length, bool match,
                        uint64_t data);
/* A constant or a latch for the region; uncommitted. */
void must_set_constant(Map *map, const char *region, uint64_t value);
void must_set_latch(Map *map, const char *region, uint64_t value);
Region *must_find(Map *map, const char *name);

/*
 * Sections, a line each: first-last name@offset kind flags, numbers in hex; then what is announced:
 * "eventfd" or "coalesced", the range and the region. The caller frees.
 */
char *scene_view_text(const FlatView *view);
char *scene_sections_text(const Section *sections, size_t n);
char *scene_announced_text(const Announced *announced, size_t n);
/* The published view of an address space, NULL if there is none of that name. */
const FlatView *scene_published(Map *map, const char *space);
char *scene_view(Map *map, const char *space);
/* Everything that a rollback restores: regions, their order, address spaces, counters, views. */
char *scene_text(Map *map);
