/* logit_panels.c - walks the column panels of a block of rows, and merges what its chunks found. */
#include "cpu/logit_panels.h"
#include "cpu/kernel_table.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* How far a row's sorted lists are consumed, and where it is next to be changed. */
typedef struct cursors { int32_t edit, allowed, special; } cursors;

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

static void edit_panel(const hdl__logit_row *row, cursors *at, float *z, int32_t n0, int32_t n1)
{
    for (; at->edit < row->n_edits && row->edits[at->edit] >> 2 < n1; at->edit++) {
        float *value = &z[(row->edits[at->edit] >> 2) - n0];
        if ((row->edits[at->edit] & 3) == HDL_EDIT_REMOVE) *value = -INFINITY;
        else *value = *value < 0.0f ? *value * row->penalty : *value / row->penalty;
    }
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

/* The first column of a row, from n0 on, that is changed or wanted, and not only counted. */
static int32_t next_special(const hdl__logit_row *row, const cursors *at, int32_t n0)
{
    int32_t next = INT32_MAX;
    if (row->kept != NULL || row->n_allowed > 0) return n0;
    if (row->wanted >= n0) next = row->wanted;
    if (at->edit < row->n_edits && row->edits[at->edit] >> 2 < next) next = row->edits[at->edit] >> 2;
    return next;
}

/* Bias, edits and wishes of one row from n0 to n1; z becomes real. */
static void edit_columns(const hdl__logit_block *block, int32_t m, cursors *at, hdl__logit_part *part, const hdl__logits *panel,
                         float *z, int32_t n0, int32_t n1)
{
    const hdl__op_kernels *kernels = &block->stream->device->kernels->ops;
    const hdl__logit_row *row = &block->rows[m];
    const int32_t n = n1 - n0;
    if (panel->w_unscale != NULL)
        kernels->scale_sums((const int32_t *)(const void *)z, n, panel->x_unscale[m], panel->w_unscale, z);
    if (!kernels->logit_scan(z, panel->bias, n)) part->bad = true;
    edit_panel(row, at, z, n0, n1);
    if (row->n_allowed > 0) keep_allowed(row, at, z, n0, n1);
    if (row->kept != NULL) memcpy(row->kept + n0, z, (size_t)n * sizeof *z);
    if (row->wanted >= n0 && row->wanted < n1) part->wanted = z[row->wanted - n0];
}

/* The rows of a few columns into what the chunk has found so far: those that are only counted in runs. */
static void add_columns(const hdl__logit_block *block, cursors *at, hdl__logit_part *parts, hdl__logit_sum *sums,
                        float *z, int32_t n0, int32_t n1)
{
    const hdl__op_kernels *kernels = &block->stream->device->kernels->ops;
    const hdl__logits panel = {
        .ldz = HDL__PANEL_COLUMNS, .bias = block->bias != NULL ? block->bias + n0 : NULL,
        .x_unscale = block->x.unscale, .w_unscale = block->sum_scales != NULL ? block->sum_scales + n0 : NULL, .n = n1 - n0,
    };
    for (int32_t m = 0, end = 0; m < block->M; m = end) {
        float *row = z + (size_t)m * HDL__PANEL_COLUMNS;
        hdl__logits part = panel;
        part.z = row;
        while (end < block->M && at[end].special >= n1) end++;
        if (end > m) {
            if (part.w_unscale != NULL) part.x_unscale += m;
            kernels->logit_add(&part, end - m, n0, &sums[m]);
            continue;
        }
        edit_columns(block, m, &at[m], &parts[m], &panel, row, n0, n1);
        part.bias = part.x_unscale = part.w_unscale = NULL;
        kernels->logit_add(&part, 1, n0, &sums[m]);
        at[m].special = next_special(&block->rows[m], &at[m], n1);
        end = m + 1;
    }
}

static void open_sum(hdl__logit_sum *sum, hdl__best *best)
{
    for (int l = 0; l < HDL__LOGIT_LANES; l++) {
        sum->lane[l] = 0.0f;
        sum->top[l] = -INFINITY;
    }
    sum->best = best;
    sum->total = 0.0;
    sum->reference = -FLT_MAX;
}

/* Lanes in f32, halves onto each other, and what stood before in f64. */
static void fold_sum(hdl__logit_sum *sum)
{
    for (int half = HDL__LOGIT_LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) sum->lane[l] += sum->lane[l + half];
    sum->total += (double)sum->lane[0];
    for (int l = 0; l < HDL__LOGIT_LANES; l++) sum->lane[l] = 0.0f;
}

static void close_sum(const hdl__logit_sum *sum, hdl__logit_part *part)
{
    for (int l = 0; l < HDL__LOGIT_LANES; l++) part->max = sum->top[l] > part->max ? sum->top[l] : part->max;
    part->sum = sum->total;
    part->reference = sum->reference;
    if (!(sum->total < INFINITY) || part->max == INFINITY) part->bad = true;
}

static void walk_chunk(void *user, int32_t chunk)
{
    const hdl__logit_block *block = user;
    const int32_t n_panels = (block->V + HDL__LOGIT_PANEL - 1) / HDL__LOGIT_PANEL;
    const int32_t first = (int32_t)((int64_t)n_panels * chunk / block->n_chunks) * HDL__LOGIT_PANEL;
    const int32_t last = (int32_t)((int64_t)n_panels * (chunk + 1) / block->n_chunks) * HDL__LOGIT_PANEL;
    const int32_t end = last < block->V ? last : block->V;
    hdl__logit_part *parts = block->parts + (size_t)chunk * (size_t)block->M;
    _Alignas(HDL__CACHE_LINE) float z[HDL__LOGIT_ROWS * HDL__PANEL_COLUMNS];
    hdl__logit_sum sums[HDL__LOGIT_ROWS];
    cursors at[HDL__LOGIT_ROWS];
    for (int32_t m = 0; m < block->M; m++) {
        const hdl__logit_row *row = &block->rows[m];
        at[m].edit = lower_bound(row->edits, row->n_edits, (int64_t)first * 4);
        at[m].allowed = lower_bound(row->allowed, row->n_allowed, first);
        at[m].special = next_special(row, &at[m], first);
        parts[m].max = parts[m].wanted = -INFINITY;
        parts[m].bad = false;
        parts[m].best.n = 0;
        parts[m].best.bar = row->n_best > 0 ? nextafterf(read_floor(&block->floor[m]), -INFINITY) : INFINITY;
        open_sum(&sums[m], &parts[m].best);
    }
    for (int32_t n0 = first; n0 < end; n0 += HDL__PANEL_COLUMNS) {
        const int32_t n1 = n0 + HDL__PANEL_COLUMNS < end ? n0 + HDL__PANEL_COLUMNS : end;
        if (block->sum_scales != NULL) hdl__cpu_panel_sums(&block->x, n0, (int32_t *)(void *)z);
        else hdl__cpu_panel(block->stream, &block->x, n0, n1, z, HDL__PANEL_COLUMNS);
        add_columns(block, at, parts, sums, z, n0, n1);
        if ((n1 - first) % HDL__LOGIT_FOLD != 0 && n1 < end) continue;
        for (int32_t m = 0; m < block->M; m++) fold_sum(&sums[m]);
    }
    for (int32_t m = 0; m < block->M; m++) close_sum(&sums[m], &parts[m]);
    for (int32_t m = 0; m < block->M; m++) raise_floor(&block->floor[m], &parts[m].best);
}

void hdl__logit_block_run(hdl__logit_block *block, size_t *used)
{
    const int32_t n_panels = (block->V + HDL__LOGIT_PANEL - 1) / HDL__LOGIT_PANEL;
    block->sum_scales = hdl__cpu_sum_scales(block->x.w);
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
        if (part->sum > 0.0) sum += part->sum * exp((double)part->reference - (double)result->max);
    }
    result->log_sum = (double)result->max + log(sum);
}
