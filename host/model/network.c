/* network.c - a model's weights on a device: found or packed, counted, freed. */
#include "model/network.h"

#include "device/device_state.h"
#include "model/network_pack.h"

#include <string.h>

const char *hdl__compute_name(hdl_compute compute)
{
    switch (compute) {
    case HDL_COMPUTE_AUTO: return "auto";
    case HDL_COMPUTE_F32: return "f32";
    case HDL_COMPUTE_BF16: return "bf16";
    case HDL_COMPUTE_F16: return "f16";
    case HDL_COMPUTE_INT8: return "int8";
    }
    return "?";
}

static hdl_compute best_float(const hdl_device *device)
{
    hdl_device_info info = HDL_DEVICE_INFO_INIT;
    return hdl_device_describe(device, &info) == HDL_OK && info.native_bf16 != 0 ? HDL_COMPUTE_BF16 : HDL_COMPUTE_F32;
}

static hdl_compute resolve_compute(const hdl_model *model, const hdl_device *device, hdl_compute wanted)
{
    if (wanted != HDL_COMPUTE_AUTO) return wanted;
    return strcmp(model->weights_dtype, "i8") == 0 ? HDL_COMPUTE_INT8 : best_float(device);
}

static void set_compute(hdl__network *n, hdl_compute compute)
{
    n->compute = compute;
    n->act = hdl__device_act_dtype(n->device, compute);
}

static hdl_status pack_one(hdl__packer *p, const char *prefix, const char *name, hdl__linear *out)
{
    char full[HDL__NAME_BYTES];
    const char *const prefixes[] = {full};
    hdl__format_name(full, "%s.%s", prefix, name);
    return hdl__pack_linear(p, prefixes, 1, out);
}

/* `fused` when the checkpoint has it, else its parts stacked. */
static hdl_status pack_fused(hdl__packer *p, const char *prefix, const char *fused, const char *const *parts,
                             int n_parts, hdl__linear *out)
{
    char full[HDL__MAX_PARTS][HDL__NAME_BYTES];
    const char *prefixes[HDL__MAX_PARTS];
    if (hdl__checkpoint_find(p->checkpoint, "%s.%s.weight", prefix, fused) != NULL)
        return pack_one(p, prefix, fused, out);
    for (int i = 0; i < n_parts; i++) {
        hdl__format_name(full[i], "%s.%s", prefix, parts[i]);
        prefixes[i] = full[i];
    }
    return hdl__pack_linear(p, prefixes, n_parts, out);
}

static hdl_status pack_norm_of(hdl__packer *p, const char *prefix, const char *name, hdl__norm_weights *out)
{
    char full[HDL__NAME_BYTES];
    hdl__format_name(full, "%s.%s", prefix, name);
    return hdl__pack_norm(p, full, out);
}

static hdl_status pack_layer(hdl__packer *p, const char *side, int32_t i, bool cross, hdl__layer *layer)
{
    static const char *const qkv[] = {"self.q", "self.k", "self.v"}, *const kv[] = {"cross.k", "cross.v"},
                             *const up[] = {"ffn.up", "ffn.gate"};
    hdl_status status = HDL_OK;
    char prefix[HDL__NAME_BYTES];
    hdl__format_name(prefix, "%s.%d", side, i);
    HDL_TRY(pack_norm_of(p, prefix, "self.norm", &layer->self_norm));
    HDL_TRY(pack_fused(p, prefix, "self.qkv", qkv, 3, &layer->qkv));
    HDL_TRY(pack_one(p, prefix, "self.out", &layer->self_out));
    if (cross) {
        HDL_TRY(pack_norm_of(p, prefix, "cross.norm", &layer->cross_norm));
        HDL_TRY(pack_one(p, prefix, "cross.q", &layer->cross_q));
        HDL_TRY(pack_fused(p, prefix, "cross.kv", kv, 2, &layer->cross_kv));
        HDL_TRY(pack_one(p, prefix, "cross.out", &layer->cross_out));
    }
    HDL_TRY(pack_norm_of(p, prefix, "ffn.norm", &layer->ffn_norm));
    layer->glu = hdl__checkpoint_find(p->checkpoint, "%s.ffn.gate.weight", prefix) != NULL;
    HDL_TRY(pack_fused(p, prefix, "ffn.none", up, layer->glu ? 2 : 1, &layer->up));
    HDL_TRY(pack_one(p, prefix, "ffn.down", &layer->down));
done:
    return status;
}

static hdl_status pack_stack(hdl__packer *p, const char *side, const hdl__stack_config *config, bool cross,
                             hdl__stack *stack)
{
    hdl_status status = HDL_OK;
    stack->config = *config;
    const hdl__param *embed = hdl__checkpoint_find(p->checkpoint, "%s.embed", side);
    HDL_CHECK(embed != NULL, HDL_EFORMAT, "tensor %s.embed is missing", side);
    const hdl_pack_part part = hdl__pack_part_of(embed);
    HDL_TRY(hdl_embedding_open(p->network->device, &part, config->E, &stack->embedding));
    HDL_TRY(pack_norm_of(p, side, "embed_norm", &stack->embed_norm));
    HDL_TRY(pack_norm_of(p, side, "final_norm", &stack->final_norm));
    HDL_TRY(hdl__pack_positions(p, side, stack));
    stack->layers = hdl__calloc((size_t)config->n_layers, sizeof *stack->layers);
    HDL_CHECK(stack->layers != NULL, HDL_ENOMEM, "no memory for %d layers", config->n_layers);
    for (int32_t i = 0; i < config->n_layers; i++) HDL_TRY(pack_layer(p, side, i, cross, &stack->layers[i]));
done:
    return status;
}

static void free_norm(hdl_device *d, hdl__norm_weights *n, int32_t E)
{
    hdl_device_free(d, n->gamma, (size_t)E * sizeof(float));
    hdl_device_free(d, n->beta, (size_t)E * sizeof(float));
}

static void free_linear(hdl_device *d, hdl__linear *l)
{
    hdl_weight_close(d, l->w);
    hdl_device_free(d, l->bias, (size_t)l->N * sizeof(float));
}

static void free_stack(hdl_device *d, hdl__stack *s)
{
    const int32_t E = s->config.E;
    for (int32_t i = 0; s->layers != NULL && i < s->config.n_layers; i++) {
        hdl__layer *l = &s->layers[i];
        hdl__norm_weights *norms[] = {&l->self_norm, &l->cross_norm, &l->ffn_norm};
        hdl__linear *linears[] = {&l->qkv, &l->self_out, &l->cross_q, &l->cross_kv, &l->cross_out, &l->up, &l->down};
        for (size_t j = 0; j < sizeof norms / sizeof norms[0]; j++) free_norm(d, norms[j], E);
        for (size_t j = 0; j < sizeof linears / sizeof linears[0]; j++) free_linear(d, linears[j]);
    }
    hdl__free(s->layers);
    free_norm(d, &s->embed_norm, E);
    free_norm(d, &s->final_norm, E);
    hdl_device_free(d, s->positions, (size_t)s->n_positions * (size_t)E * sizeof(float));
    hdl_embedding_close(d, s->embedding);
}

static void free_network(hdl__network *n)
{
    if (n == NULL) return;
    if (n->device != NULL) {
        free_linear(n->device, &n->output);
        free_stack(n->device, &n->decoder);
        free_stack(n->device, &n->encoder);
        hdl_device_close(n->device);
    }
    hdl__free(n->device_name);
    hdl__free(n);
}

/* The logits' product comes first: AUTO turns from int8 to floating point on a device that refuses it. */
static hdl_status pack_output(hdl__packer *p)
{
    static const char *const output[] = {"output"};
    hdl__network *n = p->network;
    const hdl_status status = hdl__pack_linear(p, output, 1, &n->output);
    if (status != HDL_ENOSUPPORT || n->asked != HDL_COMPUTE_AUTO || n->compute != HDL_COMPUTE_INT8) return status;
    n->output = (hdl__linear){0};
    set_compute(n, best_float(n->device));
    return hdl__pack_linear(p, output, 1, &n->output);
}

static hdl_status pack_network(hdl_model *model, const hdl__network_options *o, hdl__network **out)
{
    hdl_status status = HDL_OK;
    const hdl__config *c = &model->checkpoint.config;
    hdl__packer packer = {.checkpoint = &model->checkpoint};
    hdl__network *n = hdl__calloc(1, sizeof *n);
    HDL_CHECK(n != NULL, HDL_ENOMEM, "no memory for a network");
    packer.network = n;
    n->model = model;
    n->max_positions = o->max_positions;
    if (o->device_options != NULL) {
        n->isa = o->device_options->isa;
        n->products = o->device_options->products;
        n->hooked = o->device_options->hooks != NULL;
    }
    n->device_name = hdl__strdup(o->device);
    HDL_CHECK(n->device_name != NULL, HDL_ENOMEM, "no memory for a device name");
    hdl__counters *counters;
    HDL_TRY(hdl__device_open_counted(o->device, o->device_options, &counters, &n->device));
    HDL_TRY(hdl_stream_create(n->device, &packer.stream));
    n->asked = o->compute;
    set_compute(n, resolve_compute(model, n->device, o->compute));
    packer.use = HDL_PACK_FOR_LOGITS;       /* the largest first: its mapped pages are gone before the rest fills memory */
    packer.gain = c->output_scale;
    HDL_TRY(pack_output(&packer));
    packer.use = HDL_PACK_FOR_GEMM;
    packer.gain = 1.0f;
    HDL_TRY(pack_stack(&packer, "encoder", &c->encoder, false, &n->encoder));
    HDL_TRY(pack_stack(&packer, "decoder", &c->decoder, true, &n->decoder));
    *out = n;
    n = NULL;
done:
    hdl_stream_close(packer.stream);
    free_network(n);
    return status;
}

static bool network_fits(const hdl__network *n, const hdl__network_options *o)
{
    const hdl_isa isa = o->device_options != NULL ? o->device_options->isa : HDL_ISA_AUTO;
    const hdl_products products = o->device_options != NULL ? o->device_options->products : HDL_PRODUCTS_AUTO;
    const bool hooks = o->device_options != NULL && o->device_options->hooks != NULL;
    const bool same_device = strcmp(n->device_name, o->device) == 0 || strcmp(n->device->info.name, o->device) == 0;
    const bool same_compute = n->asked == o->compute || n->compute == resolve_compute(n->model, n->device, o->compute);
    return !hooks && !n->hooked && same_device && same_compute && n->isa == isa && n->products == products && n->max_positions == o->max_positions;
}

hdl_status hdl__network_acquire(hdl_model *model, const hdl__network_options *options, hdl__network **out)
{
    hdl_status status = HDL_OK;
    hdl__network *n = NULL;
    pthread_mutex_lock(&model->mutex);
    for (n = model->networks; n != NULL && !network_fits(n, options); n = n->next) {}
    if (n == NULL) {
        HDL_TRY(pack_network(model, options, &n));
        n->next = model->networks;
        model->networks = n;
    }
    n->users++;
    model->users++;
    *out = n;
done:
    pthread_mutex_unlock(&model->mutex);
    return status;
}

void hdl__network_release(hdl__network *network)
{
    if (network == NULL) return;
    hdl_model *model = network->model;
    pthread_mutex_lock(&model->mutex);
    model->users--;
    const bool last = --network->users == 0;
    if (last) {
        hdl__network **link = &model->networks;
        while (*link != network) link = &(*link)->next;
        *link = network->next;
    }
    pthread_mutex_unlock(&model->mutex);
    if (last) free_network(network);
}
