/* test_embed.c - on every backend: embedding rows of every stored dtype at odd addresses, positions, ids of -1. */
#include "op_maxima.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(embed, .timeout = OP_TEST_SECONDS);

enum { V = 11, POSITIONS = 6, M = 7, SCHEDULES = 8 };

typedef struct embed_row {
    hdl_dtype dtype;
    int32_t   E, n_scale;           /* scales of the table: none, one, one a row */
    bool      positions, transposed;
    float     scale;
} embed_row;

static const embed_row table[] = {
    {HDL_F32, 64, 0, true, false, 8.0f},  {HDL_F32, 1, 0, false, false, 1.0f},   {HDL_F16, 256, 0, true, false, 16.0f},
    {HDL_F16, 20, 1, true, true, 1.0f},   {HDL_BF16, 40, 0, false, false, 2.0f}, {HDL_I8, 36, V, true, false, 6.0f},
    {HDL_I8, 256, 1, false, false, 1.0f}, {HDL_I16, 33, 1, true, false, 1.0f},   {HDL_I16, 64, V, true, true, 3.0f},
};

/* Bits of a stored value, and what they mean, written independently of the library. */
static double store_value(op_world *w, hdl_dtype dtype, uint8_t *to)
{
    const float f = op_normal(w);
    const int16_t i16 = (int16_t)(op_below(w, 65535) - 32767);
    const int8_t i8 = (int8_t)(op_below(w, 255) - 127);
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    const uint16_t high = (uint16_t)(bits >> 16);
    const uint16_t half = (uint16_t)op_below(w, 0x7c00) | (uint16_t)(op_below(w, 2) << 15);    /* finite, subnormal or not */
    const double fraction = (half & 0x3ff) / 1024.0, sign = half >> 15 ? -1.0 : 1.0;
    const int exponent = (half >> 10) & 31;
    switch (dtype) {
    case HDL_F32: memcpy(to, &f, 4); return (double)f;
    case HDL_F16: memcpy(to, &half, 2); return sign * (exponent == 0 ? ldexp(fraction, -14) : ldexp(1.0 + fraction, exponent - 15));
    case HDL_BF16: memcpy(to, &high, 2); bits &= 0xffff0000u; { float v; memcpy(&v, &bits, 4); return (double)v; }
    case HDL_I8: memcpy(to, &i8, 1); return i8;
    default: memcpy(to, &i16, 2); return i16;
    }
}

static size_t size_of(hdl_dtype dtype) { return dtype == HDL_F32 ? 4 : dtype == HDL_I8 ? 1 : 2; }

typedef struct embed_case {
    hdl_embedding *table;
    double         value[V * 256];      /* [V, E], as stored over scale */
    float         *positions;
} embed_case;

static void make_case(op_world *w, const embed_row *row, embed_case *c)
{
    const size_t E = (size_t)row->E, size = size_of(row->dtype);
    uint8_t *bytes = (uint8_t *)op_host(w, V * E * size + 1) + 1;   /* odd address */
    float scale[V];
    for (int32_t v = 0; v < V; v++) scale[v] = 1.0f + (float)op_uniform(w) * 100.0f;
    for (size_t v = 0; v < V; v++)
        for (size_t e = 0; e < E; e++) {
            c->value[v * E + e] = store_value(w, row->dtype, bytes + (row->transposed ? e * V + v : v * E + e) * size);
            if (row->n_scale > 0) c->value[v * E + e] /= (double)scale[row->n_scale == 1 ? 0 : v];
        }
    const hdl_pack_part part = {bytes, row->dtype, V, row->transposed, row->n_scale > 0 ? scale : NULL, row->n_scale};
    cr_assert_eq(w->backend->embedding_open(w->device, &part, row->E, &c->table), HDL_OK);
    c->positions = op_normals(w, POSITIONS * E);
}

static void check_embedding(const op_world *w, const embed_row *row, const embed_case *c, const float *y, int32_t id,
                            int32_t pos)
{
    /* half a place of the value that is written, and of the least ones */
    const double step = op_act_step(w), least = w->act == HDL_F16 ? 0x1p-25 : 1e-45;
    for (int32_t e = 0; e < row->E; e++) {
        double expected = id < 0 ? 0.0 : c->value[id * row->E + e] * (double)row->scale;
        const double size = fabs(expected);
        if (row->positions) expected += (double)c->positions[pos * row->E + e];
        if (w->act == HDL_F16 && fabs(expected) >= 65520.0) {   /* half a place past the greatest f16 */
            cr_assert_eq((double)y[e], expected < 0.0 ? (double)-INFINITY : (double)INFINITY);
            continue;
        }
        const double error = fabs((double)y[e] - expected);
        const double inner = (4.0 * size + fabs(expected)) * 0x1p-24;
        const double allowed = inner + (fabs(expected) + inner) * step + least;
        cr_assert(error <= allowed, "id %d, element %d: %g, not %g", id, e, (double)y[e], expected);
    }
}

static void check_row(op_world *w, const embed_row *row)
{
    static embed_case c;
    static const int32_t ids[M] = {0, -1, 10, 3, 3, 7, 1}, pos[M] = {0, 1, 5, 2, 3, 4, 4};
    make_case(w, row, &c);
    const size_t E = (size_t)row->E;
    float *y = op_host(w, M * E * sizeof *y), *marks = op_copies(w, M * E, 9.0f);
    hdl_embed_args a = {
        .struct_bytes = sizeof a, .table = c.table, .n_positions = POSITIONS, .ids = op_device(w, ids, sizeof ids),
        .pos = op_device(w, pos, sizeof pos), .y = op_act(w, NULL, M * E), .M = M, .E = row->E, .scale = row->scale,
        .positions = row->positions ? op_device(w, c.positions, POSITIONS * E * sizeof(float)) : NULL,
        .act_dtype = w->act,
    };
    enum { ZEROED = 1300, KEPT = 3 };   /* more than the threads of all blocks */
    float *ones = op_copies(w, ZEROED + KEPT, 1.0f);
    a.y_max = op_maxima(w, M);
    if (a.y_max != NULL) {
        a.zero = op_device(w, ones, (ZEROED + KEPT) * sizeof *ones);
        a.n_zero = ZEROED;
    }
    cr_assert_eq(w->backend->embed(w->stream, &a), HDL_OK);
    op_act_fetch(w, y, a.y, M * E);
    op_maxima_check(w, a.y_max, y, row->E, row->E, M, NULL, false);
    if (a.zero != NULL) op_fetch(w, ones, a.zero, (ZEROED + KEPT) * sizeof *ones);
    for (int32_t i = 0; a.zero != NULL && i < ZEROED + KEPT; i++) cr_assert_eq(ones[i], i < ZEROED ? 0.0f : 1.0f, "float %d", i);
    for (int32_t i = 0; i < M; i++) check_embedding(w, row, &c, y + (size_t)i * E, ids[i], pos[i]);

    op_slots s = {.n = 3};      /* by rows: slot 1 is done, the last row is past the count */
    for (int32_t i = 0; i < 3; i++) s.options[i] = op_options(4, 8, 4);
    s.state[1].done = 1;
    for (int32_t i = 0; i < 3 * HDL_MAX_BEAM; i++) s.token[i] = op_below(w, V + 1) - 1;
    op_slots_make(w, &s, V);
    op_slots_send(w, &s);
    op_rows rows = op_rows_make(w, M);
    for (int32_t i = 0; i < 6; i++) op_row_add(&rows, i / 2, i % 2 * 3, i / 2 + 1);
    op_rows_send(w, &rows);
    a.ids = a.pos = NULL;
    a.slots = &s.at;
    a.rows = &rows.at;
    a.zero = NULL;
    a.n_zero = 0;
    a.y_max = op_maxima(w, M);
    op_act_send(w, a.y, marks, M * E);
    cr_assert_eq(w->backend->embed(w->stream, &a), HDL_OK);
    op_act_fetch(w, y, a.y, M * E);
    const bool live[M] = {true, true, false, false, true, true};
    op_maxima_check(w, a.y_max, y, row->E, row->E, M, live, false);
    for (int32_t i = 0; i < 6; i++) {
        if (i / 2 == 1) cr_assert_eq(y[(size_t)i * E], 9.0f, "a row of a done slot was written");
        else check_embedding(w, row, &c, y + (size_t)i * E, s.token[i / 2 * HDL_MAX_BEAM + i % 2 * 3], i / 2 + 1);
    }
    cr_assert_eq(y[6 * E], 9.0f, "a row past the count was written");
    w->backend->embedding_close(c.table);
}

static void check_table(op_place place)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        op_world w;
        if (!op_open_at(&w, place, 500 + i)) return;
        for (uint64_t seed = 1; seed <= (op_on_simt(&w) && table[i].E <= 20 ? SCHEDULES : 1); seed++) {
            op_schedule(&w, seed);
            check_row(&w, &table[i]);
        }
        w.backend->embedding_close(NULL);
        op_close(&w);
    }
}

Test(embed, plain) { check_table(OP_PLAIN); }
Test(embed, avx2) { check_table(OP_AVX2); }
Test(embed, avx512) { check_table(OP_AVX512); }
Test(embed, simt_f32) { check_table(OP_SIMT_F32); }
Test(embed, simt_bf16) { check_table(OP_SIMT_BF16); }
Test(embed, simt_f16) { check_table(OP_SIMT_F16); }
Test(embed, cuda_f32) { check_table(OP_CUDA_F32); }
Test(embed, cuda_bf16) { check_table(OP_CUDA_BF16); }
Test(embed, cuda_f16) { check_table(OP_CUDA_F16); }

/* All 65,536 halves as each backend's own conversion, and as arithmetic, reads them. */
Test(embed, every_half)
{
    static uint16_t halves[65536];
    static float y[OP_N_PLACES][65536];
    int n = 0;
    for (size_t i = 0; i < 65536; i++) halves[i] = (uint16_t)i;
    for (int i = 0; i < OP_N_PLACES; i++) {
        op_world w;
        if (!op_open_at(&w, (op_place)i, 1)) continue;
        if (w.act != HDL_F32) {
            op_close(&w);
            continue;
        }
        const hdl_pack_part part = {halves, HDL_F16, 256, 0, NULL, 0};
        hdl_embedding *all = NULL;
        cr_assert_eq(w.backend->embedding_open(w.device, &part, 256, &all), HDL_OK);
        int32_t ids[256];
        for (int32_t id = 0; id < 256; id++) ids[id] = id;
        const hdl_embed_args a = {.struct_bytes = sizeof a, .table = all, .ids = op_device(&w, ids, sizeof ids),
                                  .y = op_device(&w, NULL, sizeof y[0]), .M = 256, .E = 256, .scale = 1.0f};
        cr_assert_eq(w.backend->embed(w.stream, &a), HDL_OK);
        op_fetch(&w, y[n++], a.y, sizeof y[0]);
        w.backend->embedding_close(all);
        op_close(&w);
    }
    for (size_t i = 0; i < 65536; i++) {
        const int exponent = (int)(i >> 10) & 31;
        const double fraction = (double)(i & 0x3ff) / 1024.0, sign = i >> 15 ? -1.0 : 1.0;
        const double value = sign * (exponent == 0 ? ldexp(fraction, -14) : ldexp(1.0 + fraction, exponent - 15));
        for (int k = 0; k < n; k++) {
            if (exponent < 31) cr_assert_eq((double)y[k][i], value, "half 0x%04zx is %g, not %g", i, (double)y[k][i], value);
            else cr_assert(fraction == 0.0 ? isinf(y[k][i]) : isnan(y[k][i]), "half 0x%04zx", i);
        }
    }
}

/* Rows of a packed weight are what products see: one-hot inputs give them column by column. */
static void check_tied(op_world *w, int32_t N, int32_t E, hdl_compute compute)
{
    const size_t size = (size_t)E * (size_t)E;
    float *values = op_normals(w, (size_t)(N * E)), *hot = op_copies(w, size, 0.0f), *positions = op_normals(w, (size_t)(2 * E));
    float *columns = op_host(w, (size_t)(E * N) * sizeof *columns), *y = op_host(w, (size_t)(2 * N * E) * sizeof *y);
    int32_t *ids = op_host(w, 2 * (size_t)N * sizeof *ids), *pos = op_host(w, 2 * (size_t)N * sizeof *pos);
    for (int32_t e = 0; e < E; e++) hot[e * E + e] = 1.0f;
    for (int32_t i = 0; i < 2 * N; i++) ids[i] = i / 2, pos[i] = i % 2;
    hdl_weight *weight = op_pack(w, values, N, E, compute);
    hdl_embedding *tied = NULL;
    cr_assert_eq(w->backend->embedding_of(w->device, weight, E + 1, &tied), HDL_ESHAPE);
    cr_assert_eq(w->backend->embedding_of(w->device, weight, E, &tied), HDL_OK);
    const hdl_gemm_args product = {.struct_bytes = sizeof product, .x = hot, .ldx = E, .w = weight, .y = columns, .ldy = N, .M = E, .N = N, .K = E};
    cr_assert_eq(w->backend->gemm(w->stream, &product), HDL_OK);
    hdl_embed_args a = {.struct_bytes = sizeof a, .table = tied, .n_positions = 2, .ids = ids, .pos = pos, .positions = positions, .y = y,
                        .M = 2 * N, .E = E, .scale = 3.0f};
    cr_assert_eq(w->backend->embed(w->stream, &a), HDL_OK);
    for (int32_t i = 0; i < 2 * N; i++)
        for (int32_t e = 0; e < E; e++) {
            const double value = 3.0 * (double)columns[e * N + ids[i]], expected = value + (double)positions[pos[i] * E + e];
            const double error = fabs((double)y[i * E + e] - expected), allowed = (8.0 * fabs(value) + fabs(expected)) * 0x1p-24;
            cr_assert(error <= allowed, "row %d, element %d: %g, not %g", ids[i], e, (double)y[i * E + e], expected);
        }
    w->backend->embedding_close(tied);
    w->backend->weight_close(weight);
}

Test(embed, rows_of_packed_weights)
{
    static const op_place places[] = {OP_PLAIN, OP_AVX2, OP_AVX512, OP_CPU_AUTO};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        op_world w;
        if (!op_open_at(&w, places[i], 90)) continue;
        const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = 300, .K = 300, .N = 150};
        op_reserve(&w, &limits);
        for (int k = 0; k < 2; k++) {
            const hdl_compute compute = k == 0 ? HDL_COMPUTE_F32 : HDL_COMPUTE_INT8;
            check_tied(&w, 150, 4, compute);
            check_tied(&w, 64, 64, compute);
            check_tied(&w, 67, 300, compute);
        }
        hdl_weight *bf16 = op_pack(&w, op_normals(&w, 64), 8, 8, HDL_COMPUTE_BF16);
        hdl_embedding *none = NULL;
        cr_assert_eq(w.backend->embedding_of(w.device, bf16, 8, &none), HDL_ENOSUPPORT);
        w.backend->weight_close(bf16);
        op_close(&w);
    }
}
