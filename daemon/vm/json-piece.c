/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "api/names.h"
#include "daemon/vm/json-piece.h"
#include "daemon/vm/vm-error.h"

json_tokener *json_piece_tokener(void) {
        json_tokener *tokener = json_tokener_new_ex(GUESTMAP_JSON_DEPTH_MAX);

        if (tokener)
                json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
        return tokener;
}

/* One piece as json-c sees it. The byte behind a number tells json-c that it has ended. */
static json_object *tokenize(json_tokener *tokener, const char *text, size_t length) {
        json_object *value;

        json_tokener_reset(tokener);
        value = json_tokener_parse_ex(tokener, text, (int)length);
        if (!value && json_tokener_get_error(tokener) == json_tokener_continue)
                value = json_tokener_parse_ex(tokener, "", 1);
        return value;
}

int json_piece_parse(json_tokener *tokener, const JSONPiece *piece, json_object **ret,
                     Detail *detail) {
        json_object *value = tokenize(tokener, piece->text, piece->length);
        enum json_tokener_error error = json_tokener_get_error(tokener);

        if (error != json_tokener_success)
                return json_path_error(piece->path, VM_E_INVALID_DOCUMENT, detail, "%s",
                                       json_tokener_error_desc(error));
        *ret = value;
        return 0;
}

bool json_path_is(const JSONPath *path, const char *key) {
        return path->key_length == strlen(key) && memcmp(path->key, key, path->key_length) == 0;
}
