/* op_maxima.c - row maxima as they should be, found by looking at every element of the rows. */
#include "op_maxima.h"

#include <criterion/criterion.h>
#include <math.h>

static const float HIGH = 0x1p60f;  /* no row of a test is as large, but those that are infinite */

static float before(int32_t i) { return i % 3 == 2 ? HIGH : 0.0f; }

float *op_maxima(op_world *w, int32_t n)
{
    if (w->backend->row_maxima == 0) return NULL;
    const size_t bytes = (size_t)n * sizeof(float);
    float *values = op_host(w, bytes);
    for (int32_t i = 0; i < n; i++) values[i] = before(i);
    return op_device(w, values, bytes);
}

static float top_of(const float *row, int32_t width)
{
    float top = 0.0f;
    for (int32_t e = 0; e < width; e++) {
        if (isnan(row[e])) return NAN;
        if (fabsf(row[e]) > top) top = fabsf(row[e]);
    }
    return top;
}

void op_maxima_check(op_world *w, const float *maxima, const float *rows, int64_t ld, int32_t width, int32_t n, const bool *live,
                     bool raised)
{
    if (maxima == NULL) return;
    float *found = op_host(w, (size_t)n * sizeof *found);
    op_fetch(w, found, maxima, (size_t)n * sizeof *found);
    for (int32_t i = 0; i < n; i++) {
        float expected = top_of(rows + i * ld, width);
        if (raised && before(i) > expected) expected = before(i);
        if (live != NULL && !live[i]) expected = before(i);
        cr_assert(isnan(expected) ? isnan(found[i]) : found[i] == expected, "%s: greatest magnitude of row %d is noted as %g, not %g",
                  op_place_name(w->place), i, (double)found[i], (double)expected);
    }
}
