/*
 * hidden_rows.h - hidden rows of a pass, and the greatest magnitude of each where int8 products take them (device.h, "row maxima").
 */
#ifndef HEDDLE_HOST_HIDDEN_ROWS_H
#define HEDDLE_HOST_HIDDEN_ROWS_H

#include "model/network.h"

/*
 * Rows of `maxima`. Embed and norms set theirs, so all that write x share one, and y likewise. Attention, up and glu raise theirs from
 * the 0 that embed has put there, so each has one of its own in every layer.
 */
enum {
    HDL__MAX_X, HDL__MAX_Y, HDL__N_MAX_SET,
    HDL__MAX_SELF = 0, HDL__MAX_CROSS, HDL__MAX_WIDE, HDL__N_MAX_RAISED     /* of a layer, behind those that are set */
};

/* Hidden rows of a pass, in device memory, of the network's act dtype; sized for `rows` rows of the network. */
typedef struct hdl__hidden {
    void   *x;          /* act [rows, E] the residual stream; the result of a pass */
    void   *y;          /* act [rows, E] normalised input of a sublayer, output of a projection */
    void   *wide;       /* act [rows, max(3E, F, 2F)] query, key, value; inner feed-forward */
    void   *context;    /* act [rows, E] output of attention */
    float  *maxima;     /* f32 [*, M of the pass] greatest magnitudes of rows, for int8 products; NULL: none are noted */
    int32_t rows;
    size_t  bytes;
    void   *block;
} hdl__hidden;

size_t     hdl__hidden_bytes(const hdl__network *network, int32_t rows);
hdl_status hdl__hidden_open(const hdl__network *network, int32_t rows, hdl__hidden *out);
void       hdl__hidden_close(const hdl__network *network, hdl__hidden *hidden);

#endif
