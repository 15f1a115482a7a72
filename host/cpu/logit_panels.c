/* logit_panels.c - walks the column panels of a block of rows, and merges what its chunks found. */
#include "cpu/logit_panels.h"
#include "cpu/kernel_table.h"

#include <math.h>
#include <string.h>

/* How far a row's sorted lists are consumed. */
typedef struct cursors { int32_t edit, allowed; } cursors;

static int32_t lower_bound(const int32_t *sorted, int32_t n, int64_t value)
{
    int32_t low = 0, high = n;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (sorted[middle] < value) low = middle + 1;
        else high = middle;
    }
    return low;
}

static bool edit_panel(const hdl__logit_row *row, cursors *at, float *z, int32_t n0, int32_t n1)
{
    const int32_t first = at->edit;
    for (; at->edit < row->n_edits && row->edits[at->edit] >> 2 < n1; at->edit++) {
        float *value = &z[(row->edits[at->edit] >> 2) - n0];
        if ((row->edits[at->edit] & 3) == HDL_EDIT_REMOVE) *value = -INFINITY;
        else *value = *value < 0.0f ? *value * row->penalty : *value / row->penalty;
    }
    return at->edit > first;
}

/* Everything between the allowed ids goes. */
static void keep_allowed(const hdl__logit_row *row, cursors *at, float *z, int32_t n0, int32_t n1)
{
    int32_t next = n0;
    for (; at->allowed < row->n_allowed && row->allowed[at->allowed] < n1; at->allowed++) {
        const int32_t id = row->allowed[at->allowed];
        while (next < id) z[next++ - n0] = -INFINITY;
        next = id + 1;
    }
    while (next < n1) z[next++ - n0] = -INFINITY;
}

/*
 * Chunks tell each other what is too little: a full list's last value. Whoever reads it late keeps values that the merge drops, so that
 * the result does not depend on the moment.
 */
static float read_floor(const float *floor)
{
    float value;
    __atomic_load(floor, &value, __ATOMIC_RELAXED);
    return value;
}

static void raise_floor(float *floor, const hdl__best *best)
{
    if (best->n < best->capacity || best->n == 0) return;
    float value = best->value[best->n - 1];
    if (value > read_floor(floor)) __atomic_store(floor, &value, __ATOMIC_RELAXED);
}

/* One row of one panel into what the chunk has found so far. */
static void add_panel(const hdl__logit_block *block, const hdl__logit_row *row, cursors *at, hdl__logit_part *part,
                      float *z, int32_t n0, int32_t n1)
{
    const hdl__op_kernels *kernels = &block->stream->device->kernels->ops;
    const int32_t n = n1 - n0;
    float max;
    if (!kernels->logit_scan(z, block->bias != NULL ? block->bias + n0 : NULL, n, &max)) part->bad = true;
    if (part->bad) return;
    bool edited = edit_panel(row, at, z, n0, n1);
    if (row->n_allowed > 0) {
        keep_allowed(row, at, z, n0, n1);
        edited = true;
    }
    if (edited) max = kernels->logit_max(z, n);
    if (row->kept != NULL) memcpy(row->kept + n0, z, (size_t)n * sizeof *z);
    if (row->wanted >= n0 && row->wanted < n1) part->wanted = z[row->wanted - n0];
    if (max == -INFINITY) return;
    if (max > part->max) {
        if (part->sum > 0.0) part->sum *= exp((double)part->max - (double)max);
        part->max = max;
    }
    part->sum += (double)kernels->logit_take(z, n, part->max, n0, &part->best);
}

static void walk_chunk(void *user, int32_t chunk)
{
    const hdl__logit_block *block = user;
    const int32_t n_panels = (block->V + HDL__LOGIT_PANEL - 1) / HDL__LOGIT_PANEL;
    const int32_t first = (int32_t)((int64_t)n_panels * chunk / block->n_chunks);
    const int32_t end = (int32_t)((int64_t)n_panels * (chunk + 1) / block->n_chunks);
    hdl__logit_part *parts = block->parts + (size_t)chunk * (size_t)block->M;
    _Alignas(HDL__CACHE_LINE) float z[HDL__LOGIT_ROWS * HDL__LOGIT_PANEL];
    cursors at[HDL__LOGIT_ROWS];
    for (int32_t m = 0; m < block->M; m++) {
        const hdl__logit_row *row = &block->rows[m];
        at[m].edit = lower_bound(row->edits, row->n_edits, (int64_t)first * HDL__LOGIT_PANEL * 4);
        at[m].allowed = lower_bound(row->allowed, row->n_allowed, (int64_t)first * HDL__LOGIT_PANEL);
        parts[m].max = parts[m].wanted = -INFINITY;
        parts[m].sum = 0.0;
        parts[m].bad = false;
        parts[m].best.n = 0;
        parts[m].best.bar = row->n_best > 0 ? nextafterf(read_floor(&block->floor[m]), -INFINITY) : INFINITY;
    }
    for (int32_t panel = first; panel < end; panel++) {
        const int32_t n0 = panel * HDL__LOGIT_PANEL;
        const int32_t n1 = n0 + HDL__LOGIT_PANEL < block->V ? n0 + HDL__LOGIT_PANEL : block->V;
        hdl__cpu_panel(block->stream, &block->x, n0, n1, z, HDL__LOGIT_PANEL);
        for (int32_t m = 0; m < block->M; m++)
            add_panel(block, &block->rows[m], &at[m], &parts[m], z + (size_t)m * HDL__LOGIT_PANEL, n0, n1);
    }
    for (int32_t m = 0; m < block->M; m++) raise_floor(&block->floor[m], &parts[m].best);
}

void hdl__logit_block_run(hdl__logit_block *block, size_t *used)
{
    const int32_t n_panels = (block->V + HDL__LOGIT_PANEL - 1) / HDL__LOGIT_PANEL;
    block->n_chunks = n_panels < HDL__LOGIT_CHUNKS ? n_panels : HDL__LOGIT_CHUNKS;
    size_t n_best = 0;
    for (int32_t m = 0; m < block->M; m++) n_best += (size_t)block->rows[m].n_best;
    const size_t n_parts = (size_t)block->n_chunks * (size_t)block->M, n_values = (size_t)block->n_chunks * n_best;
    block->parts = hdl__cpu_carve(block->stream, used, n_parts * sizeof *block->parts);
    float *value = hdl__cpu_carve(block->stream, used, n_values * sizeof *value);
    int32_t *id = hdl__cpu_carve(block->stream, used, n_values * sizeof *id);
    block->floor = hdl__cpu_carve(block->stream, used, (size_t)block->M * sizeof *block->floor);
    for (int32_t m = 0; m < block->M; m++) block->floor[m] = -INFINITY;
    for (int32_t chunk = 0; chunk < block->n_chunks; chunk++)
        for (int32_t m = 0; m < block->M; m++) {
            hdl__best *best = &block->parts[chunk * block->M + m].best;
            best->value = value;
            best->id = id;
            best->capacity = block->rows[m].n_best;
            value += block->rows[m].n_best;
            id += block->rows[m].n_best;
        }
    hdl__cpu_share(block->stream, block->n_chunks, walk_chunk, block);
}

void hdl__logit_block_merge(const hdl__logit_block *block, int32_t m, hdl__logit_result *result)
{
    const int32_t n_best = block->rows[m].n_best;
    hdl__best best = {result->value, result->id, 0, n_best, n_best > 0 ? -INFINITY : INFINITY};
    result->bad = false;
    result->max = result->wanted = -INFINITY;
    for (int32_t chunk = 0; chunk < block->n_chunks; chunk++) {
        const hdl__logit_part *part = &block->parts[chunk * block->M + m];
        result->bad = result->bad || part->bad;
        if (part->max > result->max) result->max = part->max;
        if (part->wanted > result->wanted) result->wanted = part->wanted;
        for (int32_t i = 0; i < part->best.n && part->best.value[i] > best.bar; i++)
            hdl__best_add(&best, part->best.value[i], part->best.id[i]);
    }
    result->n = best.n;
    result->empty = result->max == -INFINITY;
    if (result->bad || result->empty) return;
    double sum = 0.0;
    for (int32_t chunk = 0; chunk < block->n_chunks; chunk++) {
        const hdl__logit_part *part = &block->parts[chunk * block->M + m];
        if (part->sum > 0.0) sum += part->sum * exp((double)part->max - (double)result->max);
    }
    result->log_sum = (double)result->max + log(sum);
}
