/*
 * bench_translate.c - tokens a second of whole translations, beside the floor that arithmetic and memory allow.
 *
 * Usage: bench_translate [--quick] [--model DIR --text FILE] [--shape tiny|small|base|big|deep] [--lengths FILE]
 *                        [--lines N] [--device cpu|cuda|cuda:0,1|simt] [--compute f32,bf16,f16,int8] [--beam 1,4]
 *                        [--threads 1,2] [--max-rows N] [--poisson RATE] [--trace FILE]
 *
 * Without --shape: the shipped model on the Tatoeba test sentences. With --shape: random weights and random sentences,
 * 64 of 5 to 45 tokens with targets of 26, or, with --lengths, one for each line "source target" of FILE (counts of
 * tokens without end token); --lengths goes with --model too. Target lengths are forced: min-length = max-length. A
 * token is one token of the best hypothesis, the end token counted once. Each figure is the fastest of several runs;
 * with --poisson, sentences arrive at random, RATE a second, and there is one run; so there is with --trace, which writes
 * what trace_ops.py reads, of the last setting when there are several. --device, --lengths, --lines,
 * --max-rows and --poisson add the steady rate, counts, and latencies from submit to result.
 *
 * The floor of a run is what its multiply-adds and its bytes need at measured limits; the share is floor over time.
 * Bytes are the decoder's weights once a step, the encoder's once a pass, and each key and value once a position that
 * sees it, beams sharing them. On the CPU the limits are the peak of its multiply-adds, or of its tiles (AMX; f32 only
 * for a model stored as f16 or bf16), and what a core reads from the cache that holds the weights, or from memory, and
 * the two times add up. Elsewhere they are those of device_limits.h, heddle's own kernels, measured before; a device
 * computes and reads at a time, so that the longer of the two counts.
 *
 * The steady rate is of the tokens between the first and the last tenth by completion. Sentences should be many times
 * the rows: what was computed of a sentence before the first tenth is counted too. A latency begins when a sentence was
 * due, not when this program came to submit it.
 */
#include "device_limits.h"
#include "finish_times.h"
#include "fma_peak.h"
#include "random_model.h"
#include "translate_options.h"
#include "work_lines.h"

#include <heddle/heddle.h>

#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS 5
#define MOST_SECONDS 20.0       /* of one figure with --lengths: no further run begins after that */
#define STREAM_BYTES ((size_t)64 << 20)         /* more than caches hold */
#define LEAST_BYTES ((size_t)64 << 10)
#define ARRIVAL_SEED 7u
#define USUAL_QUEUE 1024        /* the translator's own is this, or the rows of all lanes where they are more */
#define USUAL_BEAM 16           /* the translator's own, which is raised and never lowered */

typedef struct setting { int beam, threads; hdl_compute compute; } setting;

typedef struct mark { struct pass *pass; size_t i; } mark;

/* One translation of all lines; the arrays are [n_lines] and callbacks write to them until the translator is closed. */
typedef struct pass {
    const work   *w;
    finish_time  *times;
    hdl_ticket  **tickets;
    mark         *marks;
    atomic_size_t n_finished;
} pass;

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

static uint64_t read_block(const uint64_t *block, size_t n_words)
{
    uint64_t sum = 0;
    for (size_t i = 0; i + 8 <= n_words; i += 8)
        sum += block[i] + block[i + 1] + block[i + 2] + block[i + 3] + block[i + 4] + block[i + 5] + block[i + 6]
               + block[i + 7];
    return sum;
}

/* Bytes a second of one core reading so many bytes again and again: from the cache that holds them, or from memory. */
static double measure_bandwidth(size_t bytes)
{
    const size_t size = bytes < LEAST_BYTES ? LEAST_BYTES : bytes < STREAM_BYTES ? bytes : STREAM_BYTES;
    const size_t times = STREAM_BYTES / size;
    uint64_t *block = malloc(size), sum = 0;
    double best = 1e9;
    if (block == NULL) return 1e10;
    memset(block, 1, size);
    for (int run = 0; run < RUNS; run++) {
        const double began = seconds_now();
        for (size_t i = 0; i < times; i++) sum += read_block(block, size / sizeof *block);
        const double took = seconds_now() - began;
        if (took < best) best = took;
    }
    volatile uint64_t sink = sum;
    (void)sink;
    free(block);
    return (double)(times * size) / best;
}

/* Weights that an encoder pass reads: its layers, and the source keys and values of the decoder's. */
static double encoder_weights(const hdl_model_info *m)
{
    const double E = m->d_model;
    return m->encoder_layers * (4 * E * E + 2 * E * m->encoder_ffn) + m->decoder_layers * 2 * E * E;
}

/* Weights that a step reads, the output matrix among them. */
static double decoder_weights(const hdl_model_info *m)
{
    const double E = m->d_model;
    return m->decoder_layers * (6 * E * E + 2 * E * m->decoder_ffn) + E * m->target_vocabulary;
}

/* Multiply-adds of the run, two operations each. */
static double count_operations(const hdl_model_info *m, const hdl_translator_stats *s)
{
    return 2 * ((double)s->source_tokens * encoder_weights(m) + (double)s->rows * decoder_weights(m));
}

/* Bytes that the run must read. Sentences count as equally long: the sum of their keys is no larger so. */
static double count_bytes(const hdl_model_info *m, const hdl_translator_stats *s, hdl_compute compute)
{
    const double encoder = encoder_weights(m), decoder = decoder_weights(m), n = (double)s->sentences;
    const double element = compute == HDL_COMPUTE_BF16 || compute == HDL_COMPUTE_F16 ? 2 : 4;
    const double source = n > 0 ? (double)s->source_tokens / n : 0, target = n > 0 ? (double)s->target_tokens / n : 0;
    const double keys = n * (target * (target + 1) / 2 + target * source);
    return (double)s->weight_bytes
               * ((double)s->steps * decoder + (double)s->encoder_passes * encoder) / (encoder + decoder)
           + keys * m->decoder_layers * 2 * m->d_model * element;
}

static void on_done(hdl_ticket *ticket, void *user)
{
    const mark *m = user;
    (void)ticket;
    m->pass->times[m->i].finished = seconds_now();
    atomic_fetch_add(&m->pass->n_finished, 1);
}

static hdl_status submit_line(pass *p, hdl_translator *t, const setting *s, size_t i, double due)
{
    const work_line *line = &p->w->lines[i];
    hdl_search_options search = HDL_SEARCH_OPTIONS_INIT;
    hdl_request r = HDL_REQUEST_INIT;
    search.beam = s->beam;
    search.min_length = search.max_length = line->length;
    r.search = &search;
    r.wait = 1;
    r.line = i;
    r.tokens = line->words;
    r.n_tokens = line->n_words;
    r.text = line->text;
    r.n_bytes = line->text != NULL ? strlen(line->text) : 0;
    r.on_done = on_done;
    r.user = &p->marks[i];
    p->marks[i] = (mark){p, i};
    p->times[i].submitted = due;
    return hdl_translator_submit(t, &r, &p->tickets[i]);
}

static void sleep_until(double when)
{
    const double left = when - seconds_now();
    if (left <= 0) return;
    const struct timespec t = {(time_t)left, (long)((left - floor(left)) * 1e9)};
    nanosleep(&t, NULL);
}

static int wait_for_line(pass *p, size_t i)
{
    const hdl_result *result;
    const int forced = p->w->lines[i].length;
    if (hdl_ticket_wait(p->tickets[i], -1, &result) != HDL_OK) return stop("translate");
    if (result->status != HDL_OK) return fprintf(stderr, "bench_translate: line %zu: %s\n", i + 1, result->detail), 1;
    p->times[i].tokens = result->n_hypotheses > 0 ? result->hypotheses[0].n_logprobs : 0;
    if (forced > 0 && p->times[i].tokens != (size_t)forced) {
        fprintf(stderr, "bench_translate: line %zu has %zu tokens, %d forced\n", i + 1, p->times[i].tokens, forced);
        return 1;
    }
    return 0;
}

static void release_tickets(pass *p)
{
    for (size_t i = 0; i < p->w->n_lines; i++) {
        hdl_ticket_release(p->tickets[i]);
        p->tickets[i] = NULL;
    }
}

static int translate_all(pass *p, hdl_translator *t, const setting *s, double arrivals)
{
    const size_t n = p->w->n_lines;
    uint32_t state = ARRIVAL_SEED;
    double due = seconds_now();
    atomic_store(&p->n_finished, 0);
    for (size_t i = 0; i < n; i++) {
        if (arrivals > 0) {
            state = state * 1664525u + 1013904223u;
            due -= log(((double)(state >> 8) + 0.5) * 0x1p-24) / arrivals;
            sleep_until(due);
        }
        if (submit_line(p, t, s, i, arrivals > 0 ? due : seconds_now()) != HDL_OK) return stop("submit");
    }
    for (size_t i = 0; i < n; i++)
        if (wait_for_line(p, i) != 0) return 1;
    while (atomic_load(&p->n_finished) < n) sched_yield();     /* a ticket's wait may end before its callback has */
    release_tickets(p);
    return 0;
}

/* Whether the CPU backend multiplies in AMX tiles. */
static int has_tiles(void)
{
    hdl_device_entry cpu = HDL_DEVICE_ENTRY_INIT;
    return hdl_device_list(NULL, 0, &cpu) == HDL_OK && strstr(cpu.line, " AMX") != NULL;
}

/* f32 products go to tiles where the model's weights were stored in 16 bits (host/cpu/gemm_halves.h). */
static int uses_tiles(const hdl_model_info *m, const setting *set)
{
    const int halves = strcmp(m->weights_dtype, "f16") == 0 || strcmp(m->weights_dtype, "bf16") == 0;
    return has_tiles() && (set->compute != HDL_COMPUTE_F32 || halves);
}

/* What bounds a run: of a device, or of the cores. */
typedef struct limits {
    int           on_cpu;
    device_limits device;       /* not of the CPU, whose limits follow from compute type and size of the weights */
} limits;

static double floor_of(const hdl_model_info *m, const hdl_translator_stats *s, const setting *set, const limits *l)
{
    const double operations = count_operations(m, s), bytes = count_bytes(m, s, set->compute);
    /* elsewhere a lane stands for a device */
    if (!l->on_cpu) return fmax(operations / l->device.peak, bytes / l->device.bandwidth) / s->lanes;
    const double reading = bytes / measure_bandwidth(s->weight_bytes);
    const double tiles = uses_tiles(m, set) ? measure_tile_peak(set->compute) : 0;
    const double peak = tiles > 0 ? tiles : measure_fma_peak(HDL_ISA_AVX512, set->compute, true);
    const double known = peak > 0 ? peak : measure_fma_peak(HDL_ISA_AVX2, HDL_COMPUTE_F32, false);
    return ((known > 0 ? operations / (known * 1e9) : 0) + reading) / set->threads;
}

static void print_times(const hdl_translator_stats *s, const finish_summary *times)
{
    printf("  steady ");
    if (times->steady_rate > 0)
        printf("%9.0f", times->steady_rate);
    else
        printf("-");
    printf(" tokens/s  tokens %llu  rows %llu  steps %llu  latency p50 %.4f p95 %.4f p99 %.4f s",
           (unsigned long long)s->target_tokens, (unsigned long long)s->rows, (unsigned long long)s->steps, times->p50,
           times->p95, times->p99);
}

/* times NULL: latencies are not asked for. */
static void print_row(const hdl_model_info *info, const hdl_translator_stats *s, const setting *set, double took,
                      const limits *l, const finish_summary *times)
{
    const double least = floor_of(info, s, set, l), steps = (double)s->steps;
    printf("%-5s beam %d, threads %d: %9.0f tokens/s  %7.3f s  rows a step %5.1f", compute_name(set->compute), set->beam,
           set->threads, (double)s->target_tokens / took, took, (double)s->rows / steps);
    if (!l->on_cpu) printf("  launches a step %.1f", (double)s->launches / steps);
    printf("  %6.1f GFLOP/s  floor %6.3f s  share %3.0f %%", count_operations(info, s) / took * 1e-9, least,
           100 * least / took);
    if (times != NULL) print_times(s, times);
    printf("\n");
    fflush(stdout);
}

/* Runs the lines until the figure is had; `best` and `summary` are of the fastest run, the counts of the last. */
static int run_passes(const translate_options *o, pass *p, hdl_translator *t, const setting *s,
                      hdl_translator_stats *counts, double *best, finish_summary *summary)
{
    hdl_translator_stats before = HDL_TRANSLATOR_STATS_INIT;
    const double first = seconds_now();
    int rc = 0;
    for (int run = 0; run < o->runs && rc == 0; run++) {
        if (run > 0 && o->lengths != NULL && seconds_now() - first > MOST_SECONDS) break;
        const double began = seconds_now();
        hdl_translator_get_stats(t, &before);
        rc = translate_all(p, t, s, o->arrivals);
        if (rc != 0) break;
        const double took = seconds_now() - began;
        hdl_translator_get_stats(t, counts);
        if (run == 0 || took < *best) {
            *best = took;
            *summary = summarise_finish_times(p->times, p->w->n_lines);
        }
    }
    counts->source_tokens -= before.source_tokens;
    counts->target_tokens -= before.target_tokens;
    counts->rows -= before.rows;
    counts->steps -= before.steps;
    counts->launches -= before.launches;
    counts->sentences -= before.sentences;
    counts->encoder_passes -= before.encoder_passes;
    return rc;
}

static int measure(const translate_options *o, const work *w, const setting *s, const limits *l)
{
    hdl_translator_options open = HDL_TRANSLATOR_OPTIONS_INIT;
    hdl_device_options places = HDL_DEVICE_OPTIONS_INIT;
    hdl_translator *t;
    hdl_model_info info = HDL_MODEL_INFO_INIT;
    hdl_translator_stats counts = HDL_TRANSLATOR_STATS_INIT;
    finish_summary summary = {0};
    double best = 0;
    open.device = o->device;
    open.device_options = &places;
    open.threads = s->threads;
    open.compute = s->compute;
    open.max_rows = o->max_rows;
    open.trace = o->trace;
    places.library_dir = HEDDLE_BACKENDS;       /* this program stands in a folder of its own, away from the libraries */
    /* latencies count from submit, so that it must not wait */
    if (o->times) open.max_queue = w->n_lines > USUAL_QUEUE ? (int32_t)w->n_lines : USUAL_QUEUE;
    if (s->beam > USUAL_BEAM) open.max_beam = s->beam;
    if (hdl_model_describe(w->model, &info) != HDL_OK) return stop("describe");
    if (hdl_translator_open(w->model, &open, &t) != HDL_OK) return stop("open");
    pass p = {.w = w, .times = calloc(w->n_lines, sizeof *p.times), .tickets = calloc(w->n_lines, sizeof *p.tickets),
              .marks = calloc(w->n_lines, sizeof *p.marks)};
    const int room = p.times != NULL && p.tickets != NULL && p.marks != NULL;
    if (!room) fprintf(stderr, "bench_translate: no memory for the tickets\n");
    int rc = room ? run_passes(o, &p, t, s, &counts, &best, &summary) : 1;
    if (rc == 0) print_row(&info, &counts, s, best, l, o->times ? &summary : NULL);
    if (hdl_translator_close(t, 0) != HDL_OK && rc == 0) rc = stop("close");
    if (p.tickets != NULL) release_tickets(&p);
    free(p.times);
    free(p.tickets);
    free(p.marks);
    return rc;
}

/* The limits of a compute type, printed as they are found; of several devices those of the first. */
static int find_limits(const translate_options *o, hdl_compute compute, limits *l)
{
    char first[64];
    if (l->on_cpu) return 1;
    snprintf(first, sizeof first, "%s", o->device);
    first[strcspn(first, ",")] = '\0';
    if (strcmp(first, "cuda:all") == 0 || strcmp(first, "simt:all") == 0) first[strlen("cuda")] = '\0';
    if (!measure_device_limits(first, HEDDLE_BACKENDS, compute, o->small, &l->device)) return 0;
    printf("%-5s limits: rows copied at %.2f GB/s, products at %.3f TFLOP/s\n", compute_name(compute),
           l->device.bandwidth * 1e-9, l->device.peak * 1e-12);
    return 1;
}

static int measure_all(const translate_options *o, const work *w)
{
    limits l = {.on_cpu = o->on_cpu};
    printf("%s, %zu lines; ", o->shape != NULL ? o->shape->name : o->model, w->n_lines);
    if (o->on_cpu) {
        printf("one core reads %.1f GB/s\n", measure_bandwidth(STREAM_BYTES) * 1e-9);
    } else {
        printf("device %s\n", o->device);
    }
    for (int c = 0; c < o->n_compute; c++) {
        if (!find_limits(o, o->compute[c], &l)) return 1;
        for (int t = 0; t < o->n_threads; t++)
            for (int b = 0; b < o->n_beam; b++)
                if (measure(o, w, &(setting){o->beam[b], o->threads[t], o->compute[c]}, &l) != 0) return 1;
    }
    return 0;
}

static int load(const translate_options *o, work *w, random_model *bytes)
{
    const size_t most = o->lines > 0 ? (size_t)o->lines : SIZE_MAX;
    const hdl_model_options options = {.struct_bytes = sizeof options, .tokens_only = o->shape != NULL || o->lengths != NULL};
    if (o->shape == NULL) {
        if (hdl_model_load(o->model, &options, &w->model) != HDL_OK) return stop(o->model);
        return o->lengths != NULL ? !work_read_lengths(o->lengths, most, w) : !work_read_text(o->text, most, w);
    }
    if (!random_model_make(o->shape, bytes)) return fprintf(stderr, "bench_translate: no memory\n"), 1;
    if (hdl_model_load_memory(bytes->files, 3, &options, &w->model) != HDL_OK) return stop(o->shape->name);
    return o->lengths != NULL ? !work_read_lengths(o->lengths, most, w) : !work_draw(most, w);
}

int main(int argc, char **argv)
{
    translate_options o;
    work w = {0};
    random_model bytes = {0};
    if (!translate_options_read(argc, argv, &o)) return 2;
    const int rc = load(&o, &w, &bytes) != 0 || measure_all(&o, &w) != 0;
    hdl_model_close(w.model);
    random_model_free(&bytes);
    work_free(&w);
    return rc;
}
