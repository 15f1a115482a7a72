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
    const float *v[HDL__KEY_TILE];                  /* value rows of the tile */
} attend_state;

/* Scores of n queries against one block k [D, 16]. */
HDL__INLINE void score_block(attend_state *st, int first, int n, const float *k, int32_t D, int32_t to)
{
    vf even[SCORE_QUERIES][BLOCK_VECTORS], odd[SCORE_QUERIES][BLOCK_VECTORS];
    for (int i = 0; i < n; i++)
        for (int b = 0; b < BLOCK_VECTORS; b++) even[i][b] = odd[i][b] = vf_set(0.0f);
    for (int32_t d = 0; d < D; d += 2) {
        for (int b = 0; b < BLOCK_VECTORS; b++) {
            const vf k0 = vf_load(k + d * HDL__KEY_BLOCK + b * HDL__VF_LANES);
            const vf k1 = vf_load(k + (d + 1) * HDL__KEY_BLOCK + b * HDL__VF_LANES);
            for (int i = 0; i < n; i++) {
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
HDL__INLINE void score_blocks(const hdl__attend *a, attend_state *st, int32_t t0, int32_t n)
{
    for (int32_t j = 0; j < n; j += HDL__KEY_BLOCK) {
        const float *k = a->k[(t0 + j) / HDL__KEY_BLOCK] + a->k_off;
        int i = 0;
        for (; i + SCORE_QUERIES <= a->n_queries; i += SCORE_QUERIES)
            score_block(st, i, SCORE_QUERIES, k, a->D, j);
        for (; i < a->n_queries; i++) score_block(st, i, 1, k, a->D, j);
    }
}

/* The same against single keys: as many at once as a register has lanes. */
HDL__INLINE void score_keys(const hdl__attend *a, attend_state *st, int32_t t0, int32_t n)
{
    const int32_t whole = a->D / HDL__VF_LANES * HDL__VF_LANES, part = a->D - whole;
    for (int32_t j = 0; j < n; j += HDL__VF_LANES) {
        const float *k[HDL__VF_LANES];      /* past the last key the last again: its scores are never looked at */
        for (int l = 0; l < HDL__VF_LANES; l++) k[l] = a->k[t0 + (j + l < n ? j + l : n - 1)] + a->k_off;
        for (int i = 0; i < a->n_queries; i++) {
            vf dot[HDL__VF_LANES];
            for (int l = 0; l < HDL__VF_LANES; l++) dot[l] = vf_set(0.0f);
            for (int32_t d = 0; d < whole; d += HDL__VF_LANES) {
                const vf q = vf_load(&st->q[i][d]);
                for (int l = 0; l < HDL__VF_LANES; l++) dot[l] = vf_fma(q, vf_load(k[l] + d), dot[l]);
            }
            if (part > 0) {
                const vf q = vf_load(&st->q[i][whole]);
                for (int l = 0; l < HDL__VF_LANES; l++) dot[l] = vf_fma(q, vf_load_part(k[l] + whole, part), dot[l]);
            }
            vf_store(&st->p[i][j], sum_rows(dot));
        }
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

/* acc[i][c..) += p V for n queries and `vectors` registers of columns; `part` lanes of the last one, 0: all. */
HDL__INLINE void add_values(attend_state *st, int n, int vectors, int32_t c, int32_t part, int32_t keys)
{
    vf sum[HDL__QUERY_BLOCK][VALUE_VECTORS], v[VALUE_VECTORS];
    for (int i = 0; i < n; i++)
        for (int b = 0; b < vectors; b++) sum[i][b] = vf_load(&st->acc[i][c + b * HDL__VF_LANES]);
    for (int32_t j = 0; j < keys; j++) {
        for (int b = 0; b < vectors; b++)
            v[b] = part > 0 ? vf_load_part(st->v[j] + c, part) : vf_load(st->v[j] + c + b * HDL__VF_LANES);
        for (int i = 0; i < n; i++) {
            const vf p = vf_set(st->p[i][j]);
            for (int b = 0; b < vectors; b++) sum[i][b] = vf_fma(p, v[b], sum[i][b]);
        }
    }
    for (int i = 0; i < n; i++)
        for (int b = 0; b < vectors; b++) vf_store(&st->acc[i][c + b * HDL__VF_LANES], sum[i][b]);
}

/* All columns, for a number of queries that is known when compiled. */
HDL__INLINE void add_tile(attend_state *st, int n, int32_t D, int32_t keys)
{
    int32_t c = 0;
    for (; c + VALUE_VECTORS * HDL__VF_LANES <= D; c += VALUE_VECTORS * HDL__VF_LANES)
        add_values(st, n, VALUE_VECTORS, c, 0, keys);
    for (; c + HDL__VF_LANES <= D; c += HDL__VF_LANES) add_values(st, n, 1, c, 0, keys);
    if (c < D) add_values(st, n, 1, c, D - c, keys);
}

HDL__INLINE void add_any(attend_state *st, int n, int32_t D, int32_t keys)
{
    switch (n) {
    case 1: add_tile(st, 1, D, keys); break;
    case 2: add_tile(st, 2, D, keys); break;
    case 3: add_tile(st, 3, D, keys); break;
    default: add_tile(st, HDL__QUERY_BLOCK, D, keys); break;
    }
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

static void attend_blocks(hdl__attend *a)
{
    attend_state st;
    const int32_t n_keys = start_queries(a, &st);
    for (int32_t t0 = 0; t0 < n_keys; t0 += HDL__KEY_TILE) {
        const int32_t n = n_keys - t0 < HDL__KEY_TILE ? n_keys - t0 : HDL__KEY_TILE;
        score_blocks(a, &st, t0, n);
        for (int i = 0; i < a->n_queries; i++) soften(a, &st, i, t0, n);
        for (int32_t j = 0; j < n; j++)
            st.v[j] = a->v[(t0 + j) / HDL__KEY_BLOCK] + a->v_off + (j % HDL__KEY_BLOCK) * a->ldv;
        add_any(&st, a->n_queries, a->D, n);
    }
    for (int i = 0; i < a->n_queries; i++) finish_query(a, &st, i);
}

static void attend_keys(hdl__attend *a)
{
    attend_state st;
    const int32_t n_keys = start_queries(a, &st);
    for (int32_t t0 = 0; t0 < n_keys; t0 += HDL__KEY_TILE) {
        const int32_t n = n_keys - t0 < HDL__KEY_TILE ? n_keys - t0 : HDL__KEY_TILE;
        score_keys(a, &st, t0, n);
        for (int i = 0; i < a->n_queries; i++) soften(a, &st, i, t0, n);
        for (int32_t j = 0; j < n; j++) st.v[j] = a->v[t0 + j] + a->v_off;
        add_any(&st, a->n_queries, a->D, n);
    }
    for (int i = 0; i < a->n_queries; i++) finish_query(a, &st, i);
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
