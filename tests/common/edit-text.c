/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>

#include "tests/common/edit-text.h"

static void print_place(FILE *out, const Edit *edit) {
        if (edit->parent)
                fprintf(out, " in \"%s\" @0x%" PRIx64 " priority %d", edit->parent, edit->offset,
                        edit->priority);
}

static void print_add(FILE *out, const Edit *edit) {
        fprintf(out, "add %s \"%s\" 0x%" PRIx64, region_kind_to_string(edit->kind), edit->name,
                edit->size);
        if (edit->target)
                fprintf(out, " of \"%s\" +0x%" PRIx64, edit->target, edit->target_offset);
        print_place(out, edit);
        fprintf(out, " flags 0x%x\n", edit->flags);
}

static void print_set(FILE *out, const Edit *edit) {
        fprintf(out, "set \"%s\"", edit->name);
        if (edit->mask & PROPERTY_SIZE)
                fprintf(out, " size 0x%" PRIx64, edit->size);
        if (edit->mask & PROPERTY_OFFSET)
                fprintf(out, " offset 0x%" PRIx64, edit->offset);
        if (edit->mask & PROPERTY_PRIORITY)
                fprintf(out, " priority %d", edit->priority);
        if (edit->mask & PROPERTY_TARGET_OFFSET)
                fprintf(out, " target-offset 0x%" PRIx64, edit->target_offset);
        if (edit->mask & PROPERTY_FLAGS)
                fprintf(out, " flags 0x%x/0x%x", edit->flags & edit->flags_mask, edit->flags_mask);
        fputc('\n', out);
}

static void print_ioeventfd(FILE *out, const char *verb, const Edit *edit) {
        fprintf(out, "%s ioeventfd \"%s\" @0x%" PRIx64 " length %u%s data 0x%" PRIx64 "\n", verb,
                edit->name, edit->ioeventfd->offset, edit->ioeventfd->length,
                edit->ioeventfd->match ? " match" : "", edit->ioeventfd->data);
}

static void print_edit(FILE *out, const Edit *edit) {
        switch (edit->verb) {
        case EDIT_ADD_REGION:
        case EDIT_ADD_ALIAS:
                print_add(out, edit);
                break;
        case EDIT_REMOVE_REGION:
                fprintf(out, "remove \"%s\"\n", edit->name);
                break;
        case EDIT_MOVE_REGION:
                fprintf(out, "move \"%s\"", edit->name);
                print_place(out, edit);
                fputs(edit->parent ? "\n" : " out\n", out);
                break;
        case EDIT_SET_REGION:
                print_set(out, edit);
                break;
        case EDIT_ADD_ADDRESS_SPACE:
                fprintf(out, "add space \"%s\" of \"%s\"\n", edit->name, edit->parent);
                break;
        case EDIT_REMOVE_ADDRESS_SPACE:
                fprintf(out, "remove space \"%s\"\n", edit->name);
                break;
        case EDIT_ADD_IOEVENTFD:
                print_ioeventfd(out, "add", edit);
                break;
        case EDIT_REMOVE_IOEVENTFD:
                print_ioeventfd(out, "remove", edit);
                break;
        case EDIT_ADD_COALESCED:
                fprintf(out, "add zone \"%s\" @0x%" PRIx64 " 0x%" PRIx64 "\n", edit->name,
                        edit->offset, edit->size);
                break;
        case EDIT_CLEAR_COALESCED:
                fprintf(out, "clear zones \"%s\"\n", edit->name);
                break;
        case EDIT_SET_HANDLER:
                fprintf(out, "set handler of \"%s\" to %s\n", edit->name,
                        edit->handler->ops->kind);
                break;
        }
}

char *edits_text(const EditList *edits) {
        size_t length;
        char *text;
        FILE *out = open_memstream(&text, &length);

        for (size_t i = 0; i < edits->n; i++)
                print_edit(out, &edits->items[i]);
        fclose(out);
        return text;
}
