/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What is written beside a band of a picture
 */

#include "client/picture.h"

typedef struct Phrase Phrase;
typedef struct Phrases Phrases;

typedef enum PhraseRole {
        PHRASE_NAME,  /* of the region that is seen */
        PHRASE_VIA,   /* aliases through which it is seen, the nearest first */
        PHRASE_FLAGS, /* of the section */
        PHRASE_WAS,   /* what was there in the older generation */
        PHRASE_BELOW, /* what it hides, and why */
} PhraseRole;

struct Phrase {
        PhraseRole role;
        size_t at; /* where it stands in the text */
};

struct Phrases {
        char *text; /* one behind the other, each with a NUL */
        size_t end;
        Phrase list[4 + PICTURE_LAYERS_MAX];
        size_t n;
};

/* None for a gap where nothing was in either generation. */
void phrases_init(Phrases *phrases, const Picture *picture, const Band *band);
void phrases_deinit(Phrases *phrases);

static inline const char *phrase_text(const Phrases *phrases, size_t i) {
        const char *text = phrases->text + phrases->list[i].at;

        return text + (*text == ' ');
}

/* Kinds of regions that can be seen, each with its look. */
typedef enum Look {
        LOOK_RAM,
        LOOK_ROM,
        LOOK_ROMD,
        LOOK_MMIO,
        LOOK_RESERVED,
        LOOK_N,
} Look;

extern const char *const look_names[LOOK_N];

Look look_of_kind(const char *kind);
