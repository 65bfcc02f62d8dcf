/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Edits, each as a call that returns it
 *
 * They borrow their strings: never to be given to edit_deinit().
 */

#include "lib/memory/edit.h"

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
