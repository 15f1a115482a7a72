/* attention_run.c - gives queries of the same keys to the kernels, a block at a time, and adds up kept probabilities. */
#include "cpu/attention_run.h"

static void add_to_mean(const hdl__query_block *block, int i, float *row, int64_t columns)
{
    if (row == NULL) return;
    const hdl__attention_run *run = block->run;
    const hdl__attend *a = &block->attend;
    const int32_t n = a->seen[i] < columns ? a->seen[i] : (int32_t)columns;
    if (n > 0)
        run->kernels->add_probabilities(a->scores[i], n, a->max[i], 1.0f / (a->sum[i] * (float)run->args->probs_heads), row);
}

void hdl__query_flush(hdl__query_block *block)
{
    const hdl__attention_run *run = block->run;
    const hdl_attention_args *args = run->args;
    hdl__attend *a = &block->attend;
    if (block->n == 0) return;
    a->n_queries = block->n;
    for (int32_t i = 0; i < block->n; i++) {
        const hdl__query *query = &block->queries[i];
        const int64_t head = (int64_t)query->head * args->D;
        const bool wanted = query->probs != NULL || query->align != NULL;
        a->q[i] = (const float *)args->q + query->row * args->ldq + head;
        a->out[i] = (float *)args->out + query->row * args->ldo + head;
        a->seen[i] = query->seen;
        a->scores[i] = wanted && hdl__head_is_kept(args, query->head) ? run->scores + i * run->ld_scores : NULL;
    }
    if (block->blocks) run->kernels->attend_blocks(a);
    else run->kernels->attend_keys(a);
    for (int32_t i = 0; i < block->n; i++) {
        if (a->scores[i] == NULL) continue;
        add_to_mean(block, i, block->queries[i].probs, args->ldp);
        add_to_mean(block, i, block->queries[i].align, block->queries[i].seen);
    }
    block->n = 0;
}

void hdl__query_add(hdl__query_block *block, const hdl__query *query)
{
    block->queries[block->n++] = *query;
    if (block->n == HDL__QUERY_BLOCK) hdl__query_flush(block);
}
