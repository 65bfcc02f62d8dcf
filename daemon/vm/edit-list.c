/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "daemon/vm/edit-list.h"
#include "lib/util/array.h"

static int copy_text(char **ret, const char *text) {
        if (!text)
                return 0;
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

int edit_list_add(EditList *list, EditVerb verb, const char *name, Edit **ret) {
        int r;

        r = array_reserve(&list->items, &list->allocated, list->n, 1);
        if (r < 0)
                return r;
        r = edit_init(&list->items[list->n], verb, name);
        if (r < 0)
                return r;
        *ret = &list->items[list->n++];
        return 0;
}

int edit_list_add_taken(EditList *list, Edit *edit) {
        int r;

        r = array_reserve(&list->items, &list->allocated, list->n, 1);
        if (r < 0)
                return r;
        list->items[list->n++] = *edit;
        *edit = (Edit){};
        return 0;
}

int edit_list_add_copy(EditList *list, const Edit *edit, Edit **ret) {
        Edit *copy;
        char *name;
        int r;

        r = edit_list_add(list, edit->verb, edit->name, &copy);
        if (r < 0)
                return r;
        name = copy->name;
        *copy = *edit;
        copy->name = name;
        copy->parent = copy->target = NULL;
        copy->backing = backing_ref(edit->backing);
        copy->ioeventfd = ioeventfd_ref(edit->ioeventfd);
        copy->handler = handler_ref(edit->handler);
        r = copy_text(&copy->parent, edit->parent);
        if (r < 0)
                return r;
        r = copy_text(&copy->target, edit->target);
        if (r < 0)
                return r;
        *ret = copy;
        return 0;
}

void edit_list_truncate(EditList *list, size_t n) {
        while (list->n > n)
                edit_deinit(&list->items[--list->n]);
}

void edit_list_deinit(EditList *list) {
        edit_list_truncate(list, 0);
        free(list->items);
        *list = (EditList){};
}
