/*
 * bench_ops.c - microseconds of the CPU's ops other than products, one thread, warm caches, beside what no code can beat.
 *
 * Usage: bench_ops [plain|avx2|avx512]. Two models: the one that ships (E 256, 4 heads, V 8001) and a base one (E 512, 8 heads, V 32000).
 * Rows are beams of slots of four (one row: greedy). The floor is the longer of the arithmetic at the rate of our own best product,
 * and of the bytes at the rate of a copy of as many bytes; the share is the floor over the median. For logit_reduce the rate is that of the
 * same product alone, so that 100 % means that bias, edits, softmax and selection cost nothing.
 */
#include "cpu/cpu_table.h"

#include <heddle/detail/history.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_ROWS = 128, T = 64, MAX_RUNS = 2000, STRIDE = 256, POSITIONS = 512 };

#define SECONDS_PER_CELL 0.05

typedef struct model { const char *name; int32_t E, H, D, V; } model;

static const model models[] = {{"shipped", 256, 4, 64, 8001}, {"base", 512, 8, 64, 32000}};
static const int32_t row_counts[] = {1, 4, 64, 128}, key_counts[] = {12, 40};

/* One model's buffers on one device. */
typedef struct scene {
    const model        *m;
    const hdl_backend  *b;
    hdl_backend_device *device;
    hdl_backend_stream *stream;
    hdl_kv_pool        *pool;
    hdl_weight         *w;
    hdl_embedding      *table;
    hdl_slots           slots;
    hdl_rows            rows;
    hdl_edits           edits;
    hdl_candidates      found;
    float              *x, *y, *z, *weights, *logits;
    int32_t             n_rows, keys;
    double              flops_per_second, bytes_per_second;
} scene;

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *device_memory(scene *s, size_t bytes)
{
    void *block = NULL;
    if (s->b->alloc(s->device, bytes, &block) != HDL_OK) abort();
    return block;   /* the process ends with the program */
}

static float *random_floats(scene *s, size_t n)
{
    uint32_t state = 2463534242u;
    float *v = device_memory(s, n * sizeof *v);
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        v[i] = (float)(state >> 8) * 0x1p-23f - 1.0f;
    }
    return v;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_seconds(scene *s, void (*op)(scene *))
{
    static double times[MAX_RUNS];
    int n = 0;
    for (int i = 0; i < 3; i++) op(s);
    for (double began = seconds_now(); n < MAX_RUNS && seconds_now() - began < SECONDS_PER_CELL; n++) {
        const double before = seconds_now();
        op(s);
        times[n] = seconds_now() - before;
    }
    qsort(times, (size_t)n, sizeof *times, compare_doubles);
    return times[n / 2];
}

static void run_norm(scene *s)
{
    const hdl_norm_args a = {.struct_bytes = sizeof a, .x = s->x, .residual = s->z, .gamma = s->weights, .beta = s->weights,
                             .y = s->y, .sum = s->x, .M = s->n_rows, .E = s->m->E, .eps = 1e-6f};
    s->b->norm(s->stream, &a);
}

static void run_embed(scene *s)
{
    const hdl_embed_args a = {.struct_bytes = sizeof a, .table = s->table, .positions = s->z, .n_positions = T,
                              .slots = &s->slots, .rows = &s->rows, .y = s->y, .M = s->n_rows, .E = s->m->E, .scale = 16.0f};
    s->b->embed(s->stream, &a);
}

static void append(scene *s, hdl_key_source keys)
{
    const hdl_cache_append_args a = {sizeof a, keys, s->z, s->z, s->m->E, s->pool, 0, &s->slots, &s->rows, s->n_rows, s->m->H, s->m->D};
    s->b->cache_append(s->stream, &a);
}

static void run_append(scene *s) { append(s, HDL_KEYS_SELF_PAGES); }

static void attend(scene *s, hdl_key_source keys)
{
    const hdl_attention_args a = {.struct_bytes = sizeof a, .keys = keys, .q = s->x, .ldq = s->m->E, .out = s->y, .ldo = s->m->E,
                                  .M = s->n_rows, .H = s->m->H, .Hkv = s->m->H, .D = s->m->D, .scale = 0.125f, .pool = s->pool,
                                  .slots = &s->slots, .rows = &s->rows};
    s->b->attention(s->stream, &a);
}

static void run_self(scene *s) { attend(s, HDL_KEYS_SELF_PAGES); }
static void run_source(scene *s) { attend(s, HDL_KEYS_SOURCE_PAGES); }

/* The encoder's: as many sequences of `keys` as fit the rows, at least one. */
static void run_packed(scene *s)
{
    int32_t cu[MAX_ROWS + 1] = {0}, n = 0;
    for (; n == 0 || cu[n] + s->keys <= MAX_ROWS; n++) cu[n + 1] = cu[n] + s->keys;
    const hdl_attention_args a = {.struct_bytes = sizeof a, .keys = HDL_KEYS_PACKED, .q = s->x, .ldq = s->m->E, .out = s->y,
                                  .ldo = s->m->E, .M = cu[n], .H = s->m->H, .Hkv = s->m->H, .D = s->m->D, .scale = 0.125f, .k = s->z,
                                  .v = s->z, .ldkv = s->m->E, .cu_q = cu, .cu_k = cu, .n_seq = n};
    s->b->attention(s->stream, &a);
}

static void run_edits(scene *s)
{
    const hdl_logit_edits_args a = {sizeof a, &s->slots, &s->rows, s->edits, s->n_rows};
    s->b->logit_edits(s->stream, &a);
}

static void run_reduce(scene *s)
{
    const hdl_logit_reduce_args a = {sizeof a, s->x, s->w, s->weights, &s->slots, &s->rows, s->edits, s->found, s->n_rows, s->m->V, s->m->E};
    s->b->logit_reduce(s->stream, &a);
}

static void run_product(scene *s)
{
    const hdl_gemm_args a = {.struct_bytes = sizeof a, .x = s->x, .ldx = s->m->E, .w = s->w, .y = s->logits, .ldy = s->m->V,
                             .M = s->n_rows, .N = s->m->V, .K = s->m->E};
    s->b->gemm(s->stream, &a);
}

static void run_copy(scene *s) { memcpy(s->y, s->x, sizeof(float) * MAX_ROWS * (size_t)s->m->E); }

static void open_scene(scene *s, const model *m, hdl_isa isa)
{
    memset(s, 0, sizeof *s);
    s->m = m;
    s->b = hdl__cpu_backend();
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    options.isa = isa;
    if (s->b->open(0, &options, NULL, &s->device) != HDL_OK || s->b->stream_create(s->device, &s->stream) != HDL_OK) {
        fprintf(stderr, "%s\n", hdl_error_detail());
        exit(1);
    }
    const hdl_stream_limits limits = {sizeof limits, MAX_ROWS, m->E, m->E, m->V, POSITIONS, m->H, m->D};
    const hdl_kv_pool_desc pool = {sizeof pool, 2 * MAX_ROWS * T / HDL_PAGE_ROWS + MAX_ROWS, 1, m->H, m->D};
    const size_t E = (size_t)m->E, V = (size_t)m->V;
    s->x = random_floats(s, MAX_ROWS * E);
    s->y = random_floats(s, MAX_ROWS * E);
    s->z = random_floats(s, MAX_ROWS * E);
    s->weights = random_floats(s, V * E);
    s->logits = device_memory(s, MAX_ROWS * V * sizeof(float));
    const hdl_pack_part part = {s->weights, HDL_F32, m->V, 0, NULL, 0};
    hdl_pack_args pack = HDL_PACK_ARGS_INIT;
    pack.parts = &part;
    pack.n_parts = 1;
    pack.N = m->V;
    pack.K = m->E;
    if (s->b->stream_reserve(s->stream, &limits) != HDL_OK || s->b->kv_pool_open(s->device, &pool, &s->pool) != HDL_OK
        || s->b->pack(s->device, &pack, &s->w) != HDL_OK || s->b->embedding_open(s->device, &part, m->E, &s->table) != HDL_OK) {
        fprintf(stderr, "%s\n", hdl_error_detail());
        exit(1);
    }
    s->edits = (hdl_edits){device_memory(s, MAX_ROWS * STRIDE * 4), device_memory(s, MAX_ROWS * 4), STRIDE};
    const size_t list = MAX_ROWS * HDL_MAX_CANDIDATES * 4;
    s->found = (hdl_candidates){device_memory(s, list), device_memory(s, list), device_memory(s, MAX_ROWS * 4)};
}

/* n_rows rows of slots of four beams (one for a single row), `keys` keys each, every beam an heir of beam 0. */
static void set_rows(scene *s, int32_t n_rows, int32_t keys)
{
    const int32_t K = n_rows < 4 ? 1 : 4, n = n_rows / K;
    const size_t row_bytes = ((size_t)n_rows + 1) * sizeof(int32_t), pages = (size_t)K * T / HDL_PAGE_ROWS;
    int32_t *slot = device_memory(s, row_bytes), *beam = device_memory(s, row_bytes), *pos = device_memory(s, row_bytes);
    int32_t *group = device_memory(s, row_bytes), *counts = device_memory(s, 2 * sizeof(int32_t));
    int32_t *page = device_memory(s, 2 * (size_t)n * pages * sizeof(int32_t)), *side = device_memory(s, sizeof(int32_t));
    hdl_slot_options *options = device_memory(s, (size_t)n * sizeof *options);
    uint64_t *history_off = device_memory(s, (size_t)n * sizeof *history_off);
    hdl_slot_options o = {.K = K, .T = T, .S = keys, .n_pool = 2 * K, .max_length = T, .repetition_penalty = 1.0f, .min_length = 1,
                          .n_end = 1, .unknown_id = -1, .pad_id = s->m->V - 1};
    const uint64_t bytes = hdl_history_layout_of(&o).bytes;
    for (int32_t i = 0; i < n; i++) options[i] = o, history_off[i] = (uint64_t)i * bytes, group[i + 1] = (i + 1) * K;
    for (size_t i = 0; i < 2 * (size_t)n * pages; i++) page[i] = (int32_t)i;
    for (int32_t i = 0; i < n_rows; i++) slot[i] = i / K, beam[i] = i % K, pos[i] = keys - 1;
    counts[0] = n_rows;
    counts[1] = n;
    s->slots = (hdl_slots){
        .n_slots = n, .V = s->m->V, .options = options, .state = device_memory(s, (size_t)n * sizeof(hdl_slot_state)),
        .token = device_memory(s, (size_t)n * HDL_MAX_BEAM * 4), .sum = device_memory(s, (size_t)n * HDL_MAX_BEAM * 4),
        .history = device_memory(s, (size_t)n * bytes), .history_off = history_off, .side = side, .self_pages = page,
        .source_pages = page + (size_t)n * pages, .self_stride = (int32_t)pages, .source_stride = (int32_t)pages};
    s->rows = (hdl_rows){counts, slot, beam, pos, counts + 1, group};
    s->n_rows = n_rows;
    s->keys = keys;
}

static void report(scene *s, const char *op, double flops, double bytes, void (*run)(scene *))
{
    const double seconds = median_seconds(s, run), arithmetic = flops / s->flops_per_second, traffic = bytes / s->bytes_per_second;
    const double floor = arithmetic > traffic ? arithmetic : traffic;
    printf("%-8s %-10s %5d %5d %10.2f %10.2f %6.0f %%\n", s->m->name, op, s->n_rows, s->keys, seconds * 1e6, floor * 1e6,
           100.0 * floor / seconds);
}

static void bench_rows(scene *s, int32_t n_rows)
{
    const double E = s->m->E, V = s->m->V, M = n_rows, row = 4.0 * E;
    for (size_t k = 0; k < sizeof key_counts / sizeof *key_counts; k++) {
        const double keys = key_counts[k], packed_rows = (int32_t)(MAX_ROWS / keys) * keys;
        set_rows(s, n_rows, key_counts[k]);
        report(s, "self", 4.0 * M * keys * E, row * (2.0 * keys + 2.0) * M, run_self);
        report(s, "source", 4.0 * M * keys * E, row * (2.0 * keys * s->slots.n_slots + 2.0 * M), run_source);
        if (n_rows == MAX_ROWS) report(s, "packed", 4.0 * packed_rows * keys * E, row * 4.0 * packed_rows, run_packed);
        if (k > 0) continue;
        report(s, "embed", 0.0, row * 3.0 * M, run_embed);
        report(s, "norm", 0.0, row * 4.0 * M, run_norm);
        report(s, "append", 0.0, row * 4.0 * M, run_append);
        report(s, "edits", 0.0, 0.0, run_edits);
        const double rate = s->flops_per_second;
        s->flops_per_second = 2.0 * M * E * V / median_seconds(s, run_product);
        report(s, "reduce", 2.0 * M * E * V, 0.0, run_reduce);
        s->flops_per_second = rate;
    }
}

int main(int argc, char **argv)
{
    static const char *names[] = {"auto", "plain", "avx2", "avx512"};
    hdl_isa isa = HDL_ISA_AUTO;
    for (int i = 1; i < 4; i++)
        if (argc > 1 && strcmp(argv[1], names[i]) == 0) isa = (hdl_isa)i;
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        scene s;
        open_scene(&s, &models[m], isa);
        set_rows(&s, 64, 1);
        s.flops_per_second = 2.0 * 64 * s.m->E * s.m->V / median_seconds(&s, run_product);
        s.bytes_per_second = 2.0 * 4.0 * MAX_ROWS * s.m->E / median_seconds(&s, run_copy);
        printf("%s: product %.1f GFLOP/s, copy %.1f GB/s\n", s.m->name, s.flops_per_second * 1e-9, s.bytes_per_second * 1e-9);
        printf("model    op          rows  keys         us   floor us  share\n");
        for (size_t i = 0; i < sizeof row_counts / sizeof *row_counts; i++) bench_rows(&s, row_counts[i]);
    }
    return 0;
}
