/* gemm_halves.c - strips of f32 to halves and back: gemm_halves.h. */
#include "cpu/gemm_halves.h"

#include <string.h>

#define UPPER 0xffff0000u

enum { BLOCK = 16, PAIRS = HDL__HALVES_STEP / 2 };     /* columns of a block, pairs of k of a step */

static float value_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* What is left of a number above its upper half: exact. */
static uint32_t rest_of(float value) { return bits_of(value - value_of(bits_of(value) & UPPER)); }

bool hdl__gemm_has_halves(const hdl_weight *w)
{
    const size_t n = w->strips_bytes / sizeof(float), stretch = HDL__HALVES_STEP * BLOCK;
    const float *values = (const float *)(const void *)w->strips;
    if (w->device->kernels->gemm.f32_halves == NULL || w->padded % HDL__HALVES_STEP != 0) return false;
    for (size_t first = 0; first < n; first += stretch) {       /* most matrices that have none show it at once */
        uint32_t lost = 0;
        for (size_t i = first; i < first + stretch; ++i) lost |= rest_of(values[i]) & ~UPPER;
        if (lost != 0) return false;
    }
    return true;
}

static void halve_strip(const float *from, int32_t columns, int32_t K, uint32_t *to)
{
    for (int32_t k = 0; k < K; k += HDL__HALVES_STEP)
        for (int32_t n = 0; n < columns; n += BLOCK, to += 2 * PAIRS * BLOCK) {
            const float *step = from + (int64_t)k * columns + n;
            for (int32_t i = 0; i < PAIRS * BLOCK; ++i) {
                const float *pair = step + (int64_t)(i / BLOCK) * 2 * columns + i % BLOCK;
                to[i] = bits_of(pair[0]) >> 16 | (bits_of(pair[columns]) & UPPER);
                to[PAIRS * BLOCK + i] = rest_of(pair[0]) >> 16 | (rest_of(pair[columns]) & UPPER);
            }
        }
}

void hdl__gemm_halve(hdl_weight *w, float *room)
{
    for (int32_t strip = 0; strip < w->n_strips; ++strip) {
        const int32_t columns = hdl__strip_columns(w, strip);
        void *words = w->strips + (int64_t)strip * w->method->width * w->padded * w->method->w_bytes;
        memcpy(room, words, (size_t)columns * (size_t)w->padded * sizeof *room);
        halve_strip(room, columns, w->padded, words);
    }
    w->method = w->device->kernels->gemm.f32_halves;
}

void hdl__gemm_join(const hdl_weight *w, int32_t n, int32_t k, int32_t count, float *to)
{
    const int32_t strip = n / w->method->width, columns = hdl__strip_columns(w, strip);
    const int32_t column = n - strip * w->method->width;
    const uint32_t *from = (const uint32_t *)(const void *)w->strips + (int64_t)strip * w->method->width * w->padded
                         + (int64_t)k * columns + column / BLOCK * 2 * PAIRS * BLOCK + column % BLOCK;
    for (int32_t i = 0; i < count; ++i) {
        const uint32_t *pair = from + (int64_t)(i / HDL__HALVES_STEP) * columns * HDL__HALVES_STEP
                             + i % HDL__HALVES_STEP / 2 * BLOCK;
        const uint32_t upper = pair[0], rest = pair[PAIRS * BLOCK];
        to[i] = i % 2 == 0 ? value_of(upper << 16) + value_of(rest << 16) : value_of(upper & UPPER) + value_of(rest & UPPER);
    }
}
