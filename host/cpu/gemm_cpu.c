/*
 * gemm_cpu.c - products with packed weights, by blocks of rows and strips of columns.
 *
 * Rows are taken 64 at a time; of one block every strip is multiplied and finished (bias, activation, residual)
 * while it is in the L1. Strips may be run by any thread: they write disjoint columns, and a strip's bits do not
 * depend on who ran it.
 */
#include "cpu/gemm_onednn.h"
#include "cpu/gemm_weight.h"

#include <assert.h>
#include <string.h>

#define HDL__ROW_STEP_MOST 16   /* of any method's row_step */

/* Bytes from one prepared row to the next: whole cache lines, and one more so that rows of K = 1024 do not share one
 * cache set. */
static int64_t prepared_bytes(const hdl_weight *w)
{
    const int32_t planes = w->method->planes > 0 ? w->method->planes : 1;
    return hdl__round_up(w->padded * w->method->x_bytes * planes, HDL__CACHE_LINE) + HDL__CACHE_LINE;
}

size_t hdl__gemm_scratch_bytes(const hdl_backend_device *device, const hdl_stream_limits *limits)
{
    const size_t rows = (size_t)(limits->M > HDL__ROW_BLOCK ? limits->M : HDL__ROW_BLOCK);
    /* three planes of 16 bits are the widest prepared form; K is padded to a cache line of each at most, and the row to
     * another with one more */
    const size_t row_bytes = (size_t)limits->K * 3 * sizeof(uint16_t) + 5 * (size_t)HDL__CACHE_LINE;
    const size_t ours = (rows + HDL__ROW_STEP_MOST) * (row_bytes + sizeof(float)) + 4 * (size_t)HDL__CACHE_LINE;
    return ours + hdl__onednn_scratch_bytes(device, limits);
}

/* Rows m0 .. m0 + M of x (or those that `rows` names) in the form that the weights' method multiplies. */
static hdl__prepared prepare_rows(hdl_backend_stream *stream, size_t *used, const hdl_weight *w, const float *x,
                                  int64_t ldx, const int32_t *rows, int32_t M)
{
    const hdl__gemm_method *method = w->method;
    if (method->prepare == NULL && rows == NULL) return (hdl__prepared){w, x, NULL, ldx, M};
    const size_t row_bytes = (size_t)prepared_bytes(w);
    const int32_t held = method->row_step > 0 ? hdl__round_up(M, method->row_step) : M;
    float *unscale = hdl__cpu_carve(stream, used, (size_t)M * sizeof(float));
    uint8_t *to = hdl__cpu_carve(stream, used, (size_t)held * row_bytes);
    for (int32_t m = 0; m < M; ++m) {
        const float *from = x + (rows ? rows[m] : m) * ldx;
        if (method->prepare == NULL) memcpy(to + (size_t)m * row_bytes, from, (size_t)w->K * sizeof(float));
        else method->prepare(from, w->K, w->padded, to + (size_t)m * row_bytes, &unscale[m]);
    }
    /* the scale until here */
    for (int32_t m = 0; w->compute == HDL_COMPUTE_INT8 && m < M; ++m) unscale[m] = 1.0f / unscale[m];
    return (hdl__prepared){w, to, unscale, (int64_t)row_bytes / method->x_bytes, M};
}

hdl__prepared hdl__cpu_prepare(hdl_backend_stream *stream, size_t *used, const hdl_weight *w, const float *x,
                               int64_t ldx, const int32_t *rows, int32_t M)
{
    return prepare_rows(stream, used, w, x, ldx, rows, M);
}

/* Rows m0 .. m0 + M of the prepared ones and one strip. */
static hdl__gemm_tile tile_of(const hdl__prepared *x, int32_t strip, int32_t m0, int32_t M)
{
    const hdl_weight *w = x->w;
    const hdl__gemm_method *method = w->method;
    const int64_t n0 = (int64_t)strip * method->width;
    return (hdl__gemm_tile){
        .x = (const uint8_t *)x->rows + m0 * x->ld * method->x_bytes, .ldx = x->ld,
        .x_unscale = x->unscale ? x->unscale + m0 : NULL,
        .w = w->strips + n0 * w->padded * method->w_bytes,
        .next = w->strips + (strip + 1 < w->n_strips ? n0 + method->width : 0) * w->padded * method->w_bytes,
        .w_unscale = w->unscale ? w->unscale + n0 : NULL, .w_start = w->start ? w->start + n0 : NULL,
        .M = M, .K = w->padded, .columns = hdl__strip_columns(w, strip),
    };
}

/* Their product; y [M, columns of the strip]. */
static void multiply_strip(const hdl__prepared *x, int32_t strip, int32_t m0, int32_t M, float *y, int64_t ldy,
                           const hdl__gemm_finish *finish)
{
    hdl__gemm_tile tile = tile_of(x, strip, m0, M);
    tile.y = y;
    tile.ldy = ldy;
    tile.finish = finish;
    x->w->method->multiply(&tile);
}

/* A strip whose padding, or whose columns past n1, would run over what follows goes through a tile of its own. */
void hdl__cpu_panel(hdl_backend_stream *stream, const hdl__prepared *x, int32_t n0, int32_t n1, float *y, int64_t ldy)
{
    (void)stream;
    _Alignas(HDL__CACHE_LINE) float tile[HDL__ROW_BLOCK * HDL__MAX_WIDTH];
    const int32_t width = x->w->method->width;
    for (int32_t m0 = 0; m0 < x->M; m0 += HDL__ROW_BLOCK) {
        const int32_t M = x->M - m0 < HDL__ROW_BLOCK ? x->M - m0 : HDL__ROW_BLOCK;
        for (int32_t n = n0; n < n1; n += width) {
            const int32_t strip = n / width, live = n1 - n < width ? n1 - n : width;
            float *to = y + m0 * ldy + (n - n0);
            if (live == width && hdl__strip_columns(x->w, strip) == width) {
                multiply_strip(x, strip, m0, M, to, ldy, NULL);
                continue;
            }
            multiply_strip(x, strip, m0, M, tile, HDL__MAX_WIDTH, NULL);
            const size_t row_bytes = (size_t)live * sizeof(float);
            for (int32_t m = 0; m < M; ++m) memcpy(to + m * ldy, tile + m * HDL__MAX_WIDTH, row_bytes);
        }
    }
}

const float *hdl__cpu_sum_scales(const hdl_weight *w) { return w->method->sums ? w->unscale : NULL; }

void hdl__cpu_panel_sums(const hdl__prepared *x, int32_t n0, int32_t *y)
{
    assert(x->M <= HDL__ROW_BLOCK && x->w->method->width == HDL__PANEL_COLUMNS);
    hdl__gemm_tile tile = tile_of(x, n0 / HDL__PANEL_COLUMNS, 0, x->M);
    tile.y = (float *)(void *)y;
    tile.ldy = HDL__PANEL_COLUMNS;
    tile.sums = true;
    x->w->method->multiply(&tile);
}

/* One block of rows, shared by strips. */
typedef struct hdl__gemm_block { const hdl_gemm_args *a; hdl__prepared x; int32_t m0; } hdl__gemm_block;

static void run_strip(void *user, int32_t strip)
{
    const hdl__gemm_block *block = user;
    const hdl_gemm_args *a = block->a;
    _Alignas(HDL__CACHE_LINE) float tile[HDL__ROW_BLOCK * HDL__MAX_WIDTH];
    const int32_t width = a->w->method->width, n0 = strip * width, m0 = block->m0;
    const hdl__gemm_finish finish = {
        .tile = tile, .ld_tile = HDL__MAX_WIDTH, .bias = a->bias ? a->bias + n0 : NULL,
        .residual = a->residual ? (const float *)a->residual + m0 * a->ldr + n0 : NULL, .ldr = a->ldr,
        .y = (float *)a->y + m0 * a->ldy + n0, .ldy = a->ldy,
        .M = block->x.M, .columns = a->N - n0 < width ? a->N - n0 : width, .act = a->act,
    };
    if (a->w->method->finishes) {
        multiply_strip(&block->x, strip, 0, block->x.M, NULL, 0, &finish);
        return;
    }
    multiply_strip(&block->x, strip, 0, block->x.M, tile, HDL__MAX_WIDTH, NULL);
    a->w->device->kernels->gemm.finish(&finish);
}

static hdl_status multiply_block(hdl_backend_stream *stream, const hdl_gemm_args *a, int32_t m0, int32_t M)
{
    if (a->w->library != NULL) return hdl__onednn_multiply(stream, a, m0, M);
    size_t used = 0;
    const float *x = (const float *)a->x + (a->rows ? 0 : m0 * a->ldx);
    hdl__gemm_block block = {a, prepare_rows(stream, &used, a->w, x, a->ldx, a->rows ? a->rows + m0 : NULL, M), m0};
    hdl__cpu_share(stream, a->w->n_strips, run_strip, &block);
    return HDL_OK;
}

static hdl_status run_gemm(hdl_backend_stream *stream, const void *args)
{
    const hdl_gemm_args *a = args;
    int32_t live = a->M;
    if (a->count != NULL) live = *a->count < 0 ? 0 : *a->count < a->M ? *a->count : a->M;
    hdl_status status = HDL_OK;
    for (int32_t m0 = 0; m0 < live && status == HDL_OK; m0 += HDL__ROW_BLOCK)
        status = multiply_block(stream, a, m0, live - m0 < HDL__ROW_BLOCK ? live - m0 : HDL__ROW_BLOCK);
    return status;
}

hdl_status hdl__cpu_gemm(hdl_backend_stream *stream, const hdl_gemm_args *args)
{
    hdl_status status = HDL_OK;
    if (hdl__cpu_record(stream, run_gemm, args, sizeof *args, &status)) return status;
    return run_gemm(stream, args);
}
