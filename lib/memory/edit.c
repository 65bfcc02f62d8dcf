/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/memory/edit-verbs.h"
#include "lib/memory/map-error.h"
#include "lib/memory/undo.h"
#include "lib/util/utf8.h"

static int copy_string(char **ret, const char *string) {
        char *copy = NULL;

        if (string) {
                copy = strdup(string);
                if (!copy)
                        return -ENOMEM;
        }
        *ret = copy;
        return 0;
}

int edit_init(Edit *edit, EditVerb verb, const char *name) {
        *edit = (Edit){.verb = verb};
        return copy_string(&edit->name, name);
}

void edit_deinit(Edit *edit) {
        free(edit->name);
        free(edit->parent);
        free(edit->target);
        backing_unref(edit->backing);
        ioeventfd_unref(edit->ioeventfd);
        handler_unref(edit->handler);
        *edit = (Edit){};
}

bool map_name_is_valid(const char *name) {
        size_t length = strnlen(name, MAP_NAME_MAX + 1), n;

        if (length == 0 || length > MAP_NAME_MAX)
                return false;
        for (size_t i = 0; i < length; i += n) {
                n = utf8_length(name + i, length - i);
                if (n == 0 || utf8_is_control(name + i, n))
                        return false;
        }
        return true;
}

int edit_check_name(const char *name, Detail *detail) {
        char shown[64];

        if (map_name_is_valid(name))
                return 0;
        utf8_show(shown, sizeof(shown), name);
        return detail_set(detail, MAP_E_INVALID_NAME,
                          "\"%s\", %zu bytes, is not a name: 1 to %d bytes of UTF-8 without "
                          "control characters",
                          shown, strlen(name), MAP_NAME_MAX);
}

int edit_find_region(Map *map, const char *name, Region **ret, Detail *detail) {
        *ret = map_find_region(map, name);
        if (*ret)
                return 0;
        return detail_set(detail, MAP_E_NO_SUCH_REGION, "there is no region \"%s\"", name);
}

int edit_check_quota(uint64_t used, uint64_t more, uint64_t limit, const char *quota,
                     Detail *detail) {
        if (used <= limit && more <= limit - used)
                return 0;
        return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                          "%s: %" PRIu64 " in use, %" PRIu64
                          " more asked for, the limit is %" PRIu64,
                          quota, used, more, limit);
}

static int add_space(Map *map, const Edit *edit, Detail *detail) {
        _cleanup_(address_space_unrefp) AddressSpace *space = NULL;
        _cleanup_(view_unrefp) View *view = NULL;
        Region *root;
        int r;

        r = edit_check_name(edit->name, detail);
        if (r != 0)
                return r;
        if (map_find_space(map, edit->name))
                return detail_set(detail, MAP_E_ADDRESS_SPACE_EXISTS, "address space \"%s\" exists",
                                  edit->name);
        r = edit_find_region(map, edit->parent, &root, detail);
        if (r == 0)
                r = edit_check_quota(map->n_spaces, 1, map->limits.address_spaces, "AddressSpaces",
                                     detail);
        if (r != 0)
                return r;
        if (root->view)
                view = view_ref(root->view);
        else
                r = view_new(&view, root);
        if (r == 0)
                r = address_space_new(&space, edit->name, view);
        if (r == 0)
                r = map_reserve_undo(map, 1);
        if (r != 0)
                return r;
        map_add_space(map, space);
        if (view->n_spaces == 1)
                dirty_ranges_add(&view->dirty, RANGE_WHOLE);
        return 0;
}

static int remove_space(Map *map, const Edit *edit, Detail *detail) {
        AddressSpace *space;
        int r;

        space = map_find_space(map, edit->name);
        if (!space)
                return detail_set(detail, MAP_E_NO_SUCH_ADDRESS_SPACE,
                                  "there is no address space \"%s\"", edit->name);
        r = map_reserve_undo(map, 1);
        if (r == 0)
                map_remove_space(map, space);
        return r;
}

int map_edit(Map *map, const Edit *edit, Detail *detail) {
        static int (*const verbs[])(Map *, const Edit *, Detail *) = {
                [EDIT_ADD_REGION] = edit_add_region,
                [EDIT_ADD_ALIAS] = edit_add_region,
                [EDIT_REMOVE_REGION] = edit_remove_region,
                [EDIT_MOVE_REGION] = edit_move_region,
                [EDIT_SET_REGION] = edit_set_region,
                [EDIT_ADD_ADDRESS_SPACE] = add_space,
                [EDIT_REMOVE_ADDRESS_SPACE] = remove_space,
                [EDIT_ADD_IOEVENTFD] = edit_add_ioeventfd,
                [EDIT_REMOVE_IOEVENTFD] = edit_remove_ioeventfd,
                [EDIT_ADD_COALESCED] = edit_add_coalesced,
                [EDIT_CLEAR_COALESCED] = edit_clear_coalesced,
                [EDIT_SET_HANDLER] = edit_set_handler,
        };

        return verbs[edit->verb](map, edit, detail);
}
