/*
 * attend_tiles.h - softmax(scale * q K^T) V for a few queries that read the same keys, in tiles of keys.
 *
 * Sums are f32. A score is the sum over even d plus the sum over odd d (blocks) or over lanes (keys); the softmax is rescaled after
 * each tile of 64 keys (Milakov and Gimelshein 2018, algorithm 3); values are added key by key, ascending.
 */
#ifndef HEDDLE_HOST_SIMD_ATTEND_TILES_H
#define HEDDLE_HOST_SIMD_ATTEND_TILES_H

#include "cpu/op_kernels.h"
#include "cpu/simd/lane_sums.h"
#include "cpu/simd/widen_rows.h"

#include <math.h>

enum {
    BLOCK_VECTORS = HDL__KEY_BLOCK / HDL__VF_LANES,     /* registers that hold the scores of a block */
    SCORE_QUERIES = HDL__VF_LANES / 4,                  /* so that two sums per score fill 8 registers */
    VALUE_VECTORS = HDL__VF_LANES == 16 ? 4 : 2         /* times 4 queries: 16 sums of 32 registers, 8 of 16 */
};

/* What is known of each query after the tiles so far. */
typedef struct attend_state {
    float q[HDL__QUERY_BLOCK][HDL__MAX_D];          /* scaled, zero from D to a full register */
    float acc[HDL__QUERY_BLOCK][HDL__MAX_D];
    float p[HDL__QUERY_BLOCK][HDL__KEY_TILE];       /* scores, then exp(score - max), of the tile */
    float max[HDL__QUERY_BLOCK];
    vf    sum[HDL__QUERY_BLOCK];
    const void *v[HDL__KEY_TILE];                   /* value rows of the tile, head 0 */
} attend_state;

/* One register of keys or values from element `at` on, and the first n lanes of one. */
HDL__INLINE vf kv_load(const void *rows, int64_t at, bool bf16)
{
    return bf16 ? stored_values((const uint8_t *)rows + 2 * at, HDL_BF16) : vf_load((const float *)rows + at);
}

HDL__INLINE vf kv_load_part(const void *rows, int64_t at, int32_t n, bool bf16)
{
    uint16_t whole[HDL__VF_LANES] = {0};
    if (!bf16) return vf_load_part((const float *)rows + at, n);
    memcpy(whole, (const uint16_t *)rows + at, (size_t)n * sizeof *whole);
    return stored_values((const uint8_t *)whole, HDL_BF16);
}

/* Element `at`, to begin a row at. */
HDL__INLINE const void *kv_at(const void *rows, int64_t at, bool bf16)
{
    return (const uint8_t *)rows + at * (bf16 ? 2 : 4);
}

/* Scores of n queries against one block [D, 16], which is k[0], or k[i] of each. */
HDL__INLINE void score_block(attend_state *st, int first, int n, const void *const *k, bool apart, bool bf16, int32_t D, int32_t to)
{
    vf even[SCORE_QUERIES][BLOCK_VECTORS], odd[SCORE_QUERIES][BLOCK_VECTORS];
    for (int i = 0; i < n; i++)
        for (int b = 0; b < BLOCK_VECTORS; b++) even[i][b] = odd[i][b] = vf_set(0.0f);
    for (int32_t d = 0; d < D; d += 2) {
        for (int b = 0; b < BLOCK_VECTORS; b++) {
            vf k0 = vf_set(0.0f), k1 = vf_set(0.0f);
            for (int i = 0; i < n; i++) {
                if (apart || i == 0) {
                    k0 = kv_load(k[i], d * HDL__KEY_BLOCK + b * HDL__VF_LANES, bf16);
                    k1 = kv_load(k[i], (d + 1) * HDL__KEY_BLOCK + b * HDL__VF_LANES, bf16);
                }
                even[i][b] = vf_fma(vf_set(st->q[first + i][d]), k0, even[i][b]);
                odd[i][b] = vf_fma(vf_set(st->q[first + i][d + 1]), k1, odd[i][b]);
            }
        }
    }
    for (int i = 0; i < n; i++)
        for (int b = 0; b < BLOCK_VECTORS; b++)
            vf_store(&st->p[first + i][to + b * HDL__VF_LANES], even[i][b] + odd[i][b]);
}

/* Scores of all queries against keys [t0, t0 + n), n at most a tile. */
HDL__INLINE void score_blocks(const hdl__attend *a, attend_state *st, bool bf16, int32_t t0, int32_t n)
{
    for (int32_t j = 0; j < n; j += HDL__KEY_BLOCK) {
        const void *k[HDL__QUERY_BLOCK];
        int i = 0;
        for (int q = 0; q < a->n_queries; q++) k[q] = kv_at(a->k[(t0 + j) / HDL__KEY_BLOCK], a->k_off[a->apart ? q : 0], bf16);
        for (; i + SCORE_QUERIES <= a->n_queries; i += SCORE_QUERIES) {
            if (a->apart) score_block(st, i, SCORE_QUERIES, k + i, true, bf16, a->D, j);
            else score_block(st, i, SCORE_QUERIES, k + i, false, bf16, a->D, j);
        }
        for (; i < a->n_queries; i++) score_block(st, i, 1, k + i, false, bf16, a->D, j);
    }
}

/* Scores of all queries against `width` single keys: a sum per key in lanes, then all of them across. */
HDL__INLINE void score_group(const hdl__attend *a, attend_state *st, bool bf16, const void *const *k, const int width, int32_t to)
{
    const int32_t whole = a->D / HDL__VF_LANES * HDL__VF_LANES, part = a->D - whole;
    for (int i = 0; i < a->n_queries; i++) {
        const int64_t head = a->k_off[a->apart ? i : 0];
        vf dot[HDL__VF_LANES];
        for (int l = 0; l < width; l++) dot[l] = vf_set(0.0f);
        for (int32_t d = 0; d < whole; d += HDL__VF_LANES) {
            const vf q = vf_load(&st->q[i][d]);
            for (int l = 0; l < width; l++) dot[l] = vf_fma(q, kv_load(k[l], head + d, bf16), dot[l]);
        }
        if (part > 0) {
            const vf q = vf_load(&st->q[i][whole]);
            for (int l = 0; l < width; l++) dot[l] = vf_fma(q, kv_load_part(k[l], head + whole, part, bf16), dot[l]);
        }
        vf_store(&st->p[i][to], sum_rows(dot, width));
    }
}

/* The same against single keys: as many at once as a register has lanes, fewer where few are left. */
HDL__INLINE void score_keys(const hdl__attend *a, attend_state *st, bool bf16, int32_t t0, int32_t n)
{
    for (int32_t j = 0; j < n; j += HDL__VF_LANES) {
        const void *k[HDL__VF_LANES];       /* past the last key the last again: its scores are never looked at */
        for (int l = 0; l < HDL__VF_LANES; l++) k[l] = a->k[t0 + (j + l < n ? j + l : n - 1)];
        if (HDL__VF_LANES > 4 && n - j <= 4) score_group(a, st, bf16, k, 4, j);
        else if (HDL__VF_LANES > 8 && n - j <= 8) score_group(a, st, bf16, k, 8, j);
        else if (HDL__VF_LANES > 12 && n - j <= 12) score_group(a, st, bf16, k, 12, j);
        else score_group(a, st, bf16, k, HDL__VF_LANES, j);
    }
}

/* Scores j .. of a query that sees n keys of the tile; -inf past them. */
HDL__INLINE vf seen_scores(const float *p, int32_t j, int32_t n)
{
    vi lane;
    for (int l = 0; l < HDL__VF_LANES; l++) lane[l] = l;
    return vf_select((vi)(lane < vi_set(n - j)), vf_load(p + j), vf_set(-INFINITY));
}

/* Scores of the tile become exp(score - max), 0 past what the query sees; what stood before is rescaled. */
HDL__INLINE void soften(hdl__attend *a, attend_state *st, int i, int32_t t0, int32_t keys)
{
    const int32_t n = a->seen[i] - t0;
    float *p = st->p[i];
    vf top = vf_set(-INFINITY);
    for (int32_t j = 0; j < keys; j += HDL__VF_LANES) {
        const vf s = seen_scores(p, j, n);
        vf_store(p + j, s);
        top = greater(s, top);
        if (a->scores[i] != NULL && j < n) vf_store(a->scores[i] + t0 + j, s);
    }
    const float old = st->max[i], found = top_lane(top), max = found > old ? found : old;
    st->max[i] = max;
    if (t0 > 0 && max != old) {
        const vf shrink = vf_exp(vf_set(old - max));
        st->sum[i] *= shrink;
        for (int32_t d = 0; d < a->D; d += HDL__VF_LANES) vf_store(&st->acc[i][d], vf_load(&st->acc[i][d]) * shrink);
    }
    for (int32_t j = 0; j < keys; j += HDL__VF_LANES) {
        const vf e = j < n ? vf_exp(vf_load(p + j) - vf_set(max)) : vf_set(0.0f);
        st->sum[i] += e;
        vf_store(p + j, e);
    }
}

/* acc[i][c..) += p V for n queries and `vectors` registers of columns; `part` lanes of the last one, 0: all; apart: each its own V. */
HDL__INLINE void add_values(const hdl__attend *a, attend_state *st, bool apart, bool bf16, int n, int vectors, int32_t c, int32_t part,
                            int32_t keys)
{
    vf sum[HDL__QUERY_BLOCK][VALUE_VECTORS], v[VALUE_VECTORS];
    for (int i = 0; i < n; i++)
        for (int b = 0; b < vectors; b++) sum[i][b] = vf_load(&st->acc[i][c + b * HDL__VF_LANES]);
    for (int32_t j = 0; j < keys; j++) {
        for (int i = 0; i < n; i++) {
            const int64_t at = a->v_off[i] + c;
            for (int b = 0; b < vectors && (apart || i == 0); b++)
                v[b] = part > 0 ? kv_load_part(st->v[j], at, part, bf16) : kv_load(st->v[j], at + b * HDL__VF_LANES, bf16);
            const vf p = vf_set(st->p[i][j]);
            for (int b = 0; b < vectors; b++) sum[i][b] = vf_fma(p, v[b], sum[i][b]);
        }
    }
    for (int i = 0; i < n; i++)
        for (int b = 0; b < vectors; b++) vf_store(&st->acc[i][c + b * HDL__VF_LANES], sum[i][b]);
}

/* All columns, for a number of queries that is known when compiled. */
HDL__INLINE void add_tile(const hdl__attend *a, attend_state *st, bool apart, bool bf16, int n, int32_t keys)
{
    const int32_t D = a->D;
    int32_t c = 0;
    for (; c + VALUE_VECTORS * HDL__VF_LANES <= D; c += VALUE_VECTORS * HDL__VF_LANES)
        add_values(a, st, apart, bf16, n, VALUE_VECTORS, c, 0, keys);
    for (; c + HDL__VF_LANES <= D; c += HDL__VF_LANES) add_values(a, st, apart, bf16, n, 1, c, 0, keys);
    if (c < D) add_values(a, st, apart, bf16, n, 1, c, D - c, keys);
}

HDL__INLINE void add_some(const hdl__attend *a, attend_state *st, bool apart, bool bf16, int32_t keys)
{
    switch (a->n_queries) {
    case 1: add_tile(a, st, apart, bf16, 1, keys); break;
    case 2: add_tile(a, st, apart, bf16, 2, keys); break;
    case 3: add_tile(a, st, apart, bf16, 3, keys); break;
    default: add_tile(a, st, apart, bf16, HDL__QUERY_BLOCK, keys); break;
    }
}

HDL__INLINE void add_any(const hdl__attend *a, attend_state *st, bool bf16, int32_t keys)
{
    if (a->apart && a->n_queries > 1) add_some(a, st, true, bf16, keys);
    else add_some(a, st, false, bf16, keys);
}

HDL__INLINE int32_t start_queries(const hdl__attend *a, attend_state *st)
{
    int32_t n_keys = 0;
    for (int i = 0; i < a->n_queries; i++) {
        const vf scale = vf_set(a->scale);
        int32_t d = 0;
        for (; d + HDL__VF_LANES <= a->D; d += HDL__VF_LANES) vf_store(&st->q[i][d], vf_load(a->q[i] + d) * scale);
        if (d < a->D) vf_store(&st->q[i][d], vf_load_part(a->q[i] + d, a->D - d) * scale);
        for (d = 0; d < a->D; d += HDL__VF_LANES) vf_store(&st->acc[i][d], vf_set(0.0f));
        st->max[i] = -INFINITY;
        st->sum[i] = vf_set(0.0f);
        if (a->seen[i] > n_keys) n_keys = a->seen[i];
    }
    return n_keys;
}

HDL__INLINE void finish_query(hdl__attend *a, const attend_state *st, int i)
{
    a->max[i] = st->max[i];
    a->sum[i] = sum_lanes(st->sum[i]);
    const vf inverse = vf_set(a->seen[i] > 0 ? 1.0f / a->sum[i] : 0.0f);
    int32_t d = 0;
    for (; d + HDL__VF_LANES <= a->D; d += HDL__VF_LANES) vf_store(a->out[i] + d, vf_load(&st->acc[i][d]) * inverse);
    if (d < a->D) vf_store_part(a->out[i] + d, vf_load(&st->acc[i][d]) * inverse, a->D - d);
}

HDL__INLINE void attend_any_blocks(hdl__attend *a, bool bf16)
{
    attend_state st;
    const int32_t n_keys = start_queries(a, &st);
    for (int32_t t0 = 0; t0 < n_keys; t0 += HDL__KEY_TILE) {
        const int32_t n = n_keys - t0 < HDL__KEY_TILE ? n_keys - t0 : HDL__KEY_TILE;
        score_blocks(a, &st, bf16, t0, n);
        for (int i = 0; i < a->n_queries; i++) soften(a, &st, i, t0, n);
        for (int32_t j = 0; j < n; j++)
            st.v[j] = kv_at(a->v[(t0 + j) / HDL__KEY_BLOCK], (j % HDL__KEY_BLOCK) * a->ldv, bf16);
        add_any(a, &st, bf16, n);
    }
    for (int i = 0; i < a->n_queries; i++) finish_query(a, &st, i);
}

HDL__INLINE void attend_any_keys(hdl__attend *a, bool bf16)
{
    attend_state st;
    const int32_t n_keys = start_queries(a, &st);
    for (int32_t t0 = 0; t0 < n_keys; t0 += HDL__KEY_TILE) {
        const int32_t n = n_keys - t0 < HDL__KEY_TILE ? n_keys - t0 : HDL__KEY_TILE;
        score_keys(a, &st, bf16, t0, n);
        for (int i = 0; i < a->n_queries; i++) soften(a, &st, i, t0, n);
        for (int32_t j = 0; j < n; j++) st.v[j] = a->v[t0 + j];
        add_any(a, &st, bf16, n);
    }
    for (int i = 0; i < a->n_queries; i++) finish_query(a, &st, i);
}

static void attend_blocks(hdl__attend *a)
{
    if (a->bf16) attend_any_blocks(a, true);
    else attend_any_blocks(a, false);
}

static void attend_keys(hdl__attend *a)
{
    if (a->bf16) attend_any_keys(a, true);
    else attend_any_keys(a, false);
}

static void add_probabilities(const float *scores, int32_t n, float max, float factor, float *to)
{
    for (int32_t j = 0; j < n; j += HDL__VF_LANES) {
        const vf p = vf_exp(vf_load(scores + j) - vf_set(max)) * vf_set(factor);
        if (j + HDL__VF_LANES <= n) vf_store(to + j, vf_load(to + j) + p);
        else vf_store_part(to + j, vf_load_part(to + j, n - j) + p, n - j);
    }
}

#endif
