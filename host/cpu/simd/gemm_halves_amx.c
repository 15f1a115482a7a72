/*
 * gemm_halves_amx.c - f32 products by bf16 tiles (AMX), for weights that are the sum of two bf16 numbers (gemm_halves.h).
 *
 * A row of inputs is split into three bf16 numbers of 8 bits each: x = h + m + l, w = h + m, and a product is hh + (hm +
 * mh) + (mm + lh); what is left out, lm, is below 2^-23 of it (Henry, Tang and Heinecke 2019, arXiv 1904.06376). Inputs
 * are rounded, not cut, so that what is left out has no bias. Five tile instructions take a third of the time of the
 * multiply-adds that they replace. All go to one sum, in one order for every number of rows: so a row's bits depend on
 * that row and the weights alone. Sums are f32; the instruction takes subnormals as 0.
 */
#include "cpu/simd/gemm_simd.h"
#include "cpu/simd/tile_sums.h"

#if defined(HDL__ISA_AVX512)

#define HDL__ROUNDS __attribute__((target("avx512bf16")))

enum {
    STEP = 32,              /* k of one instruction */
    PAIRS = STEP / 2,       /* rows of a tile of weights: two k of 16 columns */
    PLANES = 3,
    SUMS = 4,               /* tiles that hold sums */
    SUMS_BYTES = SUMS * TILE * TILE_BYTES,
    TERMS = 5,
    CHUNK_STEPS = 16,       /* sums start anew after so many: in one sum, 4096 positive numbers are 4 times as wrong */
};

/* Tiles by number: sums 0 to 3, then inputs and weights. */
enum { X_0 = 4, X_1, W_0, W_1 };

/* Which part of x meets which of w. The greatest product is the last, so that in the first step nothing is rounded as
 * coarsely before it; neighbours share a part, which saves a load. */
typedef struct term { int x, w; } term;
enum { HIGH, MIDDLE, LOW };
static const term terms[TERMS] = {{LOW, HIGH}, {MIDDLE, HIGH}, {MIDDLE, MIDDLE}, {HIGH, MIDDLE}, {HIGH, HIGH}};

HDL__INLINE void load_tile(const int tile, const uint8_t *from, int64_t ld)
{
    switch (tile) {
    case X_0: _tile_loadd(4, from, ld); break;
    case X_1: _tile_loadd(5, from, ld); break;
    case W_0: _tile_loadd(6, from, ld); break;
    default:  _tile_loadd(7, from, ld); break;
    }
}

/* The instruction wants its tiles as literals. */
HDL__INLINE void add_product(const int sum, const int x, const int w)
{
    switch (4 * sum + 2 * (x - X_0) + w - W_0) {
    case 0:  _tile_dpbf16ps(0, 4, 6); break;
    case 1:  _tile_dpbf16ps(0, 4, 7); break;
    case 2:  _tile_dpbf16ps(0, 5, 6); break;
    case 3:  _tile_dpbf16ps(0, 5, 7); break;
    case 4:  _tile_dpbf16ps(1, 4, 6); break;
    case 5:  _tile_dpbf16ps(1, 4, 7); break;
    case 6:  _tile_dpbf16ps(1, 5, 6); break;
    case 7:  _tile_dpbf16ps(1, 5, 7); break;
    case 8:  _tile_dpbf16ps(2, 4, 6); break;
    case 9:  _tile_dpbf16ps(2, 4, 7); break;
    case 10: _tile_dpbf16ps(2, 5, 6); break;
    case 11: _tile_dpbf16ps(2, 5, 7); break;
    case 12: _tile_dpbf16ps(3, 4, 6); break;
    case 13: _tile_dpbf16ps(3, 4, 7); break;
    case 14: _tile_dpbf16ps(3, 5, 6); break;
    default: _tile_dpbf16ps(3, 5, 7); break;
    }
}

HDL__INLINE void zero_tile(const int tile)
{
    switch (tile) {
    case 0:  _tile_zero(0); break;
    case 1:  _tile_zero(1); break;
    case 2:  _tile_zero(2); break;
    default: _tile_zero(3); break;
    }
}

HDL__INLINE void store_tile(const int tile, uint8_t *to, int64_t ld)
{
    switch (tile) {
    case 0:  _tile_stored(0, to, ld); break;
    case 1:  _tile_stored(1, to, ld); break;
    case 2:  _tile_stored(2, to, ld); break;
    default: _tile_stored(3, to, ld); break;
    }
}

/* Tiles of one step: plane p of block i of rows or columns stands at from + p * plane + i * apart. */
typedef struct plane_step { const uint8_t *from; int64_t ld, plane, apart; } plane_step;

/* Term i of one step of K, for `rows` blocks of rows and `columns` blocks of columns; all three are constants. A tile
 * that the term before has left is not loaded again. */
HDL__INLINE void add_term(const plane_step *x, const plane_step *w, const int i, const int rows, const int columns)
{
    const bool same_x = i > 0 && terms[i > 0 ? i - 1 : 0].x == terms[i].x && rows <= 2;
    const bool same_w = i > 0 && terms[i > 0 ? i - 1 : 0].w == terms[i].w && columns <= 2;
#pragma GCC unroll 4
    for (int c = 0; c < columns; ++c) {
        const int w_tile = c % 2 == 0 ? W_0 : W_1;
        if (!same_w) load_tile(w_tile, w->from + terms[i].w * w->plane + c * w->apart, w->ld);
#pragma GCC unroll 4
        for (int r = 0; r < rows; ++r) {
            const int x_tile = r % 2 == 0 ? X_0 : X_1;
            if (!same_x && c == 0) load_tile(x_tile, x->from + terms[i].x * x->plane + r * x->apart, x->ld);
            add_product(r * columns + c, x_tile, w_tile);
        }
    }
}

/* The first step of the rows from m0 on; the next one is TILE_BYTES further. */
HDL__INLINE plane_step plan_inputs(const hdl__gemm_tile *t, int32_t m0)
{
    const int64_t ld = t->ldx * (int64_t)sizeof(uint16_t);
    return (plane_step){(const uint8_t *)t->x + m0 * ld, ld, t->K * (int64_t)sizeof(uint16_t), TILE * ld};
}

HDL__INLINE void zero_sums(const int n)
{
#pragma GCC unroll 4
    for (int i = 0; i < n; ++i) zero_tile(i);
}

HDL__INLINE void store_sums(uint8_t *to, const int rows, const int columns)
{
    const int ld = columns * TILE_BYTES;
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
        for (int c = 0; c < columns; ++c) store_tile(r * columns + c, to + r * TILE * ld + c * TILE_BYTES, ld);
}

/* Sums on their way to y. One buffer will do: what it held is written by the time that the next are left there. */
typedef struct plane_sums {
    tile_target to;
    tile_sums   pending;
    _Alignas(TILE_BYTES) uint8_t data[SUMS_BYTES];
    _Alignas(TILE_BYTES) uint8_t chunk[SUMS_BYTES], chunks[SUMS_BYTES];     /* the last one; the sum of those before */
} plane_sums;

HDL__INLINE void open_sums(plane_sums *sums, const hdl__gemm_tile *t)
{
    const hdl__gemm_finish *f = t->finish;
    sums->to = (tile_target){.y = f ? f->y : t->y, .ldy = f ? f->ldy : t->ldy, .live = f ? f->columns : t->columns,
                             .act = f ? f->act : HDL_ACT_NONE, .bias = f ? f->bias : NULL,
                             .residual = f ? f->residual : NULL, .ldr = f ? f->ldr : 0};
    sums->pending.rows = 0;
}

static void add_sums(uint8_t *to, const uint8_t *from, int32_t bytes)
{
    for (int32_t i = 0; i < bytes; i += TILE_BYTES)
        _mm512_store_ps(to + i, _mm512_add_ps(_mm512_load_ps(to + i), _mm512_load_ps(from + i)));
}

/* Chunk `n` is complete, and more follow. */
HDL__INLINE void end_chunk(plane_sums *sums, int32_t n, const int rows, const int columns)
{
    store_sums(n == 0 ? sums->chunks : sums->chunk, rows, columns);
    zero_sums(rows * columns);
    if (n > 0) add_sums(sums->chunks, sums->chunk, rows * columns * TILE * TILE_BYTES);
}

HDL__INLINE void leave_sums(plane_sums *sums, const hdl__gemm_tile *t, int32_t m0, int32_t n0, const int rows,
                            const int columns)
{
    const int32_t left = t->M - m0, most = rows * TILE;
    sums->pending = (tile_sums){sums->data, columns * TILE_BYTES, m0, n0, left < most ? left : most, columns};
    store_sums(sums->data, rows, columns);
}

HDL__INLINE void write_pending(plane_sums *sums)
{
    if (sums->pending.rows == 0) return;
    write_bf16(&sums->pending, &sums->to);
    sums->pending.rows = 0;
}

/* Rows from m0 on and columns from n0 on. One block of rows waits for its weights: those of the next step are fetched. */
HDL__INLINE void multiply_block(plane_sums *sums, const hdl__gemm_tile *t, int32_t m0, int32_t n0, const int rows,
                                const int columns)
{
    const int64_t step_bytes = t->columns * STEP * (int64_t)sizeof(float);
    plane_step x = plan_inputs(t, m0);
    plane_step w = {(const uint8_t *)t->w + n0 * STEP * (int64_t)sizeof(float), TILE_BYTES, PAIRS * TILE_BYTES,
                    2 * PAIRS * TILE_BYTES};
    const int32_t steps = t->K / STEP;
    zero_sums(rows * columns);
    for (int32_t s = 0; s < steps; ++s, x.from += TILE_BYTES, w.from += step_bytes) {
        const uint8_t *ahead = w.from + step_bytes;
#pragma GCC unroll 5
        for (int i = 0; i < TERMS; ++i) {
            add_term(&x, &w, i, rows, columns);
            for (int l = 0; rows == 1 && l < columns * STEP / TERMS; ++l, ahead += TILE_BYTES)
                _mm_prefetch((const char *)ahead, _MM_HINT_T0);
        }
        write_pending(sums);
        if (s % CHUNK_STEPS == CHUNK_STEPS - 1 && s + 1 < steps) end_chunk(sums, s / CHUNK_STEPS, rows, columns);
    }
    leave_sums(sums, t, m0, n0, rows, columns);
    if (steps > CHUNK_STEPS) add_sums(sums->pending.data, sums->chunks, rows * columns * TILE * TILE_BYTES);
}

/* Four sums at a time, where the strip is wide enough: one after the other would wait for itself. */
static void multiply_halves(const hdl__gemm_tile *t)
{
    const int32_t blocks = (t->M + TILE - 1) / TILE, paired = blocks / 2 * 2 * TILE, vectors = t->columns / TILE;
    plane_sums sums;
    open_sums(&sums, t);
    hdl__shape_tiles();
    for (int32_t v = 0; v < vectors; v += 2)
        for (int32_t m = 0; m < paired; m += 2 * TILE) {
            if (v + 1 < vectors) multiply_block(&sums, t, m, v * TILE, 2, 2);
            else multiply_block(&sums, t, m, v * TILE, 2, 1);
        }
    if (paired < t->M) {
        switch (vectors) {
        case 1:  multiply_block(&sums, t, paired, 0, 1, 1); break;
        case 2:  multiply_block(&sums, t, paired, 0, 1, 2); break;
        case 3:  multiply_block(&sums, t, paired, 0, 1, 3); break;
        default: multiply_block(&sums, t, paired, 0, 1, 4); break;
        }
    }
    write_pending(&sums);
}

/* To the nearest number of 8 bits; of two, the one farther from 0. */
HDL__INLINE vf round_high(vf x)
{
    return (vf)(((vu)x + (vu)vi_set(0x8000)) & (vu)vi_set((int32_t)0xffff0000u));
}

HDL__INLINE HDL__ROUNDS void store_halves(uint16_t *to, vf first, vf second)
{
    _mm512_storeu_si512(to, (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first));
}

/* Three rows of bf16. Numbers that would round to infinity take the greatest one; of infinity and NaN the last part is NaN. */
static HDL__ROUNDS void prepare_planes(const float *x, int32_t K, int32_t padded, void *out, float *scale)
{
    enum { KEEP_SIGN_TAKE_SMALLER = 2 };    /* vrangeps: the smaller magnitude, the sign of the first */
    (void)K;        /* the same as padded: only such matrices have halves */
    (void)scale;
    uint16_t *to = out;
    const __m512 greatest = _mm512_castsi512_ps(_mm512_set1_epi32(0x7f7f0000));
    for (int32_t k = 0; k < padded; k += STEP, to += STEP) {
        vf rest[2], high[2], middle[2];
        for (int i = 0; i < 2; ++i) {
            const vf value = vf_load(x + k + i * HDL__VF_LANES);
            high[i] = (vf)_mm512_range_ps((__m512)round_high(value), greatest, KEEP_SIGN_TAKE_SMALLER);
            rest[i] = value - high[i];
            middle[i] = round_high(rest[i]);
            rest[i] -= middle[i];
        }
        store_halves(to + HIGH * padded, high[0], high[1]);
        store_halves(to + MIDDLE * padded, middle[0], middle[1]);
        store_halves(to + LOW * padded, rest[0], rest[1]);
    }
}

const hdl__gemm_method hdl__gemm_f32_halves = {
    .width = HDL__TILE_WIDTH, .lanes = HDL__VF_LANES, .group = 1, .k_step = STEP, .row_step = TILE, .planes = PLANES,
    .finishes = true, .halves = true, .w_bytes = sizeof(float), .x_bytes = sizeof(uint16_t),
    .prepare = prepare_planes, .multiply = multiply_halves,
};

#endif
