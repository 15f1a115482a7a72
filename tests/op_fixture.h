/*
 * op_fixture.h - what the tests of ops share: a backend opened with one instruction set, numbers, slots, rows.
 *
 * Everything passes through device memory and the backend table, so that the same checks serve every backend whose activations are f32.
 */
#ifndef HEDDLE_TESTS_OP_FIXTURE_H
#define HEDDLE_TESTS_OP_FIXTURE_H

#include <heddle/backend.h>
#include <heddle/detail/history.h>

#include <stdbool.h>

enum { OP_MAX_BLOCKS = 1024, OP_MAX_SLOTS = 8, OP_MAX_SIDE = 512 };

typedef struct op_world {
    const hdl_backend  *backend;
    hdl_backend_device *device;
    hdl_backend_stream *stream;
    hdl_isa             isa;
    uint64_t            random;
    int                 n_blocks;
    struct { void *block; size_t bytes; bool host; } blocks[OP_MAX_BLOCKS];
} op_world;

/* The instruction sets that a test runs on, in turn. */
#define OP_N_ISA 3
extern const hdl_isa op_isas[OP_N_ISA];
const char          *op_isa_name(hdl_isa isa);

/* False, with a line that says skipped, when this processor lacks `isa`. Prints the seed. */
bool op_open(op_world *w, hdl_isa isa, uint64_t seed);
void op_reserve(op_world *w, const hdl_stream_limits *limits);
void op_close(op_world *w);

/* Zeroed host memory, and device memory with a copy of `host` (NULL: zero); both live until op_close. */
void *op_host(op_world *w, size_t bytes);
void *op_device(op_world *w, const void *host, size_t bytes);
void  op_send(op_world *w, void *device, const void *host, size_t bytes);
void  op_fetch(op_world *w, void *host, const void *device, size_t bytes);

double   op_uniform(op_world *w);               /* [0, 1) */
float    op_normal(op_world *w);
int32_t  op_below(op_world *w, int32_t n);      /* 0 .. n - 1 */
float   *op_normals(op_world *w, size_t n);     /* host memory */
float   *op_copies(op_world *w, size_t n, float value);

/* Greatest |found - expected|; infinite when a value is not finite. */
double op_worst(const float *found, const double *expected, size_t n);
/* Twice the rounding noise of the values themselves: 2 max |(x + 0.3 - 0.3) - x| in f32. */
double op_noise(const double *expected, size_t n);

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

#endif
