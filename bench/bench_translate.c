/*
 * bench_translate.c - tokens a second of whole translations, beside the floor that arithmetic and memory allow.
 *
 * Usage: bench_translate [--quick] [--model DIR --text FILE] [--shape base|big|small] [--beam 1,4] [--threads 1,2]
 *                        [--compute f32,int8]
 *
 * Without --shape: the shipped model on the Tatoeba test sentences. With --shape: random weights, 64 random sentences of 5 to
 * 45 tokens, every target 26 tokens long (min-length = max-length). A token is one token of the best hypothesis, the
 * end token counted once. Each figure is the fastest of several runs. The floor of a run is the time of its multiply-adds at the measured peak of
 * the cores plus one reading of the weights a step at the measured bandwidth; the share is floor over time.
 */
#include "fma_peak.h"
#include "random_model.h"

#include <heddle/heddle.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_LINES 4096
#define MOST_WORDS 64
#define FORCED_LENGTH 26        /* newstest2017's median target length in pieces */
#define RANDOM_LINES 64
#define RUNS 5
#define STREAM_BYTES ((size_t)64 << 20)

typedef struct setting { int beam, threads; hdl_compute compute; } setting;

typedef struct work {
    hdl_model  *model;
    char       *lines[MOST_LINES];          /* text */
    const char *words[RANDOM_LINES][MOST_WORDS];
    size_t      n_words[RANDOM_LINES], n_lines;
    int         forced, runs;
} work;

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int stop(const char *what)
{
    fprintf(stderr, "bench_translate: %s: %s\n", what, hdl_error_detail());
    return 1;
}

/* Bytes a second of one core reading memory that does not fit its caches. */
static double measure_bandwidth(void)
{
    uint64_t *block = malloc(STREAM_BYTES), sum = 0;
    double best = 1e9;
    if (block == NULL) return 1e10;
    memset(block, 1, STREAM_BYTES);
    for (int run = 0; run < RUNS; run++) {
        const double began = seconds_now();
        for (size_t i = 0; i < STREAM_BYTES / 8; i += 8)
            sum += block[i] + block[i + 1] + block[i + 2] + block[i + 3] + block[i + 4] + block[i + 5] + block[i + 6] + block[i + 7];
        const double took = seconds_now() - began;
        if (took < best) best = took;
    }
    volatile uint64_t sink = sum;
    (void)sink;
    free(block);
    return (double)STREAM_BYTES / best;
}

/* Multiply-adds of the run, two operations each: encoder tokens, source keys and values, decoder rows with their logits. */
static double count_operations(const hdl_model_info *m, const hdl_translator_stats *s)
{
    const double E = m->d_model, tokens = (double)s->source_tokens, rows = (double)s->rows;
    const double encoder = m->encoder_layers * (4 * E * E + 2 * E * m->encoder_ffn) + m->decoder_layers * 2 * E * E;
    const double decoder = m->decoder_layers * (6 * E * E + 2 * E * m->decoder_ffn) + E * m->target_vocabulary;
    return 2 * (tokens * encoder + rows * decoder);
}

static hdl_status submit_line(const work *w, hdl_translator *t, const hdl_search_options *search, size_t i, hdl_ticket **ticket)
{
    hdl_request r = HDL_REQUEST_INIT;
    r.search = search;
    r.wait = 1;
    r.line = i;
    if (w->forced) {
        r.tokens = w->words[i];
        r.n_tokens = w->n_words[i];
    } else {
        r.text = w->lines[i];
        r.n_bytes = strlen(w->lines[i]);
    }
    return hdl_translator_submit(t, &r, ticket);
}

static int translate_all(const work *w, hdl_translator *t, const setting *s)
{
    static hdl_ticket *tickets[MOST_LINES];
    hdl_search_options search = HDL_SEARCH_OPTIONS_INIT;
    search.beam = s->beam;
    if (w->forced) search.min_length = search.max_length = FORCED_LENGTH;
    for (size_t i = 0; i < w->n_lines; i++)
        if (submit_line(w, t, &search, i, &tickets[i]) != HDL_OK) return stop("submit");
    for (size_t i = 0; i < w->n_lines; i++) {
        const hdl_result *result;
        if (hdl_ticket_wait(tickets[i], -1, &result) != HDL_OK || result->status != HDL_OK) return stop("translate");
        hdl_ticket_release(tickets[i]);
    }
    return 0;
}

static const char *compute_name(hdl_compute c) { return c == HDL_COMPUTE_INT8 ? "int8" : c == HDL_COMPUTE_BF16 ? "bf16" : "f32"; }

/* Whether the CPU backend multiplies in AMX tiles. */
static int has_tiles(void)
{
    hdl_device_entry cpu = HDL_DEVICE_ENTRY_INIT;
    return hdl_device_list(NULL, 0, &cpu) == HDL_OK && strstr(cpu.line, " AMX") != NULL;
}

static int measure(const work *w, const setting *s, double bandwidth)
{
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    hdl_translator *t;
    hdl_model_info info = HDL_MODEL_INFO_INIT;
    double best = 1e9;
    o.device = "cpu";
    o.threads = s->threads;
    o.compute = s->compute;
    if (hdl_model_describe(w->model, &info) != HDL_OK) return stop("describe");
    if (hdl_translator_open(w->model, &o, &t) != HDL_OK) return stop("open");
    hdl_translator_stats before = HDL_TRANSLATOR_STATS_INIT, after = HDL_TRANSLATOR_STATS_INIT;
    for (int run = 0; run < w->runs; run++) {
        const double began = seconds_now();
        hdl_translator_get_stats(t, &before);
        if (translate_all(w, t, s) != 0) return 1;
        hdl_translator_get_stats(t, &after);
        const double took = seconds_now() - began;
        if (took < best) best = took;
    }
    after.source_tokens -= before.source_tokens;
    after.rows -= before.rows;
    const double tokens = (double)(after.target_tokens - before.target_tokens), steps = (double)(after.steps - before.steps);
    const double operations = count_operations(&info, &after);
    const double tiles = has_tiles() ? measure_tile_peak(s->compute) : 0;
    const double peak = tiles > 0 ? tiles : measure_fma_peak(HDL_ISA_AVX512, s->compute, true);
    const double known = peak > 0 ? peak : measure_fma_peak(HDL_ISA_AVX2, HDL_COMPUTE_F32, false);
    const double floor_seconds = (known > 0 ? operations / (known * 1e9) : 0) / s->threads
                                 + steps * (double)after.weight_bytes / bandwidth / s->threads;
    printf("%-5s beam %d, threads %d: %9.0f tokens/s  %7.3f s  rows a step %5.1f  %6.1f GFLOP/s  floor %6.3f s  share %3.0f %%\n",
           compute_name(s->compute), s->beam, s->threads, tokens / best, best, (double)after.rows / steps, operations / best * 1e-9,
           floor_seconds, 100 * floor_seconds / best);
    fflush(stdout);
    return hdl_translator_close(t, 0) == HDL_OK ? 0 : stop("close");
}

static int read_lines(const char *path, work *w)
{
    char line[1 << 16];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "bench_translate: %s cannot be read\n", path);
        return 1;
    }
    while (w->n_lines < MOST_LINES && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        w->lines[w->n_lines++] = strdup(line);
    }
    fclose(file);
    return 0;
}

/* Source lengths between 5 and 45 tokens, like edited text; fixed seed. */
static void draw_lines(int V, work *w)
{
    uint32_t state = 1;
    const hdl_tokenizer *names = hdl_model_tokenizer(w->model, 0);
    w->forced = 1;
    w->n_lines = RANDOM_LINES;
    for (size_t i = 0; i < RANDOM_LINES; i++) {
        state = state * 1664525u + 1013904223u;
        w->n_words[i] = 5 + (state >> 16) % 41;
        for (size_t j = 0; j < w->n_words[i]; j++) {
            state = state * 1664525u + 1013904223u;
            w->words[i][j] = hdl_tokenizer_token(names, 2 + (int32_t)((state >> 8) % (uint32_t)(V - 3)));
        }
    }
}

/* "1,4" to numbers; returns how many. */
static int read_list(const char *text, int *out, int most)
{
    int n = 0;
    for (const char *at = text; at != NULL && n < most; at = strchr(at, ',') != NULL ? strchr(at, ',') + 1 : NULL) out[n++] = atoi(at);
    return n;
}

int main(int argc, char **argv)
{
    static const model_shape shapes[] = {{"base", 6, 6, 512, 2048, 8, 32000}, {"big", 6, 6, 1024, 4096, 16, 32000},
                                         {"small", 4, 2, 256, 1024, 4, 8001}};
    const char *model = "models/en-de", *text = "tests/data/en-de/test.en", *shape = NULL, *computes = "f32,int8";
    const char *beams = "1,4", *threads = "1,2";
    static work w = {.runs = RUNS};
    random_model bytes = {0};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--quick") == 0) { w.runs = 1; continue; }
        if (strcmp(argv[i], "--model") == 0) model = value;
        else if (strcmp(argv[i], "--text") == 0) text = value;
        else if (strcmp(argv[i], "--shape") == 0) shape = value;
        else if (strcmp(argv[i], "--beam") == 0) beams = value;
        else if (strcmp(argv[i], "--threads") == 0) threads = value;
        else if (strcmp(argv[i], "--compute") == 0) computes = value;
        else return fprintf(stderr, "bench_translate: unknown argument %s\n", argv[i]), 2;
        i++;
    }
    if (shape == NULL) {
        if (hdl_model_load(model, NULL, &w.model) != HDL_OK) return stop(model);
        if (read_lines(text, &w) != 0) return 1;
    } else {
        size_t i = 0, n = sizeof shapes / sizeof shapes[0];
        while (i < n && strcmp(shapes[i].name, shape) != 0) i++;
        if (i == n) return fprintf(stderr, "bench_translate: shape %s, allowed base, big, small\n", shape), 2;
        const hdl_model_options options = {sizeof options, NULL, NULL, NULL, NULL, 1};
        if (!random_model_make(&shapes[i], &bytes)) return fprintf(stderr, "bench_translate: no memory\n"), 1;
        if (hdl_model_load_memory(bytes.files, 3, &options, &w.model) != HDL_OK) return stop(shape);
        draw_lines(shapes[i].V, &w);
    }
    int beam[8], thread[8];
    const int n_beams = read_list(beams, beam, 8), n_threads = read_list(threads, thread, 8);
    const double bandwidth = measure_bandwidth();
    printf("%s, %zu lines; one core reads %.1f GB/s\n", shape != NULL ? shape : model, w.n_lines, bandwidth * 1e-9);
    int rc = 0;
    for (int c = 0; c < 3 && rc == 0; c++) {
        static const hdl_compute all[] = {HDL_COMPUTE_F32, HDL_COMPUTE_BF16, HDL_COMPUTE_INT8};
        if (strstr(computes, compute_name(all[c])) == NULL) continue;
        for (int t = 0; t < n_threads && rc == 0; t++)
            for (int b = 0; b < n_beams && rc == 0; b++)
                rc = measure(&w, &(setting){beam[b], thread[t], all[c]}, bandwidth);
    }
    hdl_model_close(w.model);
    random_model_free(&bytes);
    for (size_t i = 0; i < w.n_lines; i++) free(w.lines[i]);
    return rc;
}
