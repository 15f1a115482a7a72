/* logit_reduce_cpu.c - from hidden rows to candidates: the best 2K continuations of each row, or one draw. */
#include "cpu/kernel_table.h"
#include "cpu/logit_panels.h"

#include <heddle/detail/beam_step.h>

#include <math.h>

/* A block of live rows of the step. */
typedef struct reduce_block {
    hdl__logit_block logits;
    int32_t          row[HDL__LOGIT_ROWS];      /* row of the step */
    int32_t          n_kept;
} reduce_block;

static bool draws(const hdl_slot_options *o)
{
    return (o->flags & HDL_SLOT_SAMPLE) != 0 && o->temperature > 0.0f && o->top_k != 1;
}

/* The prefix's token that a following beam is drawn to, or -1. */
static int32_t biased_token(const hdl_slots *slots, const hdl_rows *rows, int32_t row)
{
    const int32_t slot = rows->slot[row], pos = rows->pos[row];
    const hdl_slot_options *o = &slots->options[slot];
    if (o->prefix_bias <= 0.0f || pos >= o->n_prefix) return -1;
    if (((slots->state[slot].following >> rows->beam[row]) & 1u) == 0) return -1;
    return slots->side[o->prefix_off + pos];
}

static void ask_row(const hdl_logit_reduce_args *args, reduce_block *block, int32_t row, float *kept)
{
    const hdl_slots *slots = args->slots;
    const hdl_slot_options *o = &slots->options[args->rows->slot[row]];
    const bool sample = (o->flags & HDL_SLOT_SAMPLE) != 0;
    hdl__logit_row *ask = &block->logits.rows[block->logits.M];
    ask->edits = args->edits.entries + (int64_t)row * args->edits.stride;
    ask->n_edits = args->edits.n[row];
    ask->penalty = o->repetition_penalty;
    ask->allowed = slots->side + o->allow_off;
    ask->n_allowed = o->n_allow;
    ask->n_best = draws(o) ? 0 : sample ? 1 : 2 * o->K;
    ask->wanted = biased_token(slots, args->rows, row);
    ask->kept = draws(o) ? kept + (int64_t)block->n_kept++ * args->V : NULL;
    block->row[block->logits.M++] = row;
}

/* Log-probability first, then id: rounding may have made equal what logits told apart. */
static void sort_candidates(int32_t *id, float *logprob, int32_t n)
{
    for (int32_t i = 1; i < n; i++) {
        const float value = logprob[i];
        const int32_t token = id[i];
        int32_t at = i;
        for (; at > 0 && (logprob[at - 1] < value || (logprob[at - 1] == value && id[at - 1] > token)); at--) {
            logprob[at] = logprob[at - 1];
            id[at] = id[at - 1];
        }
        logprob[at] = value;
        id[at] = token;
    }
}

/* p' = (1 - b) p, plus b on the prefix's next token, which joins the list if it is not there. */
static int32_t bias_candidates(const hdl__logit_result *found, float bias, int32_t next, int32_t capacity,
                               int32_t *id, float *logprob)
{
    int32_t ids[HDL_MAX_CANDIDATES + 1];
    float biased[HDL_MAX_CANDIDATES + 1];
    int32_t n = 0;
    for (int32_t i = 0; i < found->n; i++) {
        if (found->id[i] == next) continue;
        ids[n] = found->id[i];
        biased[n] = hdl_biased_logprob(logprob[i], bias, 0);
        if (biased[n] > -INFINITY) n++;
    }
    ids[n] = next;
    biased[n++] = hdl_biased_logprob((float)((double)found->wanted - found->log_sum), bias, 1);
    sort_candidates(ids, biased, n);
    if (n > capacity) n = capacity;
    for (int32_t i = 0; i < n; i++) {
        id[i] = ids[i];
        logprob[i] = biased[i];
    }
    return n;
}

/* One draw; its log-probability is that before temperature and cuts. */
static void draw_row(const hdl_logit_reduce_args *args, const hdl__logit_row *ask, int32_t row,
                     const hdl__logit_result *found, const hdl__op_kernels *kernels, float *p)
{
    const hdl_slot_options *o = &args->slots->options[args->rows->slot[row]];
    const int64_t list = (int64_t)row * HDL_MAX_CANDIDATES;
    float max = found->max, biased = 0.0f;
    if (ask->wanted >= 0) {
        /* its logit becomes the one that gives p' beside the others as they are */
        biased = hdl_biased_logprob((float)((double)found->wanted - found->log_sum), o->prefix_bias, 1);
        const double z = (double)biased - log1p(-(double)o->prefix_bias) + found->log_sum;
        ask->kept[ask->wanted] = (float)z;
        if ((float)z > max) max = (float)z;
    }
    const int32_t token = hdl__sample_token(kernels, o, args->rows->pos[row], ask->kept, args->V, max, p);
    float logprob = (float)((double)ask->kept[token] - found->log_sum);
    if (ask->wanted >= 0) logprob = token == ask->wanted ? biased : hdl_biased_logprob(logprob, o->prefix_bias, 0);
    args->out.id[list] = token;
    args->out.logprob[list] = logprob;
    args->out.n[row] = 1;
}

static void finish_row(const hdl_logit_reduce_args *args, const hdl__logit_row *ask, int32_t row,
                       const hdl__logit_result *found)
{
    const hdl_slot_options *o = &args->slots->options[args->rows->slot[row]];
    int32_t *id = args->out.id + (int64_t)row * HDL_MAX_CANDIDATES;
    float *logprob = args->out.logprob + (int64_t)row * HDL_MAX_CANDIDATES;
    for (int32_t i = 0; i < found->n; i++) {
        id[i] = found->id[i];
        logprob[i] = (float)((double)found->value[i] - found->log_sum);
    }
    if (ask->wanted >= 0) {
        args->out.n[row] = bias_candidates(found, o->prefix_bias, ask->wanted, ask->n_best, id, logprob);
        return;
    }
    sort_candidates(id, logprob, found->n);
    args->out.n[row] = found->n;
}

static void finish_block(const hdl_logit_reduce_args *args, const reduce_block *block, float *p)
{
    const hdl__op_kernels *kernels = &block->logits.stream->device->kernels->ops;
    for (int32_t m = 0; m < block->logits.M; m++) {
        const hdl__logit_row *ask = &block->logits.rows[m];
        const int32_t row = block->row[m];
        const hdl_slot_options *o = &args->slots->options[args->rows->slot[row]];
        hdl__logit_result found;
        hdl__logit_block_merge(&block->logits, m, &found);
        if (found.bad) {
            args->out.n[row] = -1;
        } else if (found.empty) {
            args->out.id[(int64_t)row * HDL_MAX_CANDIDATES] = args->slots->side[o->end_off];
            args->out.logprob[(int64_t)row * HDL_MAX_CANDIDATES] = 0.0f;
            args->out.n[row] = o->n_end > 0 ? 1 : 0;
        } else if (ask->kept != NULL) {
            draw_row(args, ask, row, &found, kernels, p);
        } else {
            finish_row(args, ask, row, &found);
        }
    }
}

static void reduce_rows(hdl_backend_stream *stream, const hdl_logit_reduce_args *args, reduce_block *block, size_t used,
                        float *p)
{
    if (block->logits.M == 0) return;
    block->logits.x = hdl__cpu_prepare(stream, &used, args->w, args->x, args->E, block->row, block->logits.M);
    hdl__logit_block_run(&block->logits, &used);
    finish_block(args, block, p);
    block->logits.M = 0;
    block->n_kept = 0;
}

/* Whether the step does anything with a row: its slot lives, and its token is not given. */
static bool is_searched(const hdl_logit_reduce_args *args, int32_t row)
{
    return hdl__row_is_live(args->slots, args->rows, row)
           && !hdl_in_hard_prefix(&args->slots->options[args->rows->slot[row]], args->rows->pos[row]);
}

/* Memory for the logits of rows that draw: as many as a block may have, and one row of probabilities. */
static float *carve_kept(hdl_backend_stream *stream, const hdl_logit_reduce_args *args, size_t *used)
{
    int32_t n = 0;
    for (int32_t i = 0; i < args->rows->count[0]; i++)
        if (is_searched(args, i) && draws(&args->slots->options[args->rows->slot[i]])) n++;
    if (n == 0) return NULL;
    if (n > HDL__LOGIT_KEPT) n = HDL__LOGIT_KEPT;
    return hdl__cpu_carve(stream, used, ((size_t)n + 1) * (size_t)args->V * sizeof(float));
}

static hdl_status replay_logit_reduce(hdl_backend_stream *stream, const void *args)
{
    return hdl__cpu_logit_reduce(stream, args);
}

hdl_status hdl__cpu_logit_reduce(hdl_backend_stream *stream, const hdl_logit_reduce_args *args)
{
    hdl_status status = HDL_OK;
    if (hdl__cpu_record(stream, replay_logit_reduce, args, sizeof *args, &status)) return status;
    size_t used = 0;
    float *p = carve_kept(stream, args, &used);
    float *kept = p != NULL ? p + args->V : NULL;
    reduce_block block = {.logits = {.stream = stream, .bias = args->bias, .V = args->V}};
    for (int32_t row = 0; row < args->rows->count[0]; row++) {
        if (!is_searched(args, row)) continue;
        ask_row(args, &block, row, kept);
        if (block.logits.M == HDL__LOGIT_ROWS || block.n_kept == HDL__LOGIT_KEPT)
            reduce_rows(stream, args, &block, used, p);
    }
    reduce_rows(stream, args, &block, used, p);
    return status;
}
