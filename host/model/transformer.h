/*
 * transformer.h - the forward passes of an encoder-decoder Transformer: one op call per line, no device, no format.
 *
 * Sources: Vaswani et al. 2017; pre-norm: Xiong et al. 2020, arXiv 2002.04745.
 */
#ifndef HEDDLE_HOST_TRANSFORMER_H
#define HEDDLE_HOST_TRANSFORMER_H

#include "model/hidden_rows.h"

/* Probabilities of one layer's attention, for pictures; NULL: not wanted. */
typedef struct hdl__probe {
    int32_t layer, first_head, n_heads;     /* mean over heads [first, first + n) */
    bool    cross;                          /* decoder: cross-attention instead of self-attention */
    float  *probs;                          /* f32 [rows, ld] device memory */
    int64_t ld;
} hdl__probe;

/* Sentences to encode, end to end without padding; i32 arrays in device memory. */
typedef struct hdl__source_batch {
    const int32_t *ids, *pos;               /* [M] */
    const int32_t *cu;                      /* [n + 1] first row of each sentence */
    int32_t        M, n;
} hdl__source_batch;

/* Encodes; hidden->x holds [M, E] afterwards. */
hdl_status hdl__encode(hdl_stream *stream, const hdl__network *network, const hdl__source_batch *batch,
                       hdl__hidden *hidden, const hdl__probe *probe);

/* Where decoder rows live. */
typedef struct hdl__decode_place {
    const hdl_slots *slots;
    const hdl_rows  *rows;
    hdl_kv_pool     *pool;
    int32_t          R;                     /* bucket: rows given by value */
} hdl__decode_place;

/* Keys and values of every decoder layer for encoded rows (hidden->x [M, E]), written to source pages; rows: slot and pos of each. */
hdl_status hdl__write_source(hdl_stream *stream, const hdl__network *network, const hdl__decode_place *place,
                             hdl__hidden *hidden);

/*
 * Runs decoder rows: keys and values of each are appended to their slot's self pages, then attended. ids i32 [R]: forced input tokens;
 * NULL: the slots' own. hidden->x holds [R, E] afterwards. keep_alignment: the alignment layer keeps its probabilities in the history.
 */
hdl_status hdl__decode(hdl_stream *stream, const hdl__network *network, const hdl__decode_place *place,
                       const int32_t *ids, bool keep_alignment, hdl__hidden *hidden, const hdl__probe *probe);

#endif
