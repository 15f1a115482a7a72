/* attention_packed.c - queries and keys of sequences that lie end to end: the encoder, and scoring without pages. */
#include "cpu/attention_run.h"

#include <string.h>

typedef struct packed_job {
    const hdl__attention_run *run;
    const void              **pointers;     /* [Hkv][2][Tk] keys, then values: each head its own, so that heads may run apart */
    size_t                    Tk;           /* of the longest sequence */
} packed_job;

/* One head of one sequence. */
static void attend_sequence(const packed_job *job, int32_t s, int32_t kv_head)
{
    const hdl__attention_run *run = job->run;
    const hdl_attention_args *args = run->args;
    const int32_t first_q = args->cu_q[s], Tq = args->cu_q[s + 1] - first_q;
    const int32_t first_k = args->cu_k[s], Tk = args->cu_k[s + 1] - first_k;
    const int64_t offset = first_k * args->ldkv + (int64_t)kv_head * args->D;
    const void **key = job->pointers + 2 * job->Tk * (size_t)kv_head, **value = key + job->Tk;
    for (int32_t j = 0; j < Tk; j++) {
        key[j] = (const float *)args->k + offset + j * args->ldkv;
        value[j] = (const float *)args->v + offset + j * args->ldkv;
    }
    hdl__query_block block = {.run = run, .blocks = false};
    block.attend = (hdl__attend){.D = args->D, .scale = args->scale, .k = key, .v = value};
    const int32_t group = args->H / args->Hkv;
    for (int32_t i = 0; i < Tq; i++) {
        int32_t seen = Tk;
        if (args->mask == HDL_MASK_CAUSAL) seen = i + Tk - Tq + 1 > 0 ? i + Tk - Tq + 1 : 0;
        float *probs = args->probs != NULL ? args->probs + (first_q + i) * args->ldp : NULL;
        for (int32_t g = 0; g < group; g++)
            hdl__query_add(&block, &(hdl__query){first_q + i, kv_head * group + g, seen, probs, NULL});
    }
    hdl__query_flush(&block);
}

static void attend_head(void *user, int32_t kv_head)
{
    const packed_job *job = user;
    for (int32_t s = 0; s < job->run->args->n_seq; s++) attend_sequence(job, s, kv_head);
}

static int32_t longest_sequence(const hdl_attention_args *args)
{
    int32_t longest = 1;
    for (int32_t s = 0; s < args->n_seq; s++) {
        const int32_t Tk = args->cu_k[s + 1] - args->cu_k[s];
        if (Tk > longest) longest = Tk;
    }
    return longest;
}

void hdl__attend_packed(hdl_backend_stream *stream, hdl__attention_run *run, size_t *used)
{
    const hdl_attention_args *args = run->args;
    const size_t Tk = (size_t)longest_sequence(args);
    const packed_job job = {
        .run = run, .Tk = Tk,
        .pointers = hdl__cpu_carve(stream, used, 2 * (size_t)args->Hkv * Tk * sizeof(void *)),
    };
    if (args->probs == NULL) {
        hdl__cpu_share(stream, args->Hkv, attend_head, (void *)&job);
        return;
    }
    run->ld_scores = (int64_t)hdl__round_keys((int32_t)Tk);
    run->scores = hdl__cpu_carve(stream, used, HDL__QUERY_BLOCK * (size_t)run->ld_scores * sizeof(float));
    for (int32_t i = args->cu_q[0]; i < args->cu_q[args->n_seq]; i++)
        memset(args->probs + i * args->ldp, 0, (size_t)args->ldp * sizeof(float));
    for (int32_t h = 0; h < args->Hkv; h++) attend_head((void *)&job, h);   /* in order: heads add to the same row */
}
