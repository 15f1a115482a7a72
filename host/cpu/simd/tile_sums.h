/*
 * tile_sums.h - sums that AMX tiles have left in memory, on their way to y: scale, bias, activation, residual.
 *
 * They are written when the first instructions of the next tiles have been given, so that nobody waits for their way to memory; all
 * at once, as a few at a time would load scales and the constants of an activation again and again.
 */
#ifndef HEDDLE_HOST_SIMD_TILE_SUMS_H
#define HEDDLE_HOST_SIMD_TILE_SUMS_H

#include "cpu/simd/gemm_simd.h"
#include "cpu/simd/vec_activation.h"

#if defined(HDL__ISA_AVX512)

enum {
    TILE = 16,          /* rows of a tile, and columns of its sums */
    TILE_BYTES = 64,    /* of a tile's row; also the bytes of k that one instruction adds */
};
#define ALL_LANES 0xffffu

/* Where sums go and what follows them: hdl__gemm_finish, or nothing. */
typedef struct tile_target {
    const float   *bias, *residual;     /* of the strip's first column; or NULL */
    float         *y;
    int64_t        ldr, ldy;
    int32_t        live;                /* columns that may be written */
    hdl_activation act;
    const float   *x_unscale, *w_unscale;   /* int8 */
} tile_target;

/* Sums that tiles have left in memory, to be written while the next ones are multiplied. */
typedef struct tile_sums {
    uint8_t *data;
    int64_t  ld;
    int32_t  m0, n0, rows, vectors;     /* rows 0: none */
} tile_sums;

/* One vector of sums, finished. */
HDL__INLINE vf finish_lanes(const uint8_t *sums, vf unscale, vf w_unscale, vf bias, const bool has_bias,
                            const hdl_activation act, const bool exact)
{
    const __m512i sum = _mm512_load_si512(sums);
    vf real = (vf)sum;
    if (exact) real = (vf)_mm512_cvtepi32_ps(sum) * unscale * w_unscale;
    if (has_bias) real += bias;
    return vf_activate(real, act);
}

/* `vectors` columns; the last one has `live` columns. All but s, to and live are constants. */
HDL__INLINE void write_rows(const tile_sums *s, const tile_target *to, const int vectors, __mmask16 live,
                            const hdl_activation act, const bool exact, const bool has_bias, const bool has_residual)
{
    const int64_t ldr = to->ldr, ldy = to->ldy, ld = s->ld;
    const uint8_t *from = s->data;
    const float *unscale = exact ? to->x_unscale + s->m0 : NULL, *residual = to->residual;
    float *y = to->y + s->m0 * ldy + s->n0;
    vf bias[HDL__TILE_VECTORS], w_unscale[HDL__TILE_VECTORS];
    if (has_residual) residual += s->m0 * ldr + s->n0;
    for (int v = 0; v < vectors; ++v) {
        const __mmask16 mask = (__mmask16)(v + 1 < vectors ? ALL_LANES : live);
        bias[v] = has_bias ? (vf)_mm512_maskz_loadu_ps(mask, to->bias + s->n0 + v * TILE) : vf_set(0.0f);
        w_unscale[v] = exact ? vf_load(to->w_unscale + s->n0 + v * TILE) : vf_set(0.0f);
    }
    for (int32_t r = 0; r < s->rows; ++r, from += ld, y += ldy) {
        const vf x_unscale = exact ? vf_set(unscale[r]) : vf_set(0.0f);
        for (int v = 0; v < vectors; ++v) {
            const __mmask16 mask = (__mmask16)(v + 1 < vectors ? ALL_LANES : live);
            vf real = finish_lanes(from + v * TILE_BYTES, x_unscale, w_unscale[v], bias[v], has_bias, act, exact);
            if (has_residual) real += (vf)_mm512_maskz_loadu_ps(mask, residual + v * TILE);
            _mm512_mask_storeu_ps(y + v * TILE, mask, (__m512)real);
        }
        if (has_residual) residual += ldr;
    }
}

/* Blocks of one or two vectors of columns: squares, and the row that is left. */
HDL__INLINE void write_act(const tile_sums *s, const tile_target *to, const hdl_activation act,
                           const bool exact)
{
    const int32_t columns = to->live - s->n0, last = columns % TILE == 0 ? TILE : columns % TILE;
    const int32_t all = (columns + TILE - 1) / TILE, vectors = all < s->vectors ? all : s->vectors;
    const __mmask16 live = (__mmask16)(all <= s->vectors ? (1u << last) - 1u : ALL_LANES);
    const bool has_bias = to->bias != NULL;
    if (vectors == 2 && to->residual == NULL && !has_bias) write_rows(s, to, 2, live, act, exact, false, false);
    else if (vectors == 2 && to->residual == NULL) write_rows(s, to, 2, live, act, exact, true, false);
    else if (vectors == 2) write_rows(s, to, 2, live, act, exact, has_bias, true);
    else if (vectors == 1) write_rows(s, to, 1, live, act, exact, has_bias, to->residual != NULL);
    else if (vectors == 3) write_rows(s, to, 3, live, act, exact, has_bias, to->residual != NULL);
    else write_rows(s, to, 4, live, act, exact, has_bias, to->residual != NULL);
}

HDL__INLINE void write_some(const tile_sums *s, const tile_target *to, const bool exact)
{
    switch (to->act) {
    case HDL_ACT_NONE:         write_act(s, to, HDL_ACT_NONE, exact); break;
    case HDL_ACT_RELU:         write_act(s, to, HDL_ACT_RELU, exact); break;
    case HDL_ACT_GELU_TANH:    write_act(s, to, HDL_ACT_GELU_TANH, exact); break;
    case HDL_ACT_SWISH:        write_act(s, to, HDL_ACT_SWISH, exact); break;
    case HDL_ACT_GELU_ERF:     write_act(s, to, HDL_ACT_GELU_ERF, exact); break;
    case HDL_ACT_GELU_SIGMOID: write_act(s, to, HDL_ACT_GELU_SIGMOID, exact); break;
    case HDL_ACT_TANH:         write_act(s, to, HDL_ACT_TANH, exact); break;
    case HDL_ACT_SIGMOID:      write_act(s, to, HDL_ACT_SIGMOID, exact); break;
    case HDL_N_ACTIVATIONS:    break;
    }
}

static __attribute__((noinline, unused)) void write_int8(const tile_sums *s, const tile_target *to)
{
    write_some(s, to, true);
}

static __attribute__((noinline, unused)) void write_bf16(const tile_sums *s, const tile_target *to)
{
    write_some(s, to, false);
}

#endif
#endif
