/*
 * gemm_amx.c - products by tiles of 16 rows (AMX): int8 and bf16, weights laid out as for the dot instructions.
 *
 * A tile holds 16 rows of 64 bytes. One instruction adds the product of 16 rows of inputs and 16 columns of weights
 * over 64 int8 or 32 bf16 k, in the same time however few rows count, so a block is always multiplied as whole tiles;
 * rows past M are whatever stands in the scratch, and are dropped. int8 sums are exact. bf16 (Intel SDM vol. 2,
 * TDPBF16PS: no subnormals): of 32 k even and odd ones are summed apart, then both and the sum so far; K ascends
 * without chunks. So a row's bits depend on that row and the weights alone.
 */
#include "cpu/simd/gemm_simd.h"
#include "cpu/simd/tile_sums.h"

#if defined(HDL__ISA_AVX512)

enum {
    BYTE_GROUP = 4,     /* bytes of one column side by side: 4 int8 or 2 bf16 */
    FEW_ROWS = 4,       /* int8: up to here VNNI, whose sums are the same, reads the weights faster */
};

/* Tiles by number, as instructions want them: sums 0 to 3, two blocks of inputs, two of weights. */
#define SUM_A0 0
#define SUM_A1 1
#define SUM_B0 2
#define SUM_B1 3
#define IN_A   4
#define IN_B   5
#define W_0    6
#define W_1    7

/* Memory of LDTILECFG (Intel SDM vol. 1, 18.3). */
typedef struct tile_shapes {
    uint8_t  palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t  rows[16];
} tile_shapes;

static const tile_shapes whole_tiles = {
    .palette = 1,
    .row_bytes = {TILE_BYTES, TILE_BYTES, TILE_BYTES, TILE_BYTES,
                  TILE_BYTES, TILE_BYTES, TILE_BYTES, TILE_BYTES},
    .rows = {TILE, TILE, TILE, TILE, TILE, TILE, TILE, TILE},
};

/*
 * The shape of tiles belongs to the thread, and other code of the application may change it. Reading it takes a tenth
 * of the time of setting it. Volatile, as the intrinsic tells the compiler of 8 of the 64 bytes only.
 */
void hdl__shape_tiles(void)
{
    enum { WORDS = sizeof(tile_shapes) / sizeof(uint64_t) };
    _Alignas(TILE_BYTES) volatile uint64_t now[WORDS] = {0};
    uint64_t wanted[WORDS], differs = 0;
    memcpy(wanted, &whole_tiles, sizeof wanted);
    _tile_storeconfig((void *)(uintptr_t)now);
    for (int i = 0; i < WORDS; ++i) differs |= now[i] ^ wanted[i];
    if (differs != 0) _tile_loadconfig(&whole_tiles);
}

/* Instructions that K takes. */
HDL__INLINE int32_t count_steps(const hdl__gemm_tile *t, const bool exact)
{
    return t->K / (TILE_BYTES / (exact ? 1 : 2));
}

/* One step of K for two blocks of rows and two of columns; `exact`: int8. */
HDL__INLINE void add_square(const uint8_t *x, int64_t below, int64_t ldx, const uint8_t *w, int64_t ldw,
                            const bool exact)
{
    _tile_loadd(IN_A, x, ldx);
    _tile_loadd(W_0, w, ldw);
    _tile_loadd(IN_B, x + below, ldx);
    _tile_loadd(W_1, w + TILE_BYTES, ldw);
    if (exact) {
        _tile_dpbssd(SUM_A0, IN_A, W_0);
        _tile_dpbssd(SUM_B0, IN_B, W_0);
        _tile_dpbssd(SUM_A1, IN_A, W_1);
        _tile_dpbssd(SUM_B1, IN_B, W_1);
    } else {
        _tile_dpbf16ps(SUM_A0, IN_A, W_0);
        _tile_dpbf16ps(SUM_B0, IN_B, W_0);
        _tile_dpbf16ps(SUM_A1, IN_A, W_1);
        _tile_dpbf16ps(SUM_B1, IN_B, W_1);
    }
}

/* One step of K for one block of rows and up to four of columns. */
HDL__INLINE void add_row(const uint8_t *x, int64_t ldx, const uint8_t *w, int64_t ldw, const int n, const bool exact)
{
    _tile_loadd(IN_A, x, ldx);
    _tile_loadd(W_0, w, ldw);
    if (exact) _tile_dpbssd(0, IN_A, W_0);
    else _tile_dpbf16ps(0, IN_A, W_0);
    if (n < 2) return;
    _tile_loadd(W_1, w + TILE_BYTES, ldw);
    if (exact) _tile_dpbssd(1, IN_A, W_1);
    else _tile_dpbf16ps(1, IN_A, W_1);
    if (n < 3) return;
    _tile_loadd(W_0, w + 2 * TILE_BYTES, ldw);
    if (exact) _tile_dpbssd(2, IN_A, W_0);
    else _tile_dpbf16ps(2, IN_A, W_0);
    if (n < 4) return;
    _tile_loadd(W_1, w + 3 * TILE_BYTES, ldw);
    if (exact) _tile_dpbssd(3, IN_A, W_1);
    else _tile_dpbf16ps(3, IN_A, W_1);
}

/* One call's work. One buffer of sums will do: what it held is written by the time that the next are left there. */
typedef struct tile_job {
    const hdl__gemm_tile *t;
    tile_target       to;
    tile_sums         pending;
    const uint8_t    *ahead;        /* of the next strip, fetched into the L2 `lines` a step */
    int32_t           lines;
    _Alignas(TILE_BYTES) uint8_t sums[4 * TILE * TILE_BYTES];
} tile_job;

HDL__INLINE void write_pending(tile_job *job, const bool exact)
{
    if (job->pending.rows == 0) return;
    if (exact) write_int8(&job->pending, &job->to);
    else write_bf16(&job->pending, &job->to);
    job->pending.rows = 0;
}

/* The buffer for the next sums, `columns` tiles wide. */
HDL__INLINE uint8_t *leave_sums(tile_job *job, int32_t m0, int32_t n0, int32_t most_rows, int32_t vectors)
{
    const int32_t left = job->t->M - m0;
    job->pending = (tile_sums){job->sums, vectors * TILE_BYTES, m0, n0, left < most_rows ? left : most_rows, vectors};
    return job->sums;
}

/* Up to 32 rows from m0 on and 32 columns from n0 on. */
HDL__INLINE void multiply_square(tile_job *job, int32_t m0, int32_t n0, const bool exact, const bool sums)
{
    const hdl__gemm_tile *t = job->t;
    const int64_t ldx = t->ldx * (exact ? 1 : 2), ldw = (int64_t)t->columns * BYTE_GROUP;
    const uint8_t *x = (const uint8_t *)t->x + m0 * ldx, *w = (const uint8_t *)t->w + n0 * BYTE_GROUP;
    const int32_t steps = count_steps(t, exact);
    _tile_zero(SUM_A0);
    _tile_zero(SUM_A1);
    _tile_zero(SUM_B0);
    _tile_zero(SUM_B1);
    const uint8_t *ahead = job->ahead;
    job->ahead += steps * job->lines * TILE_BYTES;
    for (int32_t s = 0; s < steps; ++s, x += TILE_BYTES, w += TILE * ldw) {
        for (int32_t l = 0; l < job->lines; ++l, ahead += TILE_BYTES) _mm_prefetch((const char *)ahead, _MM_HINT_T1);
        add_square(x, TILE * ldx, ldx, w, ldw, exact);
        write_pending(job, exact);
    }
    const int64_t ld = sums ? t->ldy * (int64_t)sizeof *t->y : 2 * TILE_BYTES;
    uint8_t *to = sums ? (uint8_t *)(t->y + m0 * t->ldy + n0) : leave_sums(job, m0, n0, 2 * TILE, 2);
    _tile_stored(SUM_A0, to, ld);
    _tile_stored(SUM_A1, to + TILE_BYTES, ld);
    _tile_stored(SUM_B0, to + TILE * ld, ld);
    _tile_stored(SUM_B1, to + TILE * ld + TILE_BYTES, ld);
}

/* Up to 16 rows from m0 on and n blocks of columns from n0 on. */
HDL__INLINE void multiply_row(tile_job *job, int32_t m0, int32_t n0, const int n, const bool exact, const bool sums)
{
    const hdl__gemm_tile *t = job->t;
    const int64_t ldx = t->ldx * (exact ? 1 : 2), ldw = (int64_t)t->columns * BYTE_GROUP;
    const uint8_t *x = (const uint8_t *)t->x + m0 * ldx, *w = (const uint8_t *)t->w + n0 * BYTE_GROUP;
    const int32_t steps = count_steps(t, exact);
    const int64_t ld = sums ? t->ldy * (int64_t)sizeof *t->y : n * TILE_BYTES;
    _tile_zero(0);
    if (n > 1) _tile_zero(1);
    if (n > 2) _tile_zero(2);
    if (n > 3) _tile_zero(3);
    for (int32_t s = 0; s < steps; ++s, x += TILE_BYTES, w += TILE * ldw) {
        add_row(x, ldx, w, ldw, n, exact);
        write_pending(job, exact);
    }
    uint8_t *to = sums ? (uint8_t *)(t->y + m0 * t->ldy + n0) : leave_sums(job, m0, n0, TILE, n);
    _tile_stored(0, to, ld);
    if (n > 1) _tile_stored(1, to + TILE_BYTES, ld);
    if (n > 2) _tile_stored(2, to + 2 * TILE_BYTES, ld);
    if (n > 3) _tile_stored(3, to + 3 * TILE_BYTES, ld);
}

static void open_target(const hdl__gemm_tile *t, tile_target *to)
{
    const hdl__gemm_finish *f = t->finish;
    to->x_unscale = t->x_unscale;
    to->w_unscale = t->w_unscale;
    to->bias = f ? f->bias : NULL;
    to->residual = f ? f->residual : NULL;
    to->ldr = f ? f->ldr : 0;
    to->y = f ? f->y : t->y;
    to->ldy = f ? f->ldy : t->ldy;
    to->live = f ? f->columns : t->columns;
    to->act = f ? f->act : HDL_ACT_NONE;
}

/* Two blocks of rows at a time as long as there are two; the last one alone takes all columns at once. `sums`: nothing follows. */
HDL__INLINE void multiply_strip(const hdl__gemm_tile *t, const bool exact, const bool sums)
{
    const int32_t blocks = (t->M + TILE - 1) / TILE, paired = blocks / 2 * 2 * TILE;
    const int32_t vectors = t->columns / TILE;
    tile_job job;
    job.t = t;
    job.pending.rows = 0;
    open_target(t, &job.to);
    job.ahead = t->next;
    const int32_t squares = vectors / 2 * (paired / (2 * TILE));
    job.lines = squares > 0 ? (TILE * vectors + squares - 1) / squares : 0;     /* a step of K has 16 lines in each vector of columns */
    hdl__shape_tiles();
    for (int32_t v = 0; v + 1 < vectors; v += 2)
        for (int32_t m = 0; m < paired; m += 2 * TILE) multiply_square(&job, m, v * TILE, exact, sums);
    for (int32_t m = 0; vectors % 2 == 1 && m < paired; m += TILE)
        multiply_row(&job, m, (vectors - 1) * TILE, 1, exact, sums);
    if (paired < t->M) {
        switch (vectors) {
        case 1: multiply_row(&job, paired, 0, 1, exact, sums); break;
        case 2: multiply_row(&job, paired, 0, 2, exact, sums); break;
        case 3: multiply_row(&job, paired, 0, 3, exact, sums); break;
        default: multiply_row(&job, paired, 0, 4, exact, sums); break;
        }
    }
    write_pending(&job, exact);
}

static void multiply_few(const hdl__gemm_tile *t)
{
    _Alignas(TILE_BYTES) float sums[FEW_ROWS * HDL__TILE_WIDTH];
    hdl__gemm_tile raw = *t;
    if (t->finish != NULL) {
        raw.y = sums;
        raw.ldy = HDL__TILE_WIDTH;
    }
    hdl__multiply_int8_signed(&raw);
    if (t->finish == NULL) return;
    hdl__gemm_finish finish = *t->finish;
    finish.tile = sums;
    finish.ld_tile = HDL__TILE_WIDTH;
    HDL__GEMM_FINISH(&finish);
}

static void multiply_int8(const hdl__gemm_tile *t)
{
    if (t->M <= FEW_ROWS) multiply_few(t);
    else if (t->sums) multiply_strip(t, true, true);
    else multiply_strip(t, true, false);
}

static void multiply_bf16(const hdl__gemm_tile *t) { multiply_strip(t, false, false); }

const hdl__gemm_method hdl__gemm_int8_amx = {
    .width = HDL__TILE_WIDTH, .lanes = HDL__VF_LANES, .group = BYTE_GROUP, .k_step = TILE_BYTES,
    .row_step = TILE, .sums = true, .finishes = true, .w_bytes = sizeof(int8_t), .x_bytes = sizeof(uint8_t), .offset = true,
    .prepare = hdl__prepare_int8_signed, .multiply = multiply_int8,
};

const hdl__gemm_method hdl__gemm_bf16_amx = {
    .width = HDL__TILE_WIDTH, .lanes = HDL__VF_LANES, .group = 2, .k_step = TILE_BYTES / 2,
    .row_step = TILE, .finishes = true, .w_bytes = sizeof(uint16_t), .x_bytes = sizeof(uint16_t),
    .prepare = hdl__prepare_bf16_pairs, .multiply = multiply_bf16,
};

#endif
