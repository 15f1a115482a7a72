/* door_rows.c - a valid call of every op, and one row for each rule of its door. */
#include "door_rows.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Memory that the fake never reads: only addresses count. Far enough apart for every block below. */
static float floats[8][4096];
static int32_t ints[8][64];
static uint8_t bytes[64];
static uint64_t offsets[4];
static hdl_slot_options options[4];
static hdl_slot_state states[4];

void door_fill(door_set *s)
{
    const hdl_weight *w = (const hdl_weight *)(const void *)bytes;
    hdl_kv_pool *pool = (hdl_kv_pool *)(void *)bytes;
    const hdl_embedding *table = (const hdl_embedding *)(const void *)bytes;
    memset(s, 0, sizeof *s);
    s->slots = (hdl_slots){4, 100, options, states, ints[0], floats[7], bytes, offsets, ints[1], ints[2],
                           ints[3], 2, 2};
    s->rows = (hdl_rows){ints[4], ints[4], ints[4], ints[4], ints[5], ints[5]};
    s->gemm = (hdl_gemm_args){sizeof s->gemm, floats[0], 8, w, floats[1], floats[2], 16, floats[3], 16, ints[4],
                              NULL, 4, 16, 8, HDL_ACT_RELU, HDL_F32, NULL, NULL};
    s->norm = (hdl_norm_args){sizeof s->norm, floats[0], floats[1], floats[2], floats[3], floats[4], floats[5],
                              ints[4], 4, 16, 1e-5f, HDL_NORM_LAYER, HDL_F32, NULL};
    s->embed = (hdl_embed_args){sizeof s->embed, table, floats[0], 64, NULL, NULL, &s->slots, &s->rows, floats[1],
                                4, 16, 1.0f, HDL_F32, NULL, NULL, 0, 0};
    s->cache_append = (hdl_cache_append_args){sizeof s->cache_append, HDL_KEYS_SELF_PAGES, floats[0], floats[1], 16,
                                              pool, 0, &s->slots, &s->rows, 4, 2, 8, HDL_F32};
    s->attention = (hdl_attention_args){
        .struct_bytes = sizeof s->attention, .keys = HDL_KEYS_SELF_PAGES, .q = floats[0], .ldq = 32, .out = floats[1],
        .ldo = 32, .M = 4, .H = 4, .Hkv = 2, .D = 8, .scale = 0.5f, .k = floats[2], .v = floats[3], .ldkv = 16,
        .cu_q = ints[0],
        .cu_k = ints[0], .n_seq = 2, .pool = pool, .slots = &s->slots, .rows = &s->rows, .probs = floats[4], .ldp = 10,
        .probs_first = 1, .probs_heads = 3,
    };
    s->quantise_rows = (hdl_quantise_rows_args){sizeof s->quantise_rows, floats[0], 8, (int8_t *)bytes, floats[1],
                                                4, 8, HDL_F32, 0};
    s->gather_rows = (hdl_gather_rows_args){sizeof s->gather_rows, floats[0], ints[0], floats[1], 4, 8, HDL_F32, 0};
    s->glu = (hdl_glu_args){sizeof s->glu, floats[0], floats[1], 8, 8, floats[2], 8, ints[4], 4, 8, HDL_ACT_SWISH,
                            HDL_F32, NULL};
    const hdl_edits edits = {ints[6], ints[7], 8};
    const hdl_candidates candidates = {ints[6], floats[4], ints[7]};
    s->logit_edits = (hdl_logit_edits_args){sizeof s->logit_edits, &s->slots, &s->rows, edits, 4, 0};
    s->logit_reduce = (hdl_logit_reduce_args){sizeof s->logit_reduce, floats[0], w, NULL, &s->slots, &s->rows, edits,
                                              candidates, 4, 100, 16, HDL_F32};
    s->beam_step = (hdl_beam_step_args){sizeof s->beam_step, &s->slots, &s->rows, candidates, 4, 0};
    s->token_logprobs = (hdl_token_logprobs_args){sizeof s->token_logprobs, floats[0], w, NULL, ints[0], floats[1], 4,
                                                  100, 16, -1, HDL_F32, 0};
    s->scatter_words = (hdl_scatter_words_args){sizeof s->scatter_words, ints[0], ints[1], ints[2], 4, 0};
    s->stamp = (hdl_stamp_args){sizeof s->stamp, offsets, ints[0], 8, 7, 0};
}

static void change(door_set *set, const door_change_of *c)
{
    uint8_t *at = (uint8_t *)set + c->at;
    const int32_t i32 = c->type == AS_I32 ? (int32_t)c->value : 0;
    const int64_t i64 = c->type == AS_I64 ? (int64_t)c->value : 0;
    const float f32 = (float)c->value;
    void *const null = NULL;
    switch (c->type) {
    case AS_I32: memcpy(at, &i32, sizeof i32); break;
    case AS_I64: memcpy(at, &i64, sizeof i64); break;
    case AS_F32: memcpy(at, &f32, sizeof f32); break;
    case AS_NULL: memcpy(at, &null, sizeof null); break;
    }
}

void door_change(door_set *set, const door_row *row)
{
    change(set, &row->first);
    if (row->second.at != 0) change(set, &row->second);
}

#define AT(field) offsetof(door_set, field)
#define I32(field, value) {AT(field), AS_I32, value}
#define I64(field, value) {AT(field), AS_I64, value}
#define F32(field, value) {AT(field), AS_F32, value}
#define NUL(field) {AT(field), AS_NULL, 0}
#define NONE {0, AS_I32, 0}
#define ACT_ROWS(op) \
    {HDL_EINVAL, #op ": act = -1, allowed 0 to 7", I32(op.act, -1), NONE}, \
    {HDL_EINVAL, #op ": act = 8, allowed 0 to 7", I32(op.act, 8), NONE}, \
    {HDL_OK, "", I32(op.act, 7), NONE}
#define DTYPE_ROWS(op) \
    {HDL_EDTYPE, #op ": act_dtype = 2 (bf16), which the fake backend does not take", I32(op.act_dtype, HDL_BF16), NONE}, \
    {HDL_EDTYPE, #op ": act_dtype = 40 (?), which the fake backend does not take", I32(op.act_dtype, 40), NONE}
#define NULL_ROW(op, field) {HDL_EINVAL, #op ": " #field " is NULL", NUL(op.field), NONE}
#define SLOT_ROW(op, field) {HDL_EINVAL, #op ": slots->" #field " is NULL", NUL(slots.field), NONE}
#define ROWS_ROW(op, field) {HDL_EINVAL, #op ": rows->" #field " is NULL", NUL(rows.field), NONE}
/* What every op with a row list looks at. */
#define ROW_LIST_ROWS(op) \
    {HDL_EINVAL, #op ": slots is NULL", NUL(op.slots), NONE}, {HDL_EINVAL, #op ": rows is NULL", NUL(op.rows), NONE}, \
    {HDL_EINVAL, #op ": slots->n_slots = 0, allowed 1 and more", I32(slots.n_slots, 0), NONE}, \
    SLOT_ROW(op, options), SLOT_ROW(op, state), ROWS_ROW(op, count), ROWS_ROW(op, slot)

static const door_row gemm_rows[] = {
    DTYPE_ROWS(gemm),
    {HDL_EINVAL, "gemm: M = -1, allowed 0 and more", I32(gemm.M, -1), NONE},
    {HDL_EINVAL, "gemm: N = 0, allowed 1 and more", I32(gemm.N, 0), NONE},
    {HDL_EINVAL, "gemm: K = -3, allowed 1 and more", I32(gemm.K, -3), NONE},
    {HDL_OK, "empty", I32(gemm.M, 0), NUL(gemm.x)},
    NULL_ROW(gemm, x), NULL_ROW(gemm, w), NULL_ROW(gemm, y),
    {HDL_OK, "", NUL(gemm.bias), NUL(gemm.count)},
    {HDL_OK, "", NUL(gemm.residual), I64(gemm.ldr, 0)},
    {HDL_ESHAPE, "gemm: ldx = 7 is less than K = 8", I64(gemm.ldx, 7), NONE},
    {HDL_ESHAPE, "gemm: ldy = 15 is less than N = 16", I64(gemm.ldy, 15), NONE},
    {HDL_ESHAPE, "gemm: ldr = 15 is less than N = 16", I64(gemm.ldr, 15), NONE},
    {HDL_OK, "", I64(gemm.ldx, 9), I64(gemm.ldy, 17)},
    ACT_ROWS(gemm),
};

static const door_row norm_rows[] = {
    DTYPE_ROWS(norm),
    {HDL_EINVAL, "norm: M = -1, allowed 0 and more", I32(norm.M, -1), NONE},
    {HDL_EINVAL, "norm: E = 0, allowed 1 to 16384", I32(norm.E, 0), NONE},
    {HDL_EINVAL, "norm: E = 16385, allowed 1 to 16384", I32(norm.E, 16385), NONE},
    {HDL_EINVAL, "norm: kind = 2, allowed 0 to 1", I32(norm.kind, 2), NONE},
    {HDL_OK, "", I32(norm.kind, 1), NONE},
    {HDL_EINVAL, "norm: eps = 0, allowed above 0", F32(norm.eps, 0), NONE},
    {HDL_EINVAL, "norm: eps = -1, allowed above 0", F32(norm.eps, -1), NONE},
    {HDL_EINVAL, "norm: eps = inf, allowed finite values", F32(norm.eps, INFINITY), NONE},
    {HDL_OK, "empty", I32(norm.M, 0), NUL(norm.x)},
    NULL_ROW(norm, x), NULL_ROW(norm, gamma), NULL_ROW(norm, y),
    {HDL_OK, "", NUL(norm.beta), NUL(norm.sum)},
    {HDL_OK, "", NUL(norm.residual), NUL(norm.count)},
};

static const door_row embed_rows[] = {
    DTYPE_ROWS(embed),
    {HDL_EINVAL, "embed: M = -1, allowed 0 and more", I32(embed.M, -1), NONE},
    {HDL_EINVAL, "embed: E = 0, allowed 1 to 16384", I32(embed.E, 0), NONE},
    {HDL_EINVAL, "embed: scale = inf, allowed finite values", F32(embed.scale, INFINITY), NONE},
    {HDL_EINVAL, "embed: n_positions = 0, allowed 1 and more", I32(embed.n_positions, 0), NONE},
    {HDL_OK, "", NUL(embed.positions), I32(embed.n_positions, 0)},
    {HDL_OK, "empty", I32(embed.M, 0), NUL(embed.table)},
    NULL_ROW(embed, table), NULL_ROW(embed, y), ROW_LIST_ROWS(embed),
    SLOT_ROW(embed, token), ROWS_ROW(embed, beam), ROWS_ROW(embed, pos),
    {HDL_OK, "", NUL(slots.side), NUL(slots.self_pages)},       /* not looked at */
    {HDL_EINVAL, "embed: ids is NULL", NUL(embed.slots), NUL(embed.rows)},
};

static const door_row cache_append_rows[] = {
    DTYPE_ROWS(cache_append),
    {HDL_EINVAL, "cache_append: keys = 0, allowed 1 to 2", I32(cache_append.keys, 0), NONE},
    {HDL_EINVAL, "cache_append: keys = 3, allowed 1 to 2", I32(cache_append.keys, 3), NONE},
    {HDL_EINVAL, "cache_append: M = -1, allowed 0 and more", I32(cache_append.M, -1), NONE},
    {HDL_EINVAL, "cache_append: Hkv = 0, allowed 1 and more", I32(cache_append.Hkv, 0), NONE},
    {HDL_EINVAL, "cache_append: D = 10 is not a multiple of 4", I32(cache_append.D, 10), NONE},
    {HDL_EINVAL, "cache_append: D = 3, allowed 4 to 256", I32(cache_append.D, 3), NONE},
    {HDL_EINVAL, "cache_append: layer = -1, allowed 0 and more", I32(cache_append.layer, -1), NONE},
    {HDL_OK, "empty", I32(cache_append.M, 0), NUL(cache_append.k)},
    NULL_ROW(cache_append, k), NULL_ROW(cache_append, v), NULL_ROW(cache_append, pool),
    {HDL_ESHAPE, "cache_append: ldkv = 15 is less than Hkv * D = 16", I64(cache_append.ldkv, 15), NONE},
    ROW_LIST_ROWS(cache_append),
    ROWS_ROW(cache_append, pos), ROWS_ROW(cache_append, beam), SLOT_ROW(cache_append, self_pages),
    {HDL_EINVAL, "cache_append: slots->self_stride = 0, allowed 1 and more", I32(slots.self_stride, 0), NONE},
    {HDL_OK, "", NUL(rows.beam), I32(cache_append.keys, 2)},
    {HDL_EINVAL, "cache_append: slots->source_pages is NULL", NUL(slots.source_pages), I32(cache_append.keys, 2)},
    {HDL_EINVAL, "cache_append: slots->source_stride = 0, allowed 1 and more", I32(slots.source_stride, 0),
     I32(cache_append.keys, 2)},
    {HDL_OK, "", NUL(slots.source_pages), NUL(slots.history)},
};

static const door_row attention_rows[] = {
    DTYPE_ROWS(attention),
    {HDL_EINVAL, "attention: keys = 3, allowed 0 to 2", I32(attention.keys, 3), NONE},
    {HDL_EINVAL, "attention: mask = 1, allowed 0 to 0", I32(attention.mask, 1), NONE},      /* pages know their own */
    {HDL_EINVAL, "attention: mask = 2, allowed 0 to 1", I32(attention.mask, 2), I32(attention.keys, 0)},
    {HDL_OK, "", I32(attention.mask, 1), I32(attention.keys, 0)},
    {HDL_EINVAL, "attention: M = -1, allowed 0 and more", I32(attention.M, -1), NONE},
    {HDL_EINVAL, "attention: H = 0, allowed 1 and more", I32(attention.H, 0), NONE},
    {HDL_EINVAL, "attention: Hkv = 0, allowed 1 and more", I32(attention.Hkv, 0), NONE},
    {HDL_ESHAPE, "attention: H = 5 is not a multiple of Hkv = 2", I32(attention.H, 5), NONE},
    {HDL_EINVAL, "attention: D = 0, allowed 4 to 256", I32(attention.D, 0), NONE},
    {HDL_EINVAL, "attention: D = 260, allowed 4 to 256", I32(attention.D, 260), NONE},
    {HDL_EINVAL, "attention: D = 9 is not a multiple of 4", I32(attention.D, 9), NONE},
    {HDL_EINVAL, "attention: scale = -inf, allowed finite values", F32(attention.scale, -INFINITY), NONE},
    {HDL_EINVAL, "attention: keep_alignment = 1, allowed 0 to 0", I32(attention.keep_alignment, 1), NONE},
    {HDL_EINVAL, "attention: keep_alignment = 2, allowed 0 to 1", I32(attention.keep_alignment, 2),
     I32(attention.keys, 2)},
    {HDL_EINVAL, "attention: probs_first = 4, allowed 0 to 3", I32(attention.probs_first, 4), NONE},
    {HDL_EINVAL, "attention: probs_heads = 4, allowed 1 to 3", I32(attention.probs_heads, 4), NONE},
    {HDL_EINVAL, "attention: probs_heads = 0, allowed 1 to 3", I32(attention.probs_heads, 0), NONE},
    {HDL_OK, "", I32(attention.probs_heads, 0), NUL(attention.probs)},
    {HDL_OK, "", I64(attention.ldp, 0), NUL(attention.probs)},
    {HDL_EINVAL, "attention: ldp = 0, allowed 1 to 9223372036854775807", I64(attention.ldp, 0), NONE},
    {HDL_OK, "empty", I32(attention.M, 0), NUL(attention.q)},
    NULL_ROW(attention, q), NULL_ROW(attention, out),
    {HDL_ESHAPE, "attention: ldq = 31 is less than H * D = 32", I64(attention.ldq, 31), NONE},
    {HDL_ESHAPE, "attention: ldo = 31 is less than H * D = 32", I64(attention.ldo, 31), NONE},
    /* self pages */
    NULL_ROW(attention, pool), ROW_LIST_ROWS(attention), SLOT_ROW(attention, self_pages), SLOT_ROW(attention, history),
    SLOT_ROW(attention, history_off), ROWS_ROW(attention, beam), ROWS_ROW(attention, pos),
    {HDL_EINVAL, "attention: layer = -1, allowed 0 and more", I32(attention.layer, -1), NONE},
    {HDL_OK, "", NUL(rows.group), NUL(attention.k)},
    /* source pages */
    {HDL_EINVAL, "attention: slots->source_pages is NULL", NUL(slots.source_pages), I32(attention.keys, 2)},
    {HDL_EINVAL, "attention: rows->group is NULL", NUL(rows.group), I32(attention.keys, 2)},
    {HDL_EINVAL, "attention: rows->n_groups is NULL", NUL(rows.n_groups), I32(attention.keys, 2)},
    {HDL_OK, "", NUL(slots.history), I32(attention.keys, 2)},
    {HDL_OK, "", I32(attention.keep_alignment, 1), I32(attention.keys, 2)},
    /* packed */
    {HDL_EINVAL, "attention: k is NULL", NUL(attention.k), I32(attention.keys, 0)},
    {HDL_EINVAL, "attention: v is NULL", NUL(attention.v), I32(attention.keys, 0)},
    {HDL_EINVAL, "attention: cu_q is NULL", NUL(attention.cu_q), I32(attention.keys, 0)},
    {HDL_EINVAL, "attention: cu_k is NULL", NUL(attention.cu_k), I32(attention.keys, 0)},
    {HDL_EINVAL, "attention: n_seq = 0, allowed 1 to 4", I32(attention.n_seq, 0), I32(attention.keys, 0)},
    {HDL_EINVAL, "attention: n_seq = 5, allowed 1 to 4", I32(attention.n_seq, 5), I32(attention.keys, 0)},
    {HDL_ESHAPE, "attention: ldkv = 15 is less than Hkv * D = 16", I64(attention.ldkv, 15), I32(attention.keys, 0)},
    {HDL_OK, "", NUL(attention.pool), I32(attention.keys, 0)},
};

static const door_row quantise_rows_rows[] = {
    DTYPE_ROWS(quantise_rows),
    {HDL_EINVAL, "quantise_rows: M = -1, allowed 0 and more", I32(quantise_rows.M, -1), NONE},
    {HDL_EINVAL, "quantise_rows: K = 0, allowed 1 and more", I32(quantise_rows.K, 0), NONE},
    {HDL_OK, "empty", I32(quantise_rows.M, 0), NUL(quantise_rows.x)},
    NULL_ROW(quantise_rows, x), NULL_ROW(quantise_rows, q), NULL_ROW(quantise_rows, scale),
    {HDL_ESHAPE, "quantise_rows: ldx = 7 is less than K = 8", I64(quantise_rows.ldx, 7), NONE},
};

static const door_row gather_rows_rows[] = {
    DTYPE_ROWS(gather_rows),
    {HDL_EINVAL, "gather_rows: M = -1, allowed 0 and more", I32(gather_rows.M, -1), NONE},
    {HDL_EINVAL, "gather_rows: E = 0, allowed 1 and more", I32(gather_rows.E, 0), NONE},
    {HDL_OK, "empty", I32(gather_rows.M, 0), NUL(gather_rows.x)},
    NULL_ROW(gather_rows, x), NULL_ROW(gather_rows, index), NULL_ROW(gather_rows, y),
};

static const door_row glu_rows[] = {
    DTYPE_ROWS(glu),
    {HDL_EINVAL, "glu: M = -1, allowed 0 and more", I32(glu.M, -1), NONE},
    {HDL_EINVAL, "glu: F = 0, allowed 1 and more", I32(glu.F, 0), NONE},
    {HDL_OK, "empty", I32(glu.M, 0), NUL(glu.up)},
    NULL_ROW(glu, up), NULL_ROW(glu, gate), NULL_ROW(glu, y),
    {HDL_ESHAPE, "glu: ldu = 7 is less than F = 8", I64(glu.ldu, 7), NONE},
    {HDL_ESHAPE, "glu: ldg = 7 is less than F = 8", I64(glu.ldg, 7), NONE},
    {HDL_ESHAPE, "glu: ldy = 7 is less than F = 8", I64(glu.ldy, 7), NONE},
    ACT_ROWS(glu),
};

static const door_row logit_edits_rows[] = {
    {HDL_EINVAL, "logit_edits: R = -1, allowed 0 and more", I32(logit_edits.R, -1), NONE},
    {HDL_OK, "empty", I32(logit_edits.R, 0), NUL(logit_edits.slots)},
    ROW_LIST_ROWS(logit_edits), SLOT_ROW(logit_edits, history), SLOT_ROW(logit_edits, history_off),
    SLOT_ROW(logit_edits, side),
    ROWS_ROW(logit_edits, beam), ROWS_ROW(logit_edits, pos),
    {HDL_EINVAL, "logit_edits: slots->V = 0, allowed 1 and more", I32(slots.V, 0), NONE},
    {HDL_EINVAL, "logit_edits: edits.stride = 0, allowed 1 and more", I32(logit_edits.edits.stride, 0), NONE},
    NULL_ROW(logit_edits, edits.entries), NULL_ROW(logit_edits, edits.n),
};

static const door_row logit_reduce_rows[] = {
    DTYPE_ROWS(logit_reduce),
    {HDL_EINVAL, "logit_reduce: R = -1, allowed 0 and more", I32(logit_reduce.R, -1), NONE},
    {HDL_EINVAL, "logit_reduce: V = 0, allowed 1 and more", I32(logit_reduce.V, 0), NONE},
    {HDL_EINVAL, "logit_reduce: E = 0, allowed 1 and more", I32(logit_reduce.E, 0), NONE},
    {HDL_OK, "empty", I32(logit_reduce.R, 0), NUL(logit_reduce.x)},
    NULL_ROW(logit_reduce, x), NULL_ROW(logit_reduce, w), ROW_LIST_ROWS(logit_reduce), SLOT_ROW(logit_reduce, side),
    ROWS_ROW(logit_reduce, beam), ROWS_ROW(logit_reduce, pos),
    {HDL_ESHAPE, "logit_reduce: V = 99, but slots->V = 100", I32(logit_reduce.V, 99), NONE},
    NULL_ROW(logit_reduce, edits.entries), NULL_ROW(logit_reduce, edits.n),
    {HDL_EINVAL, "logit_reduce: edits.stride = 0, allowed 1 and more", I32(logit_reduce.edits.stride, 0), NONE},
    NULL_ROW(logit_reduce, out.id), NULL_ROW(logit_reduce, out.logprob), NULL_ROW(logit_reduce, out.n),
};

static const door_row beam_step_rows[] = {
    {HDL_EINVAL, "beam_step: R = -1, allowed 0 and more", I32(beam_step.R, -1), NONE},
    {HDL_OK, "empty", I32(beam_step.R, 0), NUL(beam_step.slots)},
    ROW_LIST_ROWS(beam_step), SLOT_ROW(beam_step, token), SLOT_ROW(beam_step, sum), SLOT_ROW(beam_step, history),
    SLOT_ROW(beam_step, side), ROWS_ROW(beam_step, beam), ROWS_ROW(beam_step, pos), ROWS_ROW(beam_step, n_groups),
    ROWS_ROW(beam_step, group), NULL_ROW(beam_step, in.id), NULL_ROW(beam_step, in.logprob), NULL_ROW(beam_step, in.n),
};

static const door_row token_logprobs_rows[] = {
    DTYPE_ROWS(token_logprobs),
    {HDL_EINVAL, "token_logprobs: M = -1, allowed 0 and more", I32(token_logprobs.M, -1), NONE},
    {HDL_EINVAL, "token_logprobs: V = 0, allowed 1 and more", I32(token_logprobs.V, 0), NONE},
    {HDL_EINVAL, "token_logprobs: E = 0, allowed 1 and more", I32(token_logprobs.E, 0), NONE},
    {HDL_EINVAL, "token_logprobs: pad_id = -2, allowed -1 to 99", I32(token_logprobs.pad_id, -2), NONE},
    {HDL_EINVAL, "token_logprobs: pad_id = 100, allowed -1 to 99", I32(token_logprobs.pad_id, 100), NONE},
    {HDL_OK, "", I32(token_logprobs.pad_id, 99), NONE},
    {HDL_OK, "empty", I32(token_logprobs.M, 0), NUL(token_logprobs.x)},
    NULL_ROW(token_logprobs, x), NULL_ROW(token_logprobs, w), NULL_ROW(token_logprobs, ids),
    NULL_ROW(token_logprobs, logprob),
};

static const door_row scatter_words_rows[] = {
    {HDL_EINVAL, "scatter_words: n = -1, allowed 0 and more", I32(scatter_words.n, -1), NONE},
    {HDL_OK, "empty", I32(scatter_words.n, 0), NUL(scatter_words.base)},
    NULL_ROW(scatter_words, base), NULL_ROW(scatter_words, index), NULL_ROW(scatter_words, value),
};

static const door_row stamp_rows[] = {
    NULL_ROW(stamp, to),
    {HDL_EINVAL, "stamp: stride = 0, allowed 1 and more", I64(stamp.stride, 0), NONE},
    {HDL_EINVAL, "stamp: index = 8, allowed 0 to 7", I32(stamp.index, 8), NONE},
    {HDL_EINVAL, "stamp: index = -1, allowed 0 to 7", I32(stamp.index, -1), NONE},
};

#define X(op)                                                            \
    static hdl_status call_##op(hdl_stream *stream, const door_set *set) \
    {                                                                    \
        return hdl_##op(stream, set->no_args ? NULL : &set->op);         \
    }
HDL__OP_MAP(X)
#undef X

const door_op *door_ops(size_t *n)
{
    static const door_op ops[] = {
#define X(op) {#op, call_##op, AT(op), sizeof(hdl_##op##_args), op##_rows, sizeof op##_rows / sizeof op##_rows[0]},
        HDL__OP_MAP(X)
#undef X
    };
    *n = sizeof ops / sizeof ops[0];
    return ops;
}
