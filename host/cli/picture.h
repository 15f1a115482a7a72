/*
 * picture.h - one attention matrix with its labels, drawn in a terminal and in an SVG file.
 */
#ifndef HEDDLE_PICTURE_H
#define HEDDLE_PICTURE_H

#include "cli.h"

typedef struct hdl__picture {
    const char        *source, *target;     /* the sentences */
    const char        *about;               /* "cross-attention, layer 2, mean of heads" */
    const char *const *rows, *const *columns;
    size_t             n_rows, n_columns;
    const float       *values;              /* [n_rows, n_columns], 0 to 1 */
} hdl__picture;

/* Rows downwards, columns across with their labels upright. A picture wider than `columns` of the terminal is not drawn
 * but described. */
void hdl__picture_terminal(const hdl__picture *picture, bool color, int columns, hdl__cli_text *out);

/* Pictures of a file stand below each other; the file's head needs their common size, so they are kept to the end. */
typedef struct hdl__svg {
    hdl__cli_text body;
    double        width, height;
    size_t        n_pictures, n_dropped;
} hdl__svg;

#define HDL__SVG_MOST_PICTURES 32       /* a file with more serves nobody */
#define HDL__SVG_MOST_CELLS 40000       /* of one picture: 200 by 200 */

/* Adds a picture, or counts it as dropped when the file is full or the picture too large. */
void hdl__svg_add(hdl__svg *svg, const hdl__picture *picture);
/* The whole file. */
void hdl__svg_finish(hdl__svg *svg, hdl__cli_text *out);
void hdl__svg_free(hdl__svg *svg);

/* Columns that a token takes in a terminal, as hdl__picture_label shows it. */
size_t hdl__picture_columns(const char *label);

#endif
