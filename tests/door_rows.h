/* door_rows.h - the tables of test_door.c: a valid call of every op, and what may be wrong with it. */
#ifndef HEDDLE_TESTS_DOOR_ROWS_H
#define HEDDLE_TESTS_DOOR_ROWS_H

#include "device/counting.h"
#include "fake_backend.h"

#include <stdio.h>

/* Arguments of all ops that are right together; slots and rows are shared. */
typedef struct door_set {
    hdl_slots                slots;
    hdl_rows                 rows;
    hdl_gemm_args            gemm;
    hdl_norm_args            norm;
    hdl_embed_args           embed;
    hdl_cache_append_args    cache_append;
    hdl_attention_args       attention;
    hdl_quantise_rows_args   quantise_rows;
    hdl_gather_rows_args     gather_rows;
    hdl_glu_args             glu;
    hdl_logit_edits_args     logit_edits;
    hdl_logit_reduce_args    logit_reduce;
    hdl_beam_step_args       beam_step;
    hdl_token_logprobs_args  token_logprobs;
    hdl_scatter_words_args   scatter_words;
    hdl_stamp_args           stamp;
    int                      no_args;       /* the call passes NULL */
} door_set;

typedef enum door_type { AS_I32, AS_I64, AS_F32, AS_NULL } door_type;

/* Up to two fields of a set get new values. Offsets are into door_set. */
typedef struct door_change_of { size_t at; door_type type; double value; } door_change_of;

typedef struct door_row {
    hdl_status     status;
    const char    *words;       /* the whole detail line; "empty": HDL_OK and nothing is called */
    door_change_of first, second;   /* second.at 0: none */
} door_row;

typedef struct door_op {
    const char     *name;
    hdl_status    (*call)(hdl_stream *, const door_set *);
    size_t          args_at, args_bytes;    /* where its args stand in a set */
    const door_row *rows;
    size_t          n_rows;
} door_op;

void door_fill(door_set *set);
void door_change(door_set *set, const door_row *row);
const door_op *door_ops(size_t *n);

#endif
