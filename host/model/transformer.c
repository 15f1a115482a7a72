/* transformer.c - encoder pass, source keys and values, decoder rows. */
#include "model/transformer.h"

#include <math.h>

/* What every sublayer of a pass needs. */
typedef struct pass {
    hdl_stream              *stream;
    const hdl__stack_config *config;
    hdl__hidden             *hidden;
    const int32_t           *count;         /* live rows in device memory, or NULL: M */
    int32_t                  M;
    const hdl__probe        *probe;
    float                    scale;         /* of attention scores */
    hdl_dtype                act;           /* of hidden rows */
} pass;

static pass begin_pass(hdl_stream *stream, const hdl__network *network, const hdl__stack_config *config,
                       hdl__hidden *hidden, const int32_t *count, int32_t M, const hdl__probe *probe)
{
    const float D = (float)config->E / (float)config->H;
    return (pass){stream, config, hidden, count, M, probe,
                  config->attention_scale != 0.0f ? config->attention_scale : 1.0f / sqrtf(D), network->act};
}

/*
 * Hidden rows with the greatest magnitude of each (device.h, "row maxima"): who writes the rows notes it, the product that reads them
 * takes it. max is NULL where nobody has noted it, or nobody asks.
 */
typedef struct rows { void *data; float *max; } rows;

static rows with_max(const pass *p, void *data, int32_t row)
{
    float *maxima = p->hidden->maxima;
    return (rows){data, maxima != NULL ? maxima + (size_t)row * (size_t)p->M : NULL};
}

static rows without_max(void *data) { return (rows){data, NULL}; }
static rows rows_x(const pass *p) { return with_max(p, p->hidden->x, HDL__MAX_X); }
static rows rows_y(const pass *p) { return with_max(p, p->hidden->y, HDL__MAX_Y); }

/* What a layer raises: HDL__MAX_SELF, _CROSS or _WIDE. */
static rows raised_rows(const pass *p, void *data, int32_t layer, int32_t which)
{
    return with_max(p, data, HDL__N_MAX_SET + layer * HDL__N_MAX_RAISED + which);
}

/* Column `column` of the first of some hidden rows. */
static const void *column_of(const pass *p, const void *rows, int64_t column)
{
    return (const uint8_t *)rows + (size_t)column * hdl_dtype_bytes(p->act);
}

static hdl_status multiply(const pass *p, const hdl__linear *l, rows x, int64_t ldx, const void *residual,
                           hdl_activation act, rows y)
{
    hdl_gemm_args a = HDL_GEMM_ARGS_INIT;
    a.x = x.data;
    a.x_max = x.max;
    a.ldx = ldx;
    a.w = l->w;
    a.bias = l->bias;
    a.residual = residual;
    a.ldr = l->N;
    a.y = y.data;
    a.y_max = y.max;
    a.ldy = l->N;
    a.count = p->count;
    a.M = p->M;
    a.N = l->N;
    a.K = l->K;
    a.act = act;
    a.act_dtype = p->act;
    return hdl_gemm(p->stream, &a);
}

static hdl_status normalise(const pass *p, const hdl__norm_weights *n, const void *x, const void *residual, rows y)
{
    hdl_norm_args a = HDL_NORM_ARGS_INIT;
    a.x = x;
    a.residual = residual;
    a.gamma = n->gamma;
    a.beta = n->beta;
    a.y = y.data;
    a.y_max = y.max;
    a.count = p->count;
    a.M = p->M;
    a.E = p->config->E;
    a.eps = p->config->norm_eps;
    a.kind = p->config->norm_kind;
    a.act_dtype = p->act;
    return hdl_norm(p->stream, &a);
}

/* Input of a sublayer: the residual stream itself, or normalised (pre-norm). */
static hdl_status enter(const pass *p, const hdl__norm_weights *n, rows *input)
{
    *input = p->config->pre_norm ? rows_y(p) : rows_x(p);
    return p->config->pre_norm ? normalise(p, n, p->hidden->x, NULL, *input) : HDL_OK;
}

/* Output of a sublayer: x + W u (pre-norm), or norm(x + W u) (post-norm). What the product writes, only norms read. */
static hdl_status leave(const pass *p, const hdl__norm_weights *n, const hdl__linear *l, rows u, int64_t ldu)
{
    hdl_status status = HDL_OK;
    hdl__hidden *h = p->hidden;
    if (p->config->pre_norm) return multiply(p, l, u, ldu, h->x, HDL_ACT_NONE, without_max(h->x));
    HDL_TRY(multiply(p, l, u, ldu, NULL, HDL_ACT_NONE, without_max(h->y)));
    HDL_TRY(normalise(p, n, h->y, h->x, rows_x(p)));
done:
    return status;
}

static hdl_attention_args attention_of(const pass *p, hdl_key_source keys, const void *q, int64_t ldq, rows out)
{
    hdl_attention_args a = HDL_ATTENTION_ARGS_INIT;
    a.keys = keys;
    a.q = q;
    a.ldq = ldq;
    a.out = out.data;
    a.out_max = out.max;
    a.ldo = p->config->E;
    a.M = p->M;
    a.H = p->config->H;
    a.Hkv = p->config->H;
    a.D = p->config->E / p->config->H;
    a.scale = p->scale;
    a.act_dtype = p->act;
    return a;
}

static void add_probe(const pass *p, int32_t layer, bool cross, hdl_attention_args *a)
{
    const hdl__probe *probe = p->probe;
    if (probe == NULL || probe->layer != layer || probe->cross != cross) return;
    a->probs = probe->probs;
    a->ldp = probe->ld;
    a->probs_first = probe->first_head;
    a->probs_heads = probe->n_heads;
}

static hdl_status feed_forward(const pass *p, const hdl__layer *l, int32_t layer)
{
    hdl_status status = HDL_OK;
    rows input;
    const rows wide = raised_rows(p, p->hidden->wide, layer, HDL__MAX_WIDE);
    const int32_t F = p->config->F;
    HDL_TRY(enter(p, &l->ffn_norm, &input));
    if (!l->glu) {
        HDL_TRY(multiply(p, &l->up, input, p->config->E, NULL, p->config->activation, wide));
    } else {
        hdl_glu_args a = HDL_GLU_ARGS_INIT;
        HDL_TRY(multiply(p, &l->up, input, p->config->E, NULL, HDL_ACT_NONE, without_max(wide.data)));
        a.up = wide.data;
        a.gate = column_of(p, wide.data, F);
        a.ldu = a.ldg = a.ldy = l->up.N;
        a.y = wide.data;
        a.y_max = wide.max;
        a.count = p->count;
        a.M = p->M;
        a.F = F;
        a.act = p->config->activation;
        a.act_dtype = p->act;
        HDL_TRY(hdl_glu(p->stream, &a));
    }
    HDL_TRY(leave(p, &l->ffn_norm, &l->down, wide, l->up.N));
done:
    return status;
}

/* Also clears what the layers raise. */
static hdl_status embed(const pass *p, const hdl__stack *stack, const int32_t *ids, const int32_t *pos,
                        const hdl_slots *slots, const hdl_rows *rows)
{
    hdl_embed_args a = HDL_EMBED_ARGS_INIT;
    a.table = stack->embedding;
    a.positions = stack->positions;
    a.n_positions = stack->n_positions;
    a.ids = ids;
    a.pos = pos;
    a.slots = slots;
    a.rows = rows;
    a.y = rows_x(p).data;
    a.y_max = rows_x(p).max;
    a.zero = raised_rows(p, NULL, 0, HDL__MAX_SELF).max;
    a.n_zero = a.zero != NULL ? p->config->n_layers * HDL__N_MAX_RAISED * p->M : 0;
    a.M = p->M;
    a.E = p->config->E;
    a.scale = p->config->embed_scale;
    a.act_dtype = p->act;
    return hdl_embed(p->stream, &a);
}

static hdl_status normalise_in_place(const pass *p, const hdl__norm_weights *n)
{
    return n->gamma != NULL ? normalise(p, n, p->hidden->x, NULL, rows_x(p)) : HDL_OK;
}

static hdl_status encoder_attention(const pass *p, const hdl__layer *l, int32_t layer, const hdl__source_batch *batch)
{
    hdl_status status = HDL_OK;
    rows input;
    void *qkv = p->hidden->wide;
    const rows context = raised_rows(p, p->hidden->context, layer, HDL__MAX_SELF);
    const int32_t E = p->config->E;
    HDL_TRY(enter(p, &l->self_norm, &input));
    HDL_TRY(multiply(p, &l->qkv, input, E, NULL, HDL_ACT_NONE, without_max(qkv)));
    hdl_attention_args a = attention_of(p, HDL_KEYS_PACKED, qkv, 3 * (int64_t)E, context);
    a.k = column_of(p, qkv, E);
    a.v = column_of(p, qkv, 2 * (int64_t)E);
    a.ldkv = 3 * (int64_t)E;
    a.cu_q = a.cu_k = batch->cu;
    a.n_seq = batch->n;
    add_probe(p, layer, false, &a);
    HDL_TRY(hdl_attention(p->stream, &a));
    HDL_TRY(leave(p, &l->self_norm, &l->self_out, context, E));
done:
    return status;
}

hdl_status hdl__encode(hdl_stream *stream, const hdl__network *network, const hdl__source_batch *batch,
                       hdl__hidden *hidden, const hdl__probe *probe)
{
    hdl_status status = HDL_OK;
    const hdl__stack *stack = &network->encoder;
    const pass p = begin_pass(stream, network, &stack->config, hidden, NULL, batch->M, probe);
    HDL_TRY(embed(&p, stack, batch->ids, batch->pos, NULL, NULL));
    HDL_TRY(normalise_in_place(&p, &stack->embed_norm));
    for (int32_t i = 0; i < stack->config.n_layers; i++) {
        HDL_TRY(encoder_attention(&p, &stack->layers[i], i, batch));
        HDL_TRY(feed_forward(&p, &stack->layers[i], i));
    }
    HDL_TRY(normalise_in_place(&p, &stack->final_norm));
done:
    return status;
}

static hdl_status append(const pass *p, const hdl__decode_place *place, hdl_key_source keys, int32_t layer,
                         const void *k, const void *v, int64_t ldkv)
{
    hdl_cache_append_args a = HDL_CACHE_APPEND_ARGS_INIT;
    a.keys = keys;
    a.k = k;
    a.v = v;
    a.ldkv = ldkv;
    a.pool = place->pool;
    a.layer = layer;
    a.slots = place->slots;
    a.rows = place->rows;
    a.M = p->M;
    a.Hkv = p->config->H;
    a.D = p->config->E / p->config->H;
    a.act_dtype = p->act;
    return hdl_cache_append(p->stream, &a);
}

/* Whether x left the stack by an op that notes maxima: pre-norm layers end in a product. */
static bool notes_result(const hdl__stack *stack)
{
    return stack->final_norm.gamma != NULL || !stack->config.pre_norm;
}

hdl_status hdl__write_source(hdl_stream *stream, const hdl__network *network, const hdl__decode_place *place,
                             hdl__hidden *hidden)
{
    hdl_status status = HDL_OK;
    const hdl__stack *stack = &network->decoder;
    const pass p = begin_pass(stream, network, &stack->config, hidden, NULL, place->R, NULL);
    const rows encoded = notes_result(&network->encoder) ? rows_x(&p) : without_max(hidden->x), wide = without_max(hidden->wide);
    const int64_t E = stack->config.E;
    for (int32_t i = 0; i < stack->config.n_layers; i++) {
        HDL_TRY(multiply(&p, &stack->layers[i].cross_kv, encoded, E, NULL, HDL_ACT_NONE, wide));
        HDL_TRY(append(&p, place, HDL_KEYS_SOURCE_PAGES, i, hidden->wide, column_of(&p, hidden->wide, E), 2 * E));
    }
done:
    return status;
}

static hdl_status decoder_self(const pass *p, const hdl__layer *l, int32_t layer, const hdl__decode_place *place)
{
    hdl_status status = HDL_OK;
    rows input;
    void *qkv = p->hidden->wide;
    const rows context = raised_rows(p, p->hidden->context, layer, HDL__MAX_SELF);
    const int64_t E = p->config->E;
    HDL_TRY(enter(p, &l->self_norm, &input));
    HDL_TRY(multiply(p, &l->qkv, input, E, NULL, HDL_ACT_NONE, without_max(qkv)));
    HDL_TRY(append(p, place, HDL_KEYS_SELF_PAGES, layer, column_of(p, qkv, E), column_of(p, qkv, 2 * E), 3 * E));
    hdl_attention_args a = attention_of(p, HDL_KEYS_SELF_PAGES, qkv, 3 * E, context);
    a.pool = place->pool;
    a.layer = layer;
    a.slots = place->slots;
    a.rows = place->rows;
    add_probe(p, layer, false, &a);
    HDL_TRY(hdl_attention(p->stream, &a));
    HDL_TRY(leave(p, &l->self_norm, &l->self_out, context, E));
done:
    return status;
}

static hdl_status decoder_cross(const pass *p, const hdl__network *network, int32_t layer,
                                const hdl__decode_place *place, bool keep_alignment)
{
    hdl_status status = HDL_OK;
    const hdl__config *c = &network->model->checkpoint.config;
    const hdl__layer *l = &network->decoder.layers[layer];
    const int32_t E = p->config->E, last = p->config->n_layers - 1;
    const int32_t aligned = c->alignment_layer < 0 ? last : c->alignment_layer;
    rows input;
    void *q = p->hidden->wide;
    const rows context = raised_rows(p, p->hidden->context, layer, HDL__MAX_CROSS);
    HDL_TRY(enter(p, &l->cross_norm, &input));
    HDL_TRY(multiply(p, &l->cross_q, input, E, NULL, HDL_ACT_NONE, without_max(q)));
    hdl_attention_args a = attention_of(p, HDL_KEYS_SOURCE_PAGES, q, E, context);
    a.pool = place->pool;
    a.layer = layer;
    a.slots = place->slots;
    a.rows = place->rows;
    if (keep_alignment && layer == aligned) {
        a.keep_alignment = 1;
        a.probs_heads = c->alignment_heads == 0 ? p->config->H : c->alignment_heads;
    }
    add_probe(p, layer, true, &a);
    HDL_TRY(hdl_attention(p->stream, &a));
    HDL_TRY(leave(p, &l->cross_norm, &l->cross_out, context, E));
done:
    return status;
}

hdl_status hdl__decode(hdl_stream *stream, const hdl__network *network, const hdl__decode_place *place,
                       const int32_t *ids, bool keep_alignment, hdl__hidden *hidden, const hdl__probe *probe)
{
    hdl_status status = HDL_OK;
    const hdl__stack *stack = &network->decoder;
    const pass p = begin_pass(stream, network, &stack->config, hidden, place->rows->count, place->R, probe);
    if (ids != NULL)
        HDL_TRY(embed(&p, stack, ids, place->rows->pos, NULL, NULL));
    else
        HDL_TRY(embed(&p, stack, NULL, NULL, place->slots, place->rows));
    HDL_TRY(normalise_in_place(&p, &stack->embed_norm));
    for (int32_t i = 0; i < stack->config.n_layers; i++) {
        HDL_TRY(decoder_self(&p, &stack->layers[i], i, place));
        HDL_TRY(decoder_cross(&p, network, i, place, keep_alignment));
        HDL_TRY(feed_forward(&p, &stack->layers[i], i));
    }
    HDL_TRY(normalise_in_place(&p, &stack->final_norm));
done:
    return status;
}
