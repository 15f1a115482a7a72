/*
 * bench_ops.c - microseconds of the CPU's ops other than products, one thread, warm caches, beside what no code can beat.
 *
 * Usage: bench_ops [plain|avx2|avx512]. Two models: the one that ships (E 256, 4 heads, V 8001) and a base one (E 512,
 * 8 heads, V 32000). Rows are beams of slots of four (one row: greedy). The floor is the longer of two times:
 * arithmetic at the peak of multiply-adds (fma_peak.h; none for plain), and bytes at the speed of the cache that holds
 * them, measured. The share is the floor over the fastest run; on a busy machine the median says how busy. "product" is
 * the plain product of logit_reduce, stored whole: what "reduce" takes beyond it is bias, edits, softmax and selection.
 */
#include "fma_peak.h"

#include <heddle/attention.h>
#include <heddle/detail/history.h>
#include <heddle/embed.h>
#include <heddle/norm.h>
#include <heddle/search.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_ROWS = 128, T = 64, MAX_RUNS = 2000, MIN_RUNS = 10, STRIDE = 256, POSITIONS = 512 };

#define SECONDS_PER_CELL 0.05
#define PROBE_SLACK 0.03

typedef struct model { const char *name; int32_t E, H, D, V; } model;

static const model models[] = {{"shipped", 256, 4, 64, 8001}, {"base", 512, 8, 64, 32000}};
static const int32_t row_counts[] = {1, 4, 64, 128}, key_counts[] = {12, 40};

/* One model's buffers on one device. */
typedef struct scene {
    const model        *m;
    hdl_device         *device;
    hdl_stream         *stream;
    hdl_kv_pool        *pool;
    hdl_weight         *w;
    hdl_embedding      *table;
    hdl_slots           slots;
    hdl_rows            rows;
    hdl_edits           edits;
    hdl_candidates      found;
    float              *x, *y, *z, *weights, *logits;
    int32_t             n_rows, keys;
    uint64_t            read_sum;       /* kept, so that reading is not optimised away */
    double              flops_per_second, bytes_per_second, weights_per_second;
} scene;

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(hdl_status status)
{
    if (status == HDL_OK) return;
    fprintf(stderr, "bench_ops: %s\n", hdl_error_detail());
    exit(1);
}

static void *device_memory(scene *s, size_t bytes)
{
    void *block = NULL;
    must(hdl_device_alloc(s->device, bytes, &block));
    return block;   /* given back when the process ends */
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

typedef struct timing { double fastest, median; } timing;

static timing time_op(scene *s, void (*op)(scene *))
{
    static double times[MAX_RUNS];
    int n = 0;
    for (int i = 0; i < 3; i++) op(s);
    for (double began = seconds_now(); n < MAX_RUNS && (n < MIN_RUNS || seconds_now() - began < SECONDS_PER_CELL); n++) {
        const double before = seconds_now();
        op(s);
        times[n] = seconds_now() - before;
    }
    qsort(times, (size_t)n, sizeof *times, compare_doubles);
    return (timing){times[0], times[n / 2]};
}

static void run_norm(scene *s)
{
    const hdl_norm_args a = {.struct_bytes = sizeof a, .x = s->x, .residual = s->z, .gamma = s->weights, .beta = s->weights,
                             .y = s->y, .sum = s->x, .M = s->n_rows, .E = s->m->E, .eps = 1e-6f};
    must(hdl_norm(s->stream, &a));
}

static void run_embed(scene *s)
{
    const hdl_embed_args a = {.struct_bytes = sizeof a, .table = s->table, .positions = s->z, .n_positions = T,
                              .slots = &s->slots, .rows = &s->rows, .y = s->y, .M = s->n_rows, .E = s->m->E, .scale = 16.0f};
    must(hdl_embed(s->stream, &a));
}

static void append(scene *s, hdl_key_source keys)
{
    const hdl_cache_append_args a = {sizeof a, keys, s->z, s->z, s->m->E, s->pool, 0, &s->slots, &s->rows, s->n_rows, s->m->H, s->m->D, HDL_F32};
    must(hdl_cache_append(s->stream, &a));
}

static void run_append(scene *s) { append(s, HDL_KEYS_SELF_PAGES); }

static void attend(scene *s, hdl_key_source keys)
{
    const hdl_attention_args a = {.struct_bytes = sizeof a, .keys = keys, .q = s->x, .ldq = s->m->E, .out = s->y, .ldo = s->m->E,
                                  .M = s->n_rows, .H = s->m->H, .Hkv = s->m->H, .D = s->m->D, .scale = 0.125f, .pool = s->pool,
                                  .slots = &s->slots, .rows = &s->rows};
    must(hdl_attention(s->stream, &a));
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
    must(hdl_attention(s->stream, &a));
}

static void run_edits(scene *s)
{
    const hdl_logit_edits_args a = {sizeof a, &s->slots, &s->rows, s->edits, s->n_rows, 0};
    must(hdl_logit_edits(s->stream, &a));
}

static void run_reduce(scene *s)
{
    const hdl_logit_reduce_args a = {sizeof a, s->x, s->w, s->weights, &s->slots, &s->rows, s->edits, s->found, s->n_rows, s->m->V, s->m->E, HDL_F32};
    must(hdl_logit_reduce(s->stream, &a));
}

static void run_product(scene *s)
{
    const hdl_gemm_args a = {.struct_bytes = sizeof a, .x = s->x, .ldx = s->m->E, .w = s->w, .y = s->logits, .ldy = s->m->V,
                             .M = s->n_rows, .N = s->m->V, .K = s->m->E};
    must(hdl_gemm(s->stream, &a));
}

static void run_copy(scene *s) { memcpy(s->y, s->x, sizeof(float) * MAX_ROWS * (size_t)s->m->E); }

/* Reads the weights once: eight sums, so that no addition waits for the one before. */
static void run_read(scene *s)
{
    enum { SUMS = 8 };
    const uint64_t *word = (const uint64_t *)(const void *)s->weights;
    uint64_t sum[SUMS] = {0};
    for (size_t i = 0; i + SUMS <= (size_t)s->m->V * (size_t)s->m->E / 2; i += SUMS)
        for (size_t j = 0; j < SUMS; j++) sum[j] ^= word[i + j];
    for (size_t j = 1; j < SUMS; j++) sum[0] ^= sum[j];
    s->read_sum = sum[0];
}

static void open_scene(scene *s, const model *m, hdl_isa isa)
{
    memset(s, 0, sizeof *s);
    s->m = m;
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    options.isa = isa;
    must(hdl_device_open("cpu", &options, &s->device));
    must(hdl_stream_create(s->device, &s->stream));
    const hdl_stream_limits limits = {sizeof limits, MAX_ROWS, m->E, m->E, m->V, POSITIONS, m->H, m->D, 0};
    const hdl_kv_pool_desc pool = {sizeof pool, 2 * MAX_ROWS * T / HDL_PAGE_ROWS + MAX_ROWS, 1, m->H, m->D, HDL_F32, 0};
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
    must(hdl_stream_reserve(s->stream, &limits));
    must(hdl_kv_pool_open(s->device, &pool, &s->pool));
    must(hdl_weight_pack(s->device, &pack, &s->w));
    must(hdl_embedding_open(s->device, &part, m->E, &s->table));
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
    int32_t *token = device_memory(s, (size_t)n * HDL_MAX_BEAM * sizeof(int32_t));
    hdl_slot_options *options = device_memory(s, (size_t)n * sizeof *options);
    uint64_t *history_off = device_memory(s, (size_t)n * sizeof *history_off);
    hdl_slot_options o = {.K = K, .T = T, .S = keys, .n_pool = 2 * K, .max_length = T, .repetition_penalty = 1.0f, .min_length = 1,
                          .n_end = 1, .unknown_id = -1, .pad_id = s->m->V - 1};
    const uint64_t bytes = hdl_history_layout_of(&o).bytes;
    for (int32_t i = 0; i < n; i++) options[i] = o, history_off[i] = (uint64_t)i * bytes, group[i + 1] = (i + 1) * K;
    for (size_t i = 0; i < 2 * (size_t)n * pages; i++) page[i] = (int32_t)i;
    for (int32_t i = 0; i < n_rows; i++) slot[i] = i / K, beam[i] = i % K, pos[i] = keys - 1;
    for (int32_t i = 0; i < n * HDL_MAX_BEAM; i++) token[i] = (int32_t)((uint32_t)i * 2654435761u % (uint32_t)s->m->V);
    counts[0] = n_rows;
    counts[1] = n;
    s->slots = (hdl_slots){
        .n_slots = n, .V = s->m->V, .options = options, .state = device_memory(s, (size_t)n * sizeof(hdl_slot_state)),
        .token = token, .sum = device_memory(s, (size_t)n * HDL_MAX_BEAM * 4),
        .history = device_memory(s, (size_t)n * bytes), .history_off = history_off, .side = side, .self_pages = page,
        .source_pages = page + (size_t)n * pages, .self_stride = (int32_t)pages, .source_stride = (int32_t)pages};
    s->rows = (hdl_rows){counts, slot, beam, pos, counts + 1, group};
    s->n_rows = n_rows;
    s->keys = keys;
}

static void report(scene *s, const char *op, double flops, double bytes, double bytes_per_second, void (*run)(scene *))
{
    const timing t = time_op(s, run);
    const double arithmetic = s->flops_per_second > 0.0 ? flops / s->flops_per_second : 0.0;
    const double traffic = bytes / bytes_per_second, floor = arithmetic > traffic ? arithmetic : traffic;
    printf("%-8s %-8s %5d %5d %10.2f %10.2f %10.2f", s->m->name, op, s->n_rows, s->keys, t.fastest * 1e6, t.median * 1e6,
           floor * 1e6);
    const double share = floor / t.fastest;     /* above 1 the floor is no floor: its probe was disturbed */
    if (floor > 0.0) printf(" %6.0f %%%s\n", 100.0 * share, share > 1.0 + PROBE_SLACK ? " !" : "");
    else printf("\n");
}

static void bench_rows(scene *s, int32_t n_rows)
{
    const double E = s->m->E, V = s->m->V, M = n_rows, row = 4.0 * E, cache = s->bytes_per_second;
    for (size_t k = 0; k < sizeof key_counts / sizeof *key_counts; k++) {
        const double keys = key_counts[k], packed_rows = MAX_ROWS / key_counts[k] * keys;
        set_rows(s, n_rows, key_counts[k]);
        report(s, "self", 4.0 * M * keys * E, row * (2.0 * keys + 2.0) * M, cache, run_self);
        report(s, "source", 4.0 * M * keys * E, row * (2.0 * keys * s->slots.n_slots + 2.0 * M), cache, run_source);
        if (n_rows == MAX_ROWS) report(s, "packed", 4.0 * packed_rows * keys * E, row * 4.0 * packed_rows, cache, run_packed);
        if (k > 0) continue;
        report(s, "embed", 0.0, row * 2.0 * M, cache, run_embed);
        report(s, "norm", 0.0, row * 4.0 * M, cache, run_norm);
        report(s, "append", 0.0, row * 4.0 * M, cache, run_append);
        report(s, "edits", 0.0, 0.0, cache, run_edits);
        report(s, "product", 2.0 * M * E * V, row * V, s->weights_per_second, run_product);
        report(s, "reduce", 2.0 * M * E * V, row * V, s->weights_per_second, run_reduce);
    }
}

int main(int argc, char **argv)
{
    static const char *names[] = {"auto", "plain", "avx2", "avx512"};
    hdl_isa isa = HDL_ISA_AUTO;
    for (int i = 1; i < 4; i++)
        if (argc > 1 && strcmp(argv[1], names[i]) == 0) isa = (hdl_isa)i;
    double peak = measure_fma_peak(isa == HDL_ISA_AUTO ? HDL_ISA_AVX512 : isa, HDL_COMPUTE_F32, true);
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        scene s;
        open_scene(&s, &models[m], isa);
        s.flops_per_second = peak * 1e9;
        s.bytes_per_second = 2.0 * 4.0 * MAX_ROWS * s.m->E / time_op(&s, run_copy).fastest;
        s.weights_per_second = 4.0 * s.m->V * s.m->E / time_op(&s, run_read).fastest;
        printf("%s: peak %.1f GFLOP/s, copy in cache %.1f GB/s, weights read %.1f GB/s\n", s.m->name, peak,
               s.bytes_per_second * 1e-9, s.weights_per_second * 1e-9);
        printf("model    op        rows  keys    fastest     median   floor us  share\n");
        for (size_t i = 0; i < sizeof row_counts / sizeof *row_counts; i++) bench_rows(&s, row_counts[i]);
    }
    return 0;
}
