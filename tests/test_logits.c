/*
 * test_logits.c - logit_edits and logit_reduce against the rules of search written out in double.
 *
 * Logits are small multiples of 1/64, exact in f32, so that ties are common and errors are those of the softmax alone.
 */
#include "op_search.h"

#include <heddle/detail/beam_step.h>

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

TestSuite(logits, .timeout = OP_TEST_SECONDS);

enum { E = 16, STRIDE = 2 * OP_MAX_T + 32, MAX_ROWS = 160, VOCABULARIES = 5 };

static const int32_t vocabularies[VOCABULARIES] = {3, 100, 385, 1000, 8001};

/* Eight slots with every option that edits or reduction know, mixed. */
typedef struct logit_case {
    int32_t     V, n_rows;
    op_slots    slots;
    op_paths    paths[OP_MAX_SLOTS];
    op_rows     rows;
    float      *x, *weights, *bias;
    hdl_weight *w;
} logit_case;

static void set_options(op_slots *s, int32_t V)
{
    static const int32_t K[OP_MAX_SLOTS] = {1, 4, 2, 64, 5, 3, 4, 1};
    const int32_t end[2] = {0, V - 1}, prefix[4] = {1, V - 1, 1, 2}, allowed[3] = {0, V / 2, V - 1};
    const int32_t suppressed[8] = {1, V / 3, 2, 1, 2, 2, 0, 1};
    for (int32_t i = 0; i < OP_MAX_SLOTS; i++) {
        s->options[i] = op_options(K[i], OP_MAX_T, 4);
        s->options[i].end_off = op_side(s, end, 2);
        s->options[i].n_end = 1 + i % 2;
    }
    s->options[1].repetition_penalty = 1.5f;
    s->options[1].min_length = 64;
    s->options[2].ngram = 2;
    s->options[2].pad_id = V - 1;
    s->options[3].repetition_penalty = 0.5f;
    s->options[3].flags = HDL_SLOT_NO_UNKNOWN;
    s->options[3].unknown_id = 1;
    s->options[4].suppress_off = op_side(s, suppressed, 8);
    s->options[4].n_suppress = 3;
    s->options[4].ngram = 1;
    s->options[5].allow_off = op_side(s, allowed, 3);
    s->options[5].n_allow = 3;
    s->options[5].flags = HDL_SLOT_ALTERNATIVES;
    s->options[6].prefix_off = op_side(s, prefix, 4);
    s->options[6].n_prefix = 4;
    s->options[6].prefix_bias = 0.25f;
    s->options[7].prefix_off = op_side(s, prefix, 4);
    s->options[7].n_prefix = 4;
}

static float sixty_fourth(op_world *w, int32_t range) { return (float)(op_below(w, 2 * range + 1) - range) / 8.0f; }

/* n[i] tokens stand in slot i. */
static void make_case(op_world *w, logit_case *c, int32_t V, const int32_t n[OP_MAX_SLOTS])
{
    memset(c, 0, sizeof *c);
    c->V = V;
    c->slots.n = OP_MAX_SLOTS;
    set_options(&c->slots, V);
    op_slots_make(w, &c->slots, V);
    c->rows = op_rows_make(w, MAX_ROWS);
    for (int32_t i = 0; i < OP_MAX_SLOTS; i++) {
        op_history_fill(w, &c->slots, i, n[i], V < 12 ? V : 12, &c->paths[i]);
        c->slots.state[i].following = 0x5;      /* beams 0 and 2 */
        for (int32_t b = 0; b < c->slots.options[i].K; b++) op_row_add(&c->rows, i, b, n[i]);
    }
    op_rows_send(w, &c->rows);
    op_slots_send(w, &c->slots);
    c->x = op_host(w, MAX_ROWS * E * sizeof(float));
    c->weights = op_host(w, (size_t)V * E * sizeof(float));
    c->bias = op_host(w, (size_t)V * sizeof(float));
    for (size_t i = 0; i < MAX_ROWS * E; i++) c->x[i] = sixty_fourth(w, 8);
    for (size_t i = 0; i < (size_t)V * E; i++) c->weights[i] = sixty_fourth(w, 8);
    for (int32_t v = 0; v < V; v++) c->bias[v] = sixty_fourth(w, 4);
    op_int8_grid(w, c->x, MAX_ROWS, E);
    op_int8_grid(w, c->weights, V, E);
    c->w = op_pack(w, c->weights, V, E, w->compute);      /* small multiples of 1/8: exact in 16 bits too */
}

typedef struct logit_found {
    int32_t entries[MAX_ROWS * STRIDE], n_edits[MAX_ROWS];
    int32_t id[MAX_ROWS * HDL_MAX_CANDIDATES], n[MAX_ROWS];
    float   logprob[MAX_ROWS * HDL_MAX_CANDIDATES];
} logit_found;

/* Edits, then reduction, of the rows given. */
static void run_case(op_world *w, const logit_case *c, const op_rows *rows, float *x, const float *bias, logit_found *out)
{
    memset(out, 0x55, sizeof *out);
    const hdl_edits edits = {op_device(w, out->entries, sizeof out->entries), op_device(w, out->n_edits, sizeof out->n_edits), STRIDE};
    const hdl_candidates candidates = {op_device(w, out->id, sizeof out->id), op_device(w, out->logprob, sizeof out->logprob),
                                       op_device(w, out->n, sizeof out->n)};
    const hdl_logit_edits_args e = {sizeof e, &c->slots.at, &rows->at, edits, MAX_ROWS, 0};
    cr_assert_eq(w->backend->logit_edits(w->stream, &e), HDL_OK);
    const hdl_logit_reduce_args r = {
        sizeof r, op_act(w, x, MAX_ROWS * E), c->w,
        bias != NULL ? op_device(w, bias, (size_t)c->V * sizeof(float)) : NULL, &c->slots.at, &rows->at, edits, candidates,
        MAX_ROWS, c->V, E, w->act
    };
    cr_assert_eq(w->backend->logit_reduce(w->stream, &r), HDL_OK, "%s", op_error(w));
    op_fetch(w, out->entries, edits.entries, sizeof out->entries);
    op_fetch(w, out->n_edits, edits.n, sizeof out->n_edits);
    op_fetch(w, out->id, candidates.id, sizeof out->id);
    op_fetch(w, out->logprob, candidates.logprob, sizeof out->logprob);
    op_fetch(w, out->n, candidates.n, sizeof out->n);
}

static void check_edits(const logit_found *found, int32_t row, const uint8_t *kind, int32_t V)
{
    int32_t n = 0;
    const int32_t *entries = found->entries + row * STRIDE;
    for (int32_t v = 0; v < V; v++) {
        if (kind[v] == 0) continue;
        cr_assert_lt(n, found->n_edits[row], "row %d: token %d has no entry", row, v);
        cr_assert_eq(entries[n], v * 4 + kind[v], "row %d, entry %d: token %d kind %d, not token %d kind %d", row, n,
                     entries[n] / 4, entries[n] % 4, v, kind[v]);
        n++;
    }
    cr_assert_eq(found->n_edits[row], n, "row %d: %d entries, not %d", row, found->n_edits[row], n);
}

/* In order, complete, and as exact as f32 gives a logarithm. */
static void check_candidates(const logit_case *c, const logit_found *found, int32_t row, const op_expected *expected)
{
    const hdl_slot_options *o = &c->slots.options[c->rows.slot[row]];
    const int32_t *id = found->id + row * HDL_MAX_CANDIDATES;
    const float *logprob = found->logprob + row * HDL_MAX_CANDIDATES;
    if (expected->n == 0) {
        cr_assert_eq(found->n[row], 1);
        cr_assert_eq(id[0], c->slots.side[o->end_off]);
        cr_assert_eq(logprob[0], 0.0f);
        return;
    }
    const int32_t n = expected->n < 2 * o->K ? expected->n : 2 * o->K;
    cr_assert_eq(found->n[row], n, "row %d: %d candidates, not %d", row, found->n[row], n);
    for (int32_t i = 0; i < n; i++) {
        const double best = expected->logprob[expected->order[i]], own = expected->logprob[id[i]];
        cr_assert_lt(fabs((double)logprob[i] - own), 1e-6 * (1.0 + fabs(own)), "row %d, rank %d: %.9g, not %.9g", row, i,
                     (double)logprob[i], own);
        if (id[i] != expected->order[i]) {      /* only values that f32 cannot tell apart may change places, never equal ones */
            cr_assert_lt(fabs(best - own), 2e-7 * (1.0 + fabs(own)), "row %d, rank %d: token %d, not %d", row, i, id[i], expected->order[i]);
            cr_assert(best != own || o->prefix_bias > 0.0f, "row %d, rank %d: token %d before %d", row, i, id[i], expected->order[i]);
        }
        if (i > 0) cr_assert(logprob[i - 1] > logprob[i] || (logprob[i - 1] == logprob[i] && id[i - 1] < id[i]), "row %d: order", row);
    }
}

static void check_found(const logit_case *c, const logit_found *found, const float *bias)
{
    static uint8_t kind[OP_MAX_V];
    static double z[OP_MAX_V];
    static op_expected expected;
    for (int32_t row = 0; row < c->rows.n; row++) {
        const int32_t slot = c->rows.slot[row], beam = c->rows.beam[row], t = c->rows.pos[row];
        const hdl_slot_options *o = &c->slots.options[slot];
        op_edits_expected(&c->slots, slot, c->paths[slot].token[beam], t, kind);
        check_edits(found, row, kind, c->V);
        if (o->prefix_bias == 0.0f && t < o->n_prefix) {
            cr_assert_eq(found->n[row], 0x55555555, "a row inside a hard prefix was written");
            continue;
        }
        for (int32_t v = 0; v < c->V; v++) {
            z[v] = bias != NULL ? (double)bias[v] : 0.0;
            for (int32_t e = 0; e < E; e++) z[v] += (double)c->x[row * E + e] * (double)c->weights[v * E + e];
        }
        const bool following = o->prefix_bias > 0.0f && t < o->n_prefix && (beam == 0 || beam == 2);
        op_reduce_expected(&c->slots, slot, z, c->V, kind, t, following, &expected);
        check_candidates(c, found, row, &expected);
    }
}

/* Every slot alone gives the bits it had among the others. */
static void check_alone(op_world *w, const logit_case *c, const logit_found *all)
{
    static logit_found alone;
    int32_t first = 0;
    for (int32_t slot = 0; slot < c->slots.n; slot++) {
        const int32_t K = c->slots.options[slot].K;
        op_rows rows = op_rows_make(w, MAX_ROWS);
        for (int32_t b = 0; b < K; b++) op_row_add(&rows, slot, b, c->paths[slot].n);
        op_rows_send(w, &rows);
        float *x = op_host(w, MAX_ROWS * E * sizeof(float));
        memcpy(x, c->x + first * E, (size_t)(K * E) * sizeof(float));
        run_case(w, c, &rows, x, c->bias, &alone);
        for (int32_t b = 0; b < K; b++) {
            const size_t to = (size_t)b * HDL_MAX_CANDIDATES, from = (size_t)(first + b) * HDL_MAX_CANDIDATES;
            cr_assert_eq(alone.n[b], all->n[first + b]);
            if (alone.n[b] > HDL_MAX_CANDIDATES) continue;      /* hard prefix: untouched */
            const size_t bytes = (size_t)alone.n[b] * 4;
            cr_assert_eq(memcmp(alone.id + to, all->id + from, bytes), 0, "slot %d beam %d", slot, b);
            cr_assert_eq(memcmp(alone.logprob + to, all->logprob + from, bytes), 0, "slot %d beam %d", slot, b);
        }
        first += K;
    }
}

static void reserve(op_world *w, int32_t V)
{
    const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = MAX_ROWS, .K = E, .N = E, .V = V};
    op_reserve(w, &limits);
}

/* The stand-in takes three cases, and compares slots alone where the vocabulary is one panel. */
static bool takes(const op_world *w, size_t i) { return !op_on_simt(w) || i == 0 || i == 6 || i == 12; }

static void check_vocabularies(op_place place)
{
    static logit_case c;
    static logit_found found;
    static const int32_t lengths[3][OP_MAX_SLOTS] = {
        {0, 0, 0, 0, 0, 0, 0, 0}, {5, 40, 30, 7, 9, 2, 3, 2}, {60, 63, 12, 20, 33, 7, 5, 4}};
    for (size_t i = 0; i < 3 * VOCABULARIES; i++) {
        op_world w;
        if (!op_open_at(&w, place, 700 + i)) return;
        const int32_t V = vocabularies[i % VOCABULARIES];
        reserve(&w, V);
        if (takes(&w, i)) {
            make_case(&w, &c, V, lengths[i / VOCABULARIES]);
            run_case(&w, &c, &c.rows, c.x, c.bias, &found);
            check_found(&c, &found, c.bias);
            if (!op_on_simt(&w) || V <= 100) check_alone(&w, &c, &found);
            run_case(&w, &c, &c.rows, c.x, NULL, &found);
            check_found(&c, &found, NULL);
            w.backend->weight_close(c.w);
        }
        op_close(&w);
    }
}

Test(logits, plain) { check_vocabularies(OP_PLAIN); }
Test(logits, avx2) { check_vocabularies(OP_AVX2); }
Test(logits, avx512) { check_vocabularies(OP_AVX512); }
Test(logits, simt_f32, .timeout = 120) { check_vocabularies(OP_SIMT_F32); }
Test(logits, simt_bf16, .timeout = 120) { check_vocabularies(OP_SIMT_BF16); }
Test(logits, simt_f16, .timeout = 120) { check_vocabularies(OP_SIMT_F16); }
Test(logits, cuda_f32) { check_vocabularies(OP_CUDA_F32); }
Test(logits, cuda_bf16) { check_vocabularies(OP_CUDA_BF16); }
Test(logits, cuda_f16) { check_vocabularies(OP_CUDA_F16); }
Test(logits, simt_int8, .timeout = 120) { check_vocabularies(OP_SIMT_INT8); }
Test(logits, cpu_int8) { check_vocabularies(OP_CPU_INT8); }
Test(logits, cuda_int8) { check_vocabularies(OP_CUDA_INT8); }

/* Eight orders of threads and blocks on a small vocabulary: the same bits. */
Test(logits, every_schedule_gives_the_same_bits, .timeout = 120)
{
    static logit_case c;
    static logit_found first, again;
    static const int32_t lengths[OP_MAX_SLOTS] = {5, 6, 7, 3, 9, 2, 3, 5};
    static const op_place simt[] = {OP_SIMT_F32, OP_SIMT_BF16, OP_SIMT_F16, OP_SIMT_INT8};
    for (size_t i = 0; i < sizeof simt / sizeof *simt; i++) {
        op_world w;
        if (!op_open_at(&w, simt[i], 950)) continue;
        reserve(&w, 300);
        make_case(&w, &c, 300, lengths);
        for (uint64_t seed = 1; seed <= 8; seed++) {
            op_schedule(&w, seed);
            run_case(&w, &c, &c.rows, c.x, c.bias, seed == 1 ? &first : &again);
            cr_assert(seed == 1 || memcmp(&first, &again, sizeof first) == 0, "%s: schedule %d", op_place_name(w.place), (int)seed);
        }
        w.backend->weight_close(c.w);
        op_close(&w);
    }
}

/* A logit that is not finite fails its own rows; done slots and rows past the count are left alone; -inf is a removal. */
Test(logits, not_finite_and_done)
{
    static logit_case c;
    static logit_found found, clean;
    static const int32_t lengths[OP_MAX_SLOTS] = {5, 6, 7, 3, 9, 2, 5, 5};
    for (int place = 0; place < OP_N_PRODUCT_PLACES; place++) {
        op_world w;
        if (!op_open_at(&w, (op_place)place, 800)) continue;
        const int32_t V = op_on_simt(&w) ? 300 : 1000;      /* some panels, the last one cut short */
        reserve(&w, V);
        make_case(&w, &c, V, lengths);
        run_case(&w, &c, &c.rows, c.x, c.bias, &clean);
        c.x[3 * E + 2] = NAN;       /* a beam of slot 1 */
        c.slots.state[4].done = 1;
        op_slots_send(&w, &c.slots);
        run_case(&w, &c, &c.rows, c.x, c.bias, &found);
        for (int32_t row = 0; row < c.rows.n; row++) {
            const size_t at = (size_t)row * HDL_MAX_CANDIDATES;
            const bool done = c.rows.slot[row] == 4;
            cr_assert_eq(found.n[row], row == 3 ? -1 : done ? 0x55555555 : clean.n[row], "row %d", row);
            if (row == 3 || done) continue;
            cr_assert_eq(memcmp(found.logprob + at, clean.logprob + at, (size_t)clean.n[row] * 4), 0, "row %d", row);
        }
        cr_assert_eq(found.n[c.rows.n], 0x55555555, "a row past the count was written");
        c.x[3 * E + 2] = 0.0f;
        c.bias[V - 1] = INFINITY;     /* in the last lanes of the last panel; slot 5 may not even choose it */
        run_case(&w, &c, &c.rows, c.x, c.bias, &found);
        for (int32_t row = 0; row < c.rows.n; row++) cr_assert_eq(found.n[row], c.rows.slot[row] == 4 ? 0x55555555 : -1);
        c.bias[V - 1] = -INFINITY;
        run_case(&w, &c, &c.rows, c.x, c.bias, &found);
        for (int32_t row = 0; row < c.rows.n; row++)
            for (int32_t k = 0; c.rows.slot[row] != 4 && k < found.n[row]; k++)
                cr_assert_neq(found.id[row * HDL_MAX_CANDIDATES + k], V - 1);
        w.backend->weight_close(c.w);
        op_close(&w);
    }
}

typedef struct helper { op_world *w; volatile int stop; } helper;

static void *assist(void *user)
{
    helper *h = user;
    h->w->backend->stream_assist(h->w->stream, &h->stop);
    return NULL;
}

/* 50 times the same bits, half of them with a second thread taking chunks. */
Test(logits, repeats_with_and_without_assistant)
{
    static logit_case c;
    static logit_found first, again;
    static const int32_t lengths[OP_MAX_SLOTS] = {5, 6, 7, 3, 9, 2, 3, 5};
    op_world w;
    cr_assert(op_open(&w, HDL_ISA_AUTO, 900));
    reserve(&w, 8001);
    make_case(&w, &c, 8001, lengths);
    run_case(&w, &c, &c.rows, c.x, c.bias, &first);
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        helper h = {&w, 0};
        if (i % 2 == 1) pthread_create(&thread, NULL, assist, &h);
        run_case(&w, &c, &c.rows, c.x, c.bias, &again);
        __atomic_store_n(&h.stop, 1, __ATOMIC_RELEASE);
        if (i % 2 == 1) pthread_join(thread, NULL);
        cr_assert_eq(memcmp(&first, &again, sizeof first), 0);
    }
    w.backend->weight_close(c.w);
    op_close(&w);
}

/* Nothing left: the first end token, for nothing. */
Test(logits, nothing_left)
{
    static logit_case c;
    static logit_found found;
    static const int32_t lengths[OP_MAX_SLOTS] = {0};
    for (int place = 0; place < OP_N_PRODUCT_PLACES; place++) {
        op_world w;
        if (!op_open_at(&w, (op_place)place, 901)) continue;
        reserve(&w, 100);
        make_case(&w, &c, 100, lengths);
        c.slots.options[5].min_length = 8;      /* may generate 0, 50 and 99; ends are 0 and 99 */
        c.slots.options[5].flags = HDL_SLOT_NO_UNKNOWN;
        c.slots.options[5].unknown_id = 50;
        op_slots_send(&w, &c.slots);
        run_case(&w, &c, &c.rows, c.x, c.bias, &found);
        check_found(&c, &found, c.bias);
        w.backend->weight_close(c.w);
        op_close(&w);
    }
}
