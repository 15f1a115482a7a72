/*
 * test_small_shared.c - devices whose blocks have less shared memory than those of 9.0: the same bits from smaller tiles, on the
 * stand-in, which plays their limits.
 */
#include "simt_calls.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

/* What a block may ask for on compute capability 9.0 (0: all there is), 8.0 and 8.7, 8.6 with 8.9 and 12.0. */
static const size_t limits[] = {0, 166912, 101376};
enum { N_LIMITS = sizeof limits / sizeof *limits, SEED = 7300 };

static const op_place places[] = {OP_SIMT_F32, OP_SIMT_BF16, OP_SIMT_F16, OP_SIMT_INT8};
enum { N_PLACES = sizeof places / sizeof *places };

/* Runs in a world of the place under each limit, from the same numbers: `bytes` of results have the same bits. */
static void compare(op_place place, size_t bytes, void (*run)(op_world *w, void *out))
{
    unsigned char *out[N_LIMITS];
    for (int i = 0; i < N_LIMITS; i++) {
        op_world w;
        out[i] = calloc(1, bytes);
        set_shared_limit(limits[i]);
        if (!op_open_at(&w, place, SEED)) cr_assert_fail("%s with %zu bytes of shared memory", op_place_name(place), limits[i]);
        const hdl_stream_limits most = {.struct_bytes = sizeof most, .M = 200, .K = 600, .N = 300, .V = 300};
        op_reserve(&w, &most);
        run(&w, out[i]);
        op_close(&w);
        cr_expect_eq(memcmp(out[i], out[0], bytes), 0, "%s: other bits with %zu bytes of shared memory", op_place_name(place),
                     limits[i]);
    }
    for (int i = 0; i < N_LIMITS; i++) free(out[i]);
    set_shared_limit(0);
}

enum { N_SHAPES = 4, MOST_M = 200, MOST_N = 300 };
static const int32_t shapes[N_SHAPES][3] = {{3, 600, 40}, {65, 300, 250}, {130, 70, 300}, {200, 264, 256}};

static void run_products(op_world *w, void *out)
{
    float *y = out;
    for (int s = 0; s < N_SHAPES; s++, y += MOST_M * MOST_N) {
        const int32_t M = shapes[s][0], K = shapes[s][1], N = shapes[s][2];
        float *x = op_normals(w, (size_t)(M * K)), *values = op_normals(w, (size_t)(N * K));
        hdl_gemm_args a = HDL_GEMM_ARGS_INIT;
        a.x = op_act(w, x, (size_t)(M * K)), a.ldx = K, a.y = op_act(w, NULL, (size_t)(M * N)), a.ldy = N;
        a.w = op_pack(w, values, N, K, w->compute);
        a.M = M, a.N = N, a.K = K, a.act_dtype = w->act;
        cr_assert_eq(w->backend->gemm(w->stream, &a), HDL_OK, "%s", op_error(w));
        op_act_fetch(w, y, a.y, (size_t)(M * N));
        w->backend->weight_close((hdl_weight *)(uintptr_t)a.w);
    }
}

Test(small_shared, products, .timeout = 300)
{
    if (op_library("simt") == NULL) return;
    for (int i = 0; i < N_PLACES; i++) compare(places[i], N_SHAPES * MOST_M * MOST_N * sizeof(float), run_products);
}

/* Beams of three slots: more rows than the smallest tile has, and, with M rows of scores, than the middle one. */
enum { M = 130, R = 70, V = 300, E = 40, BEAMS = 32 };

static void run_scores(op_world *w, const hdl_weight *weight, const void *x, float *out)
{
    int32_t ids[M];
    for (int32_t m = 0; m < M; m++) ids[m] = op_below(w, V);
    const hdl_token_logprobs_args a = {
        sizeof a, x, weight, NULL, op_device(w, ids, sizeof ids), op_device(w, NULL, M * sizeof(float)), M, V, E, -1, w->act, 0
    };
    cr_assert_eq(w->backend->token_logprobs(w->stream, &a), HDL_OK, "%s", op_error(w));
    op_fetch(w, out, a.logprob, M * sizeof *out);
}

static void run_candidates(op_world *w, const hdl_weight *weight, const void *x, float *out)
{
    static op_slots slots;
    memset(&slots, 0, sizeof slots);
    op_rows rows = op_rows_make(w, R);
    for (slots.n = 0; slots.n < 3; slots.n++) slots.options[slots.n] = op_options(BEAMS, 8, 4);
    op_slots_make(w, &slots, V);
    for (int32_t r = 0; r < R; r++) op_row_add(&rows, r / BEAMS, r % BEAMS, 0);
    op_slots_send(w, &slots);
    op_rows_send(w, &rows);
    const size_t bytes = (size_t)R * HDL_MAX_CANDIDATES * sizeof(int32_t);
    const hdl_edits edits = {op_device(w, NULL, R * sizeof(int32_t)), op_device(w, NULL, R * sizeof(int32_t)), 1};
    const hdl_candidates found = {op_device(w, NULL, bytes), op_device(w, NULL, bytes), op_device(w, NULL, R * sizeof(int32_t))};
    const hdl_logit_reduce_args a = {sizeof a, x, weight, NULL, &slots.at, &rows.at, edits, found, R, V, E, w->act};
    cr_assert_eq(w->backend->logit_reduce(w->stream, &a), HDL_OK, "%s", op_error(w));
    op_fetch(w, out, found.logprob, bytes);
    op_fetch(w, out + R * HDL_MAX_CANDIDATES, found.id, bytes);
}

static void run_logits(op_world *w, void *out)
{
    float *logprob = out;
    float *values = op_normals(w, V * E), *x = op_normals(w, M * E);
    hdl_weight *weight = op_pack(w, values, V, E, w->compute);
    const void *rows = op_act(w, x, M * E);
    run_scores(w, weight, rows, logprob);
    run_candidates(w, weight, rows, logprob + M);
    for (int32_t m = 0; m < M; m++) cr_assert(isfinite(logprob[m]) && logprob[m] < 0.0f, "row %d: %g", m, (double)logprob[m]);
    cr_assert(logprob[M] < 0.0f && logprob[M] >= logprob[M + 1], "the best candidate comes first");
    w->backend->weight_close(weight);
}

Test(small_shared, logits, .timeout = 300)
{
    if (op_library("simt") == NULL) return;
    for (int i = 0; i < N_PLACES; i++)
        compare(places[i], (M + 2 * (size_t)R * HDL_MAX_CANDIDATES) * sizeof(float), run_logits);
}

enum { T = 40, HEADS = 2, MOST_D = 256 };

/* One packed sequence over itself. */
static hdl_status attend(op_world *w, int32_t D, float *out)
{
    const int32_t cu[2] = {0, T}, width = HEADS * D;
    const size_t n = (size_t)(T * width);
    float *q = op_normals(w, n), *k = op_normals(w, n), *v = op_normals(w, n);
    const hdl_attention_args a = {
        .struct_bytes = sizeof a, .keys = HDL_KEYS_PACKED, .mask = HDL_MASK_NONE, .q = op_act(w, q, n), .ldq = width,
        .k = op_act(w, k, n), .v = op_act(w, v, n), .ldkv = width, .out = op_act(w, NULL, n), .ldo = width,
        .M = T, .H = HEADS, .Hkv = HEADS, .D = D, .scale = 1.0f / sqrtf((float)D), .n_seq = 1,
        .cu_q = op_device(w, cu, sizeof cu), .cu_k = op_device(w, cu, sizeof cu), .act_dtype = w->act,
    };
    const hdl_status status = w->backend->attention(w->stream, &a);
    if (status == HDL_OK) op_act_fetch(w, out, a.out, n);
    return status;
}

static void run_attention(op_world *w, void *out)
{
    float *rows = out;
    for (int32_t D = 64; D <= 128; D *= 2, rows += T * HEADS * MOST_D)
        cr_assert_eq(attend(w, D, rows), HDL_OK, "%s", op_error(w));
    cr_assert_neq(rows[-T * HEADS * MOST_D], 0.0f);
}

Test(small_shared, attention, .timeout = 300)
{
    if (op_library("simt") == NULL) return;
    for (int i = 0; i < N_PLACES - 1; i++) compare(places[i], 2 * T * HEADS * MOST_D * sizeof(float), run_attention);
}

Test(small_shared, heads_that_do_not_fit_are_refused_in_words)
{
    if (op_library("simt") == NULL) return;
    static float out[T * HEADS * MOST_D];
    for (int i = 0; i < N_LIMITS; i++) {
        op_world w;
        set_shared_limit(limits[i]);
        cr_assert(op_open_at(&w, OP_SIMT_F32, SEED));
        const bool fits = i < 2;
        cr_expect_eq(attend(&w, MOST_D, out), fits ? HDL_OK : HDL_ENOSUPPORT, "%s", op_error(&w));
        if (!fits)
            cr_expect_str_eq(op_error(&w), "attention: D = 256 in f32: this device allows up to 128, as its blocks have 101376 bytes "
                                           "of shared memory and not 102912");
        op_close(&w);
    }
    set_shared_limit(0);
}
