/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Drawings of a map: in a terminal, as SVG, as a page
 *
 * A drawing is what all of them show: the pictures of some address spaces at one generation,
 * perhaps compared to an older one. They write to `out` and ask nobody.
 */

#include <stdbool.h>
#include <stdio.h>

#include "client/picture.h"

typedef struct Canvas Canvas;
typedef struct Drawing Drawing;
typedef struct DrawingSpace DrawingSpace;

struct DrawingSpace {
        const char *name;
        const RegionNode *root;
        const Sections *sections;
        Picture *picture;
        const DrawingSpace *like; /* the space that shows the same and is drawn instead, or NULL */
};

struct Drawing {
        const char *vm;
        uint64_t generation;
        bool compared;
        uint64_t from; /* the older generation */
        const RegionTree *tree;
        DrawingSpace *spaces;
        size_t n_spaces;
};

/* What a terminal has. */
struct Canvas {
        unsigned columns;
        bool unicode;
        bool colour;
        bool legend;
};

/* With the columns of the terminal, 80 if there is none. */
void canvas_init(Canvas *canvas, const Output *output);

/* Finds spaces that show the same, once all have their sections. */
void drawing_group(Drawing *drawing);

/* "Also b, c": the spaces that show the same as one that is drawn; "" if there are none. */
char *drawing_others(const Drawing *drawing, const DrawingSpace *space);

void draw_text(const Drawing *drawing, const Canvas *canvas, FILE *out);
void draw_svg(const Drawing *drawing, FILE *out);
void draw_html(const Drawing *drawing, FILE *out);
