/*
 * op_fixture.h - what the tests of ops share: a backend opened in one of its places, numbers, slots, rows.
 *
 * Everything passes through device memory and the backend table, so that the same checks serve every backend. Hidden
 * rows ("act") are f32, bf16 or f16, as the place says: op_act rounds the test's own numbers before they are sent, so that a
 * reference computes from what the op reads, and op_act_fetch widens what it wrote.
 */
#ifndef HEDDLE_TESTS_OP_FIXTURE_H
#define HEDDLE_TESTS_OP_FIXTURE_H

#include <heddle/backend.h>
#include <heddle/detail/history.h>

#include <stdbool.h>

enum { OP_MAX_BLOCKS = 1024, OP_MAX_SLOTS = 8, OP_MAX_SIDE = 512 };

/* The limit of a test that runs on devices: far above what instrumented builds on a busy machine need. A test that has a limit can
 * be given a smaller one from outside, as gpu-check.sh does. */
#define OP_TEST_SECONDS 600

/* Where an op runs: the CPU backend on one instruction set, or a library of the build folder under one compute type. */
typedef enum op_place {
    OP_PLAIN, OP_AVX2, OP_AVX512, OP_SIMT_F32, OP_SIMT_BF16, OP_SIMT_F16, OP_CUDA_F32, OP_CUDA_BF16, OP_CUDA_F16,
    OP_N_PLACES,        /* what a loop over all ops visits */
    OP_SIMT_INT8 = OP_N_PLACES, OP_CUDA_INT8,   /* int8 weights, hidden rows of bf16: for ops that multiply */
    OP_N_PRODUCT_PLACES,
    OP_CPU_AUTO = OP_N_PRODUCT_PLACES,          /* the CPU's best; not among those that a loop visits */
    OP_CPU_INT8                                 /* likewise; int8 weights, hidden rows of f32 */
} op_place;

typedef struct op_world {
    const hdl_backend  *backend;
    hdl_backend_device *device;
    hdl_backend_stream *stream;
    op_place            place;
    hdl_compute         compute;    /* of weights: F32, BF16, F16 or INT8 */
    hdl_dtype           act;        /* of hidden rows, keys and values under it */
    hdl_isa             isa;        /* of the CPU backend */
    uint64_t            random;
    int                 n_blocks;
    struct { void *block; size_t bytes; bool host; } blocks[OP_MAX_BLOCKS];
} op_world;

/* The instruction sets that a test runs on, in turn. */
#define OP_N_ISA 3
extern const hdl_isa op_isas[OP_N_ISA];
const char          *op_isa_name(hdl_isa isa);

const char *op_place_name(op_place place);
static inline bool op_on_simt(const op_world *w)
{
    return (w->place >= OP_SIMT_F32 && w->place <= OP_SIMT_F16) || w->place == OP_SIMT_INT8;
}
static inline bool op_on_cpu(const op_world *w) { return w->place <= OP_AVX512 || w->place == OP_CPU_AUTO || w->place == OP_CPU_INT8; }

/* False, with a line that says skipped, when the processor, the library or the device is not there. Prints the seed. */
bool op_open_at(op_world *w, op_place place, uint64_t seed);
bool op_open(op_world *w, hdl_isa isa, uint64_t seed);  /* on the CPU */
/* Another order of threads, blocks and queued work; only the stand-in has one. */
void op_schedule(op_world *w, uint64_t seed);
/* The detail line of the last failure in this world. */
const char *op_error(const op_world *w);
void op_reserve(op_world *w, const hdl_stream_limits *limits);
void op_close(op_world *w);

/* Zeroed host memory, and device memory with a copy of `host` (NULL: zero); both live until op_close. */
void *op_host(op_world *w, size_t bytes);
void *op_device(op_world *w, const void *host, size_t bytes);
void  op_send(op_world *w, void *device, const void *host, size_t bytes);
void  op_fetch(op_world *w, void *host, const void *device, size_t bytes);

/* n elements of the world's act dtype: rounds `host` to it where it lies, then as op_device, op_send, op_fetch. */
void *op_act(op_world *w, float *host, size_t n);
void  op_act_send(op_world *w, void *device, float *host, size_t n);
void  op_act_fetch(op_world *w, float *host, const void *device, size_t n);
void  op_act_round(const op_world *w, float *values, size_t n);
/* Rounding to act moves a number by this part of it at the most. */
static inline double op_act_step(const op_world *w)
{
    return w->act == HDL_F32 ? 0x1p-24 : w->act == HDL_F16 ? 0x1p-11 : 0x1p-8;
}
static inline size_t op_act_bytes(const op_world *w, size_t n) { return n * (w->act == HDL_F32 ? 4 : 2); }

/* Where the world multiplies int8: moves rows [rows, K] to a grid that int8, bf16 and f16 hold exactly, the first value of a row
 * its greatest. Else leaves them alone. */
void op_int8_grid(const op_world *w, float *values, int32_t rows, int32_t K);
/* What a product of the world takes for rows [rows, K] that are exact in act: themselves, or each row on its int8 grid. */
double *op_multiplied(op_world *w, const float *values, int32_t rows, int32_t K);

double   op_uniform(op_world *w);               /* [0, 1) */
float    op_normal(op_world *w);
int32_t  op_below(op_world *w, int32_t n);      /* 0 .. n - 1 */
float   *op_normals(op_world *w, size_t n);     /* host memory */
float   *op_copies(op_world *w, size_t n, float value);

/* Greatest |found - expected|; infinite when a value is not finite. */
double op_worst(const float *found, const double *expected, size_t n);
/* Twice the rounding noise of the values themselves: 2 max |(x + 0.3 - 0.3) - x| in f32. */
double op_noise(const double *expected, size_t n);
/*
 * What an error may be (docs/numerics.md): twice that of the naive f32 computation `naive`, which is rounded to act
 * here, and twice the rounding noise of the values in act.
 */
double op_bound(const op_world *w, float *naive, const double *expected, size_t n);

/* Slots: host copies, and the record of device pointers. Set the host copies, then op_slots_send. */
typedef struct op_slots {
    hdl_slots         at;
    int32_t           n, n_side, self_stride, source_stride;
    size_t            history_bytes;
    hdl_slot_options  options[OP_MAX_SLOTS];
    hdl_slot_state    state[OP_MAX_SLOTS];
    int32_t           token[OP_MAX_SLOTS * HDL_MAX_BEAM];
    float             sum[OP_MAX_SLOTS * HDL_MAX_BEAM];
    uint64_t          history_off[OP_MAX_SLOTS];
    int32_t           side[OP_MAX_SIDE];
    uint8_t          *history;
    int32_t          *self_pages, *source_pages;
} op_slots;

/* A slot with K beams, T history rows and S source rows; everything else a plain search needs. */
hdl_slot_options op_options(int32_t K, int32_t T, int32_t S);
/* After the options are set: history, page tables with shuffled page numbers. Returns the number of pages, 0 being nobody's. */
int32_t op_slots_make(op_world *w, op_slots *s, int32_t V);
void    op_slots_send(op_world *w, op_slots *s);
void    op_slots_fetch(op_world *w, op_slots *s);
int32_t op_side(op_slots *s, const int32_t *values, int32_t n);     /* appends; returns the offset */

/* Rows of a step. */
typedef struct op_rows {
    hdl_rows at;
    int32_t  n, n_groups, capacity;
    int32_t *slot, *beam, *pos, *group;
} op_rows;

op_rows op_rows_make(op_world *w, int32_t capacity);
void    op_row_add(op_rows *r, int32_t slot, int32_t beam, int32_t pos);    /* rows of a slot one after another */
void    op_rows_send(op_world *w, op_rows *r);

/* Weights [N, K] of f32, packed. */
hdl_weight *op_pack(op_world *w, const float *data, int32_t N, int32_t K, hdl_compute compute);

/* op_backends.c: the table of "simt" or "cuda" from the build folder (NULL after a line that says skipped), and what it
 * is lent. */
const hdl_backend            *op_library(const char *name);
extern const hdl_backend_host op_services;
/* A function that the library exports beside the table, or NULL. */
void       *op_symbol(const char *name, const char *symbol);
const char *op_services_line(void);

#endif
