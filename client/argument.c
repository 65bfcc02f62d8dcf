/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>

#include "client/client.h"
#include "client/number.h"

static int refuse_number(int r, const char *what, const char *word, const char *grammar) {
        if (r == -ERANGE)
                return fail("%s \"%s\" is too large", what, word);
        if (word[0] == '0' && isdigit((unsigned char)word[1]))
                return fail("%s \"%s\" begins with 0: hexadecimal begins with 0x", what, word);
        return fail("%s \"%s\" is not %s", what, word, grammar);
}

int client_number(const char *word, const char *what, uint64_t *ret) {
        int r;

        r = number_parse(word, ret);
        return r < 0 ? refuse_number(r, what, word, "a number such as 4096, 0x1000 or 4KiB") : 0;
}

int client_size(const char *word, const char *what, uint64_t *ret) {
        int r;

        r = number_parse_size(word, ret);
        return r < 0 ? refuse_number(r, what, word, "a size such as 1GiB, 0x1000 or 2^64") : 0;
}

int client_u32(const char *word, const char *what, uint32_t *ret) {
        int r;

        r = number_parse_u32(word, ret);
        return r < 0 ? refuse_number(r, what, word, "a number such as 4 or 0x4") : 0;
}

int client_priority(const char *word, int32_t *ret) {
        int r;

        r = number_parse_i32(word, ret);
        return r < 0 ? refuse_number(r, "priority", word, "a whole number") : 0;
}

int client_bool(const char *word, const char *what, bool *ret) {
        int r;

        r = number_parse_bool(word, ret);
        return r < 0 ? refuse_number(r, what, word, "yes or no") : 0;
}

int client_timeout(const char *word, uint64_t *ret) {
        int r;

        r = number_parse_timeout(word, ret);
        return r < 0 ? refuse_number(r, "timeout", word, "a time such as 90s, 5min or 1h") : 0;
}
