/* test_attention.c - packed attention against double: shapes, masks, groups, probabilities, neighbours, schedules. */
#include "op_attention.h"
#include "op_maxima.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

TestSuite(attention, .timeout = OP_TEST_SECONDS);

enum { MAX_SEQUENCES = 6, SEEDS = 8 };

typedef struct packed_row {
    int32_t  D, H, Hkv, n_seq;
    int32_t  Tq[MAX_SEQUENCES], Tk[MAX_SEQUENCES];
    hdl_mask mask;
    int32_t  probs_first, probs_heads;      /* heads 0: no probabilities asked for */
} packed_row;

static const packed_row table[] = {
    {64, 4, 4, 1, {1}, {1}, HDL_MASK_NONE, 0, 0},
    {64, 4, 4, 3, {5, 1, 12}, {5, 1, 12}, HDL_MASK_NONE, 0, 4},
    {64, 4, 4, 3, {5, 17, 40}, {5, 17, 40}, HDL_MASK_CAUSAL, 2, 1},
    {64, 4, 2, 2, {100, 33}, {100, 33}, HDL_MASK_NONE, 0, 0},
    {64, 3, 1, 2, {7, 129}, {65, 130}, HDL_MASK_CAUSAL, 1, 2},
    {4, 2, 2, 4, {3, 9, 16, 1}, {3, 9, 16, 1}, HDL_MASK_NONE, 0, 1},
    {4, 2, 2, 2, {20, 3}, {20, 3}, HDL_MASK_CAUSAL, 0, 2},
    {8, 3, 3, 2, {2, 31}, {64, 63}, HDL_MASK_NONE, 0, 0},
    {32, 8, 8, 2, {18, 30}, {18, 30}, HDL_MASK_NONE, 3, 2},
    {40, 2, 2, 2, {1, 3}, {128, 799}, HDL_MASK_NONE, 0, 0},
    {56, 1, 1, 1, {64}, {128}, HDL_MASK_CAUSAL, 0, 0},
    {80, 2, 1, 1, {108}, {256}, HDL_MASK_NONE, 0, 2},
    {96, 2, 2, 1, {113}, {203}, HDL_MASK_CAUSAL, 0, 0},
    {112, 1, 1, 1, {113}, {211}, HDL_MASK_NONE, 0, 0},
    {128, 1, 1, 2, {128, 239}, {217, 1}, HDL_MASK_NONE, 0, 0},
    {160, 1, 1, 1, {40}, {70}, HDL_MASK_CAUSAL, 0, 0},
    {256, 1, 1, 1, {33}, {512}, HDL_MASK_NONE, 0, 0},
    {64, 1, 1, 1, {70}, {3}, HDL_MASK_CAUSAL, 0, 1},        /* the first rows see nothing: 0 */
    {64, 2, 2, 3, {4, 2, 3}, {4, 0, 3}, HDL_MASK_NONE, 0, 2},  /* a sequence without keys: 0 */
};

/* One row of the table in memory. */
typedef struct packed_case {
    const packed_row *row;
    int32_t cu_q[MAX_SEQUENCES + 1], cu_k[MAX_SEQUENCES + 1], M, Mk, ldp;
    int64_t ldq, ldkv, ldo;
    bool    in_place;           /* out is q */
    float  *q, *k, *v, *out, *probs;
} packed_case;

static packed_case make_case(op_world *w, const packed_row *row)
{
    packed_case c = {.row = row, .ldp = 1};
    for (int32_t s = 0; s < row->n_seq; s++) {
        c.cu_q[s + 1] = c.cu_q[s] + row->Tq[s];
        c.cu_k[s + 1] = c.cu_k[s] + row->Tk[s];
        if (row->Tk[s] + 3 > c.ldp) c.ldp = row->Tk[s] + 3;
    }
    c.M = c.cu_q[row->n_seq];
    c.Mk = c.cu_k[row->n_seq];
    c.ldq = row->H * row->D + (row->n_seq == 1 ? 4 : 8);        /* rows that are aligned to 16 bytes, and others */
    c.ldkv = row->Hkv * row->D + (row->n_seq == 2 ? 3 : 8);
    c.ldo = row->H * row->D + (row->n_seq == 2 ? 3 : 0);
    c.q = op_normals(w, (size_t)(c.M * c.ldq));
    c.k = op_normals(w, (size_t)((c.Mk + 1) * c.ldkv));
    c.v = op_normals(w, (size_t)((c.Mk + 1) * c.ldkv));
    c.out = op_host(w, (size_t)(c.M * c.ldo) * sizeof(float));
    c.probs = op_copies(w, (size_t)c.M * (size_t)c.ldp, NAN);
    return c;
}

/* Runs sequences first .. first + n of a case as one call. */
static void run_case(op_world *w, const packed_case *c, int32_t first, int32_t n, float *out, float *probs)
{
    const packed_row *row = c->row;
    int32_t cu_q[MAX_SEQUENCES + 1], cu_k[MAX_SEQUENCES + 1];
    for (int32_t s = 0; s <= n; s++) {
        cu_q[s] = c->cu_q[first + s] - c->cu_q[first];
        cu_k[s] = c->cu_k[first + s] - c->cu_k[first];
    }
    const size_t M = (size_t)cu_q[n], Mk = (size_t)cu_k[n], cu_bytes = ((size_t)n + 1) * sizeof(int32_t);
    const size_t kv_size = Mk > 0 ? Mk * (size_t)c->ldkv : 1;   /* there may be no keys, but never no memory */
    const size_t out_size = M * (size_t)c->ldo, probs_bytes = M * (size_t)c->ldp * sizeof(float);
    hdl_attention_args a = {
        .struct_bytes = sizeof a, .keys = HDL_KEYS_PACKED, .mask = row->mask,
        .q = op_act(w, c->q + c->cu_q[first] * c->ldq, M * (size_t)c->ldq), .ldq = c->ldq,
        .out = op_act(w, NULL, out_size), .ldo = c->ldo,
        .M = (int32_t)M, .H = row->H, .Hkv = row->Hkv, .D = row->D, .scale = 1.0f / sqrtf((float)row->D),
        .k = op_act(w, c->k + c->cu_k[first] * c->ldkv, kv_size),
        .v = op_act(w, c->v + c->cu_k[first] * c->ldkv, kv_size), .ldkv = c->ldkv,
        .cu_q = op_device(w, cu_q, cu_bytes), .cu_k = op_device(w, cu_k, cu_bytes), .n_seq = n,
        .act_dtype = w->act,
    };
    if (c->in_place) a.out = (void *)(uintptr_t)a.q;
    float *device_probs = op_device(w, c->probs + c->cu_q[first] * c->ldp, probs_bytes);
    if (row->probs_heads > 0) {
        a.probs = device_probs;
        a.ldp = c->ldp;
        a.probs_first = row->probs_first;
        a.probs_heads = row->probs_heads;
    }
    if (!c->in_place) a.out_max = op_maxima(w, (int32_t)M);
    cr_assert_eq(w->backend->attention(w->stream, &a), HDL_OK);
    op_act_fetch(w, out, a.out, out_size);
    op_maxima_check(w, a.out_max, out, c->ldo, row->H * row->D, (int32_t)M, NULL, true);
    if (probs != NULL) op_fetch(w, probs, device_probs, probs_bytes);
}

static void set_query(const packed_case *c, op_query *query, int32_t s, int32_t i, int32_t head)
{
    const packed_row *row = c->row;
    const int64_t kv = (int64_t)(head / (row->H / row->Hkv)) * row->D;
    int32_t seen = row->Tk[s];
    if (row->mask == HDL_MASK_CAUSAL) seen = i + row->Tk[s] - row->Tq[s] + 1;
    query->q = c->q + (c->cu_q[s] + i) * c->ldq + head * row->D;
    query->D = row->D;
    query->n_keys = seen < 0 ? 0 : seen;
    query->scale = 1.0f / sqrtf((float)row->D);
    for (int32_t j = 0; j < query->n_keys; j++) {
        query->k[j] = c->k + (c->cu_k[s] + j) * c->ldkv + kv;
        query->v[j] = c->v + (c->cu_k[s] + j) * c->ldkv + kv;
    }
}

/* Probabilities: the mean over the asked heads, zero past the keys. */
static void check_probs(const packed_case *c, const float *probs)
{
    static op_query query;
    const packed_row *row = c->row;
    for (int32_t s = 0; s < row->n_seq; s++)
        for (int32_t i = 0; i < row->Tq[s]; i++) {
            double mean[OP_MAX_KEYS] = {0}, one[OP_MAX_KEYS] = {0}, unused[OP_MAX_D];
            for (int32_t h = 0; h < row->probs_heads; h++) {
                set_query(c, &query, s, i, row->probs_first + h);
                op_attend_double(&query, unused, one);
                for (int32_t j = 0; j < query.n_keys; j++) mean[j] += one[j] / row->probs_heads;
            }
            const double worst = op_worst(probs + (c->cu_q[s] + i) * c->ldp, mean, (size_t)c->ldp);
            cr_assert_lt(worst, 1e-6, "probabilities of row %d of sequence %d are %g off", i, s, worst);
        }
}

static void check_row(op_world *w, const packed_row *row)
{
    static op_query query;
    const packed_case c = make_case(w, row);
    op_attend_error error = {0.0, 0.0, 0.0};
    run_case(w, &c, 0, row->n_seq, c.out, c.probs);
    for (int32_t s = 0; s < row->n_seq; s++)
        for (int32_t i = 0; i < row->Tq[s]; i++)
            for (int32_t h = 0; h < row->H; h++) {
                set_query(&c, &query, s, i, h);
                op_attend_compare(w, &query, c.out + (c.cu_q[s] + i) * c.ldo + h * row->D, &error);
            }
    cr_assert(op_attend_is_small(&error), "D %d, H %d: error %g, naive %g, noise %g", row->D, row->H, error.found,
              error.naive, error.noise);
    if (row->probs_heads > 0) check_probs(&c, c.probs);
    for (int32_t s = 0; s < row->n_seq; s++) {      /* alone as among others */
        const size_t bytes = (size_t)row->Tq[s] * (size_t)c.ldo * sizeof(float);
        float *alone = op_host(w, bytes);
        run_case(w, &c, s, 1, alone, NULL);
        cr_assert_eq(memcmp(alone, c.out + c.cu_q[s] * c.ldo, bytes), 0, "sequence %d has other bits alone", s);
    }
}

static const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = 512, .Tk = 1024, .H = 8, .D = 256};

/* Multiplications that the stand-in does in a second or two; smaller rows reach every line of the kernels. */
static bool is_long(const packed_row *row)
{
    int32_t products = 0;
    for (int32_t s = 0; s < row->n_seq; s++) products += row->Tq[s] * row->Tk[s];
    return products * row->H * row->D > 3700000;
}

static void check_table(op_place place)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        op_world w;
        if (place >= OP_SIMT_F32 && place <= OP_SIMT_F16 && is_long(&table[i])) continue;
        if (!op_open_at(&w, place, 100 + i)) return;
        op_reserve(&w, &limits);
        check_row(&w, &table[i]);
        op_close(&w);
    }
}

Test(attention, packed_plain) { check_table(OP_PLAIN); }
Test(attention, packed_avx2) { check_table(OP_AVX2); }
Test(attention, packed_avx512) { check_table(OP_AVX512); }
Test(attention, packed_simt_f32) { check_table(OP_SIMT_F32); }
Test(attention, packed_simt_bf16) { check_table(OP_SIMT_BF16); }
Test(attention, packed_simt_f16) { check_table(OP_SIMT_F16); }
Test(attention, packed_cuda_f32) { check_table(OP_CUDA_F32); }
Test(attention, packed_cuda_bf16) { check_table(OP_CUDA_BF16); }
Test(attention, packed_cuda_f16) { check_table(OP_CUDA_F16); }

/* 50 times the same bits; out may be q; a NaN query or key stays within its sequence. */
Test(attention, repeats_aliases_and_nan)
{
    for (op_place place = 0; place < OP_N_PLACES; place++) {
        op_world w;
        if (!op_open_at(&w, place, 7)) continue;
        op_reserve(&w, &limits);
        packed_case c = make_case(&w, &table[1]);
        const size_t bytes = (size_t)(c.M * c.ldo) * sizeof(float);
        float *again = op_host(&w, bytes);
        run_case(&w, &c, 0, 3, c.out, NULL);
        for (int n = 0; n < (op_on_simt(&w) ? 5 : 50); n++) {
            run_case(&w, &c, 0, 3, again, NULL);
            cr_assert_eq(memcmp(again, c.out, bytes), 0);
        }
        packed_case aliased = c;
        aliased.in_place = true;
        aliased.ldo = c.ldq;
        float *over = op_host(&w, (size_t)(c.M * c.ldq) * sizeof(float));
        run_case(&w, &aliased, 0, 3, over, NULL);
        for (int32_t i = 0; i < c.M; i++)
            cr_assert_eq(memcmp(over + i * c.ldq, c.out + i * c.ldo, (size_t)(c.row->H * c.row->D) * sizeof(float)), 0);
        c.k[5 * c.ldkv] = NAN;      /* of the second sequence, which has one row */
        run_case(&w, &c, 0, 3, again, NULL);
        cr_assert_eq(memcmp(again, c.out, 5 * (size_t)c.ldo * sizeof(float)), 0);
        cr_assert(isnan(again[5 * c.ldo]), "a NaN score is not hidden");
        cr_assert_eq(memcmp(again + 6 * c.ldo, c.out + 6 * c.ldo, bytes - 6 * (size_t)c.ldo * sizeof(float)), 0);
        op_close(&w);
    }
}

/* Every kernel with eight orders of threads and blocks. */
static const packed_row small_table[] = {
    {4, 1, 1, 2, {3, 17}, {3, 66}, HDL_MASK_CAUSAL, 0, 1},
    {64, 2, 1, 2, {5, 18}, {70, 18}, HDL_MASK_NONE, 0, 0},
    {128, 1, 1, 1, {33}, {66}, HDL_MASK_CAUSAL, 0, 0},
    {256, 1, 1, 1, {17}, {34}, HDL_MASK_NONE, 0, 0},
    {32, 1, 1, 1, {70}, {70}, HDL_MASK_CAUSAL, 0, 0},
};

static void check_schedules(op_place place)
{
    for (size_t i = 0; i < sizeof small_table / sizeof *small_table; i++) {
        op_world w;
        if (!op_open_at(&w, place, 150 + i)) return;
        op_reserve(&w, &limits);
        const packed_case c = make_case(&w, &small_table[i]);
        const size_t bytes = (size_t)(c.M * c.ldo) * sizeof(float);
        float *again = op_host(&w, bytes);
        run_case(&w, &c, 0, c.row->n_seq, c.out, c.probs);
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            op_schedule(&w, seed);
            run_case(&w, &c, 0, c.row->n_seq, again, NULL);
            cr_assert_eq(memcmp(again, c.out, bytes), 0, "D %d: other bits under schedule %d", c.row->D, (int)seed);
        }
        op_close(&w);
    }
}

Test(attention, packed_schedules_f32) { check_schedules(OP_SIMT_F32); }
Test(attention, packed_schedules_bf16) { check_schedules(OP_SIMT_BF16); }
Test(attention, packed_schedules_f16) { check_schedules(OP_SIMT_F16); }
