/* translate_options.c - options of bench_translate; a wrong value is answered with what is allowed. */
#include "translate_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS 5
#define MOST_BEAM 64
#define MOST_THREADS 256
#define MOST_ROWS 4096
#define MOST_LINES 1000000
#define MOST_RATE 1e6

static const model_shape shapes[] = {
    {"tiny", 1, 1, 64, 128, 2, 301},         {"small", 4, 2, 256, 1024, 4, 8001},   {"base", 6, 6, 512, 2048, 8, 32000},
    {"big", 6, 6, 1024, 4096, 16, 32000},    {"deep", 12, 2, 512, 2048, 8, 32000},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static const struct { const char *name; hdl_compute compute; } computes[] = {
    {"f32", HDL_COMPUTE_F32}, {"bf16", HDL_COMPUTE_BF16}, {"f16", HDL_COMPUTE_F16}, {"int8", HDL_COMPUTE_INT8}};
enum { N_COMPUTES = sizeof computes / sizeof computes[0] };

/* What the command line said, as text. */
typedef struct given { const char *beam, *threads, *compute, *shape, *lines, *max_rows, *poisson; } given;

static int refuse(const char *option, const char *value, const char *allowed)
{
    fprintf(stderr, "bench_translate: %s '%s', allowed %s\n", option, value, allowed);
    return 0;
}

const char *compute_name(hdl_compute compute)
{
    int i = 0;
    while (i < N_COMPUTES - 1 && computes[i].compute != compute) i++;
    return computes[i].name;
}

static int read_number(const char *option, const char *text, long most, int *out)
{
    char *end, allowed[48];
    const long value = strtol(text, &end, 10);
    if (end != text && *end == '\0' && value >= 1 && value <= most) {
        *out = (int)value;
        return 1;
    }
    snprintf(allowed, sizeof allowed, "1 to %ld", most);
    return refuse(option, text, allowed);
}

/* "1,4" to numbers. */
static int read_numbers(const char *option, const char *text, long most, int *out, int *n)
{
    char copy[128], allowed[80];
    snprintf(allowed, sizeof allowed, "at most %d numbers from 1 to %ld, joined by commas", MOST_LIST, most);
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy) return refuse(option, text, allowed);
    *n = 0;
    for (char *at = copy; at != NULL;) {
        char *comma = strchr(at, ',');
        if (comma != NULL) *comma = '\0';
        char *end;
        const long value = strtol(at, &end, 10);
        if (*n == MOST_LIST || end == at || *end != '\0' || value < 1 || value > most)
            return refuse(option, text, allowed);
        out[(*n)++] = (int)value;
        at = comma != NULL ? comma + 1 : NULL;
    }
    return 1;
}

/* In the order of the table, whatever the order given. */
static int read_computes(const char *text, translate_options *o)
{
    int names = 1;
    for (const char *at = text; *at != '\0'; at++) names += *at == ',';
    for (int i = 0; i < N_COMPUTES; i++) {
        const size_t n = strlen(computes[i].name);
        const char *at = text;
        while (at != NULL && (strcspn(at, ",") != n || strncmp(at, computes[i].name, n) != 0))
            at = strchr(at, ',') != NULL ? strchr(at, ',') + 1 : NULL;
        if (at != NULL) o->compute[o->n_compute++] = computes[i].compute;
    }
    return o->n_compute == names ? 1 : refuse("--compute", text, "f32, bf16, f16, int8, each once, joined by commas");
}

static int read_shape(const char *text, translate_options *o)
{
    char allowed[80] = "";
    for (int i = 0; i < N_SHAPES; i++) {
        if (strcmp(shapes[i].name, text) == 0) o->shape = &shapes[i];
        strcat(strcat(allowed, i > 0 ? ", " : ""), shapes[i].name);
    }
    return o->shape != NULL ? 1 : refuse("--shape", text, allowed);
}

/* cuda, cuda:N, cuda:N,N..., cuda:all; simt the same. What the list says of devices the translator checks. */
static int read_device(translate_options *o)
{
    static const char *const kinds[] = {"cuda", "simt"};
    const char *d = o->device;
    o->on_cpu = strcmp(d, "cpu") == 0;
    o->small = strncmp(d, "simt", 4) == 0;
    if (o->on_cpu) return 1;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const size_t n = strlen(kinds[i]);
        if (strncmp(d, kinds[i], n) == 0 && (d[n] == '\0' || (d[n] == ':' && d[n + 1] != '\0'))) return 1;
    }
    return refuse("--device", d, "cpu, cuda, cuda:N, cuda:N,N, cuda:all, simt");
}

static int read_rate(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    if (end != text && *end == '\0' && *out > 0 && *out <= MOST_RATE) return 1;
    return refuse("--poisson", text, "sentences a second, above 0, at most 1e6");
}

static int read_words(int argc, char **argv, translate_options *o, given *g)
{
    const struct { const char *name; const char **value; } words[] = {
        {"--model", &o->model}, {"--text", &o->text}, {"--lengths", &o->lengths}, {"--device", &o->device},
        {"--beam", &g->beam}, {"--threads", &g->threads}, {"--compute", &g->compute}, {"--shape", &g->shape},
        {"--lines", &g->lines}, {"--max-rows", &g->max_rows}, {"--poisson", &g->poisson},
        {"--trace", &o->trace}};
    const size_t n = sizeof words / sizeof words[0];
    for (int i = 1; i < argc; i++) {
        size_t w = 0;
        if (strcmp(argv[i], "--quick") == 0) { o->runs = 1; continue; }
        while (w < n && strcmp(words[w].name, argv[i]) != 0) w++;
        if (w == n) return fprintf(stderr, "bench_translate: unknown argument %s\n", argv[i]), 0;
        if (i + 1 == argc) return fprintf(stderr, "bench_translate: %s has no value\n", argv[i]), 0;
        *words[w].value = argv[++i];
    }
    return 1;
}

/* Values that differ between devices when they are not given. */
static void set_defaults(const translate_options *o, given *g)
{
    if (g->threads == NULL) g->threads = o->on_cpu ? "1,2" : "1";
    if (g->compute == NULL) g->compute = o->on_cpu ? "f32,int8" : "f32";
}

int translate_options_read(int argc, char **argv, translate_options *out)
{
    given g = {.beam = "1,4"};
    static const char usual_model[] = "models/en-de";
    *out = (translate_options){.model = usual_model, .text = "tests/data/en-de/test.en", .runs = RUNS};
    if (!read_words(argc, argv, out, &g)) return 0;
    out->times = out->device != NULL || out->lengths != NULL || g.lines != NULL || g.max_rows != NULL
                 || g.poisson != NULL;
    if (out->device == NULL) out->device = "cpu";
    if (!read_device(out)) return 0;
    set_defaults(out, &g);
    if (g.poisson != NULL || out->trace != NULL) out->runs = 1;
    if (out->lengths != NULL && g.shape == NULL && out->model == usual_model)
        return refuse("--lengths", out->lengths, "with --shape or --model only");
    return read_numbers("--beam", g.beam, MOST_BEAM, out->beam, &out->n_beam)
           && read_numbers("--threads", g.threads, MOST_THREADS, out->threads, &out->n_threads)
           && read_computes(g.compute, out) && (g.shape == NULL || read_shape(g.shape, out))
           && (g.lines == NULL || read_number("--lines", g.lines, MOST_LINES, &out->lines))
           && (g.max_rows == NULL || read_number("--max-rows", g.max_rows, MOST_ROWS, &out->max_rows))
           && (g.poisson == NULL || read_rate(g.poisson, &out->arrivals));
}
