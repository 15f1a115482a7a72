/* network.c - a model's weights on a device: found or packed, counted, freed. */
#include "model/network.h"

#include "device/device_state.h"
#include "model/network_pack.h"
#include "model/network_replica.h"

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

/* A table that is tied to the output's weights is read where they are packed, if the device can; else where it is stored. */
static hdl_status open_embedding(hdl__packer *p, const hdl__param *embed, int32_t E, hdl_embedding **out)
{
    const hdl__param *output = hdl__checkpoint_find(p->checkpoint, "output.weight");
    const bool tied = output != NULL && output->data == embed->data && output->dtype == embed->dtype
                      && output->shape[0] == embed->shape[0] && output->transposed == embed->transposed
                      && p->checkpoint->config.output_scale == 1.0f;
    if (tied) {
        const hdl_status status = hdl_embedding_of_weight(p->network->device, p->network->output.w, E, out);
        if (status != HDL_ENOSUPPORT) return status;
    }
    const hdl_pack_part part = hdl__pack_part_of(embed);
    return hdl_embedding_open(p->network->device, &part, E, out);
}

static hdl_status pack_stack(hdl__packer *p, const char *side, const hdl__stack_config *config, bool cross,
                             hdl__stack *stack)
{
    hdl_status status = HDL_OK;
    stack->config = *config;
    const hdl__param *embed = hdl__checkpoint_find(p->checkpoint, "%s.embed", side);
    HDL_CHECK(embed != NULL, HDL_EFORMAT, "tensor %s.embed is missing", side);
    HDL_TRY(open_embedding(p, embed, config->E, &stack->embedding));
    HDL_TRY(pack_norm_of(p, side, "embed_norm", &stack->embed_norm));
    HDL_TRY(pack_norm_of(p, side, "final_norm", &stack->final_norm));
    HDL_TRY(hdl__pack_positions(p, side, stack));
    stack->layers = hdl__calloc((size_t)config->n_layers, sizeof *stack->layers);
    HDL_CHECK(stack->layers != NULL, HDL_ENOMEM, "no memory for %d layers", config->n_layers);
    for (int32_t i = 0; i < config->n_layers; i++) HDL_TRY(pack_layer(p, side, i, cross, &stack->layers[i]));
done:
    return status;
}

static void visit_floats(float **floats, int64_t n, hdl__part_fn fn, void *user)
{
    const hdl__network_part part = {.floats = floats, .n_floats = n};
    fn(&part, user);
}

static void visit_norm(hdl__norm_weights *norm, int32_t E, hdl__part_fn fn, void *user)
{
    visit_floats(&norm->gamma, E, fn, user);
    visit_floats(&norm->beta, E, fn, user);
}

static void visit_linear(hdl__linear *l, hdl__part_fn fn, void *user)
{
    const hdl__network_part part = {.weight = &l->w, .rows = l->N, .columns = l->K};
    fn(&part, user);
    visit_floats(&l->bias, l->N, fn, user);
}

static void visit_stack(hdl__stack *s, hdl__part_fn fn, void *user)
{
    const int32_t E = s->config.E;
    const hdl__network_part embedding = {.embedding = &s->embedding, .rows = s->config.V, .columns = E};
    fn(&embedding, user);
    if (!s->borrows_positions) visit_floats(&s->positions, (int64_t)s->n_positions * E, fn, user);
    visit_norm(&s->embed_norm, E, fn, user);
    visit_norm(&s->final_norm, E, fn, user);
    for (int32_t i = 0; s->layers != NULL && i < s->config.n_layers; i++) {
        hdl__layer *l = &s->layers[i];
        hdl__norm_weights *norms[] = {&l->self_norm, &l->cross_norm, &l->ffn_norm};
        hdl__linear *linears[] = {&l->qkv, &l->self_out, &l->cross_q, &l->cross_kv, &l->cross_out, &l->up, &l->down};
        for (size_t j = 0; j < sizeof norms / sizeof norms[0]; j++) visit_norm(norms[j], E, fn, user);
        for (size_t j = 0; j < sizeof linears / sizeof linears[0]; j++) visit_linear(linears[j], fn, user);
    }
}

void hdl__network_visit(hdl__network *network, hdl__part_fn fn, void *user)
{
    visit_linear(&network->output, fn, user);
    visit_stack(&network->encoder, fn, user);
    visit_stack(&network->decoder, fn, user);
}

static void free_part(const hdl__network_part *part, void *device)
{
    if (part->weight != NULL) hdl_weight_close(device, *part->weight);
    else if (part->embedding != NULL) hdl_embedding_close(device, *part->embedding);
    else hdl_device_free(device, *part->floats, (size_t)part->n_floats * sizeof(float));
}

void hdl__network_free(hdl__network *n)
{
    if (n == NULL) return;
    if (n->device != NULL) {
        hdl__network_visit(n, free_part, n->device);
        hdl_device_close(n->device);
    }
    hdl__free(n->encoder.layers);
    hdl__free(n->decoder.layers);
    hdl__free(n->device_name);
    hdl__free(n);
}

hdl_status hdl__network_begin(hdl_model *model, const hdl__network_options *o, hdl__network **out)
{
    hdl_status status = HDL_OK;
    hdl__counters *counters;
    hdl__network *n = hdl__calloc(1, sizeof *n);
    HDL_CHECK(n != NULL, HDL_ENOMEM, "no memory for a network");
    n->model = model;
    n->max_positions = o->max_positions;
    n->asked = o->compute;
    if (o->device_options != NULL) {
        n->isa = o->device_options->isa;
        n->products = o->device_options->products;
        n->hooked = o->device_options->hooks != NULL;
    }
    n->device_name = hdl__strdup(o->device);
    HDL_CHECK(n->device_name != NULL, HDL_ENOMEM, "no memory for a device name");
    HDL_TRY(hdl__device_open_counted(o->device, o->device_options, &counters, &n->device));
    *out = n;
    n = NULL;
done:
    hdl__network_free(n);
    return status;
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
    hdl__network *n = NULL;
    HDL_TRY(hdl__network_begin(model, o, &n));
    packer.network = n;
    HDL_TRY(hdl_stream_create(n->device, &packer.stream));
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
    hdl__network_free(n);
    return status;
}

/* "cuda" is "cuda:0"; "auto" is what an earlier "auto" has found. */
static bool is_device(const hdl__network *n, const char *asked)
{
    hdl__device_name name;
    if (strcmp(n->device_name, asked) == 0) return true;
    return strcmp(asked, "auto") != 0 && hdl__device_name_read(asked, &name) == HDL_OK
           && strcmp(n->device->info.name, name.kind) == 0 && n->device->info.index == name.index;
}

static bool network_fits(const hdl__network *n, const hdl__network_options *o)
{
    const hdl_isa isa = o->device_options != NULL ? o->device_options->isa : HDL_ISA_AUTO;
    const hdl_products products = o->device_options != NULL ? o->device_options->products : HDL_PRODUCTS_AUTO;
    const bool hooks = o->device_options != NULL && o->device_options->hooks != NULL;
    const bool same_compute = n->asked == o->compute || n->compute == resolve_compute(n->model, n->device, o->compute);
    return !hooks && !n->hooked && is_device(n, o->device) && same_compute && n->isa == isa && n->products == products
           && n->max_positions == o->max_positions;
}

/* Networks that exist already; NULL where there is none. */
static hdl__network *find_network(const hdl_model *model, const hdl__network_options *o)
{
    hdl__network *n = model->networks;
    while (n != NULL && !network_fits(n, o)) n = n->next;
    return n;
}

/* out[i] NULL becomes a network: the first is packed unless one of the others exists, the rest are copies. */
static hdl_status make_missing(hdl_model *model, const hdl__network_options *options, int32_t n, hdl__network **out)
{
    hdl_status status = HDL_OK;
    hdl__network *packed = NULL, *missing[HDL_MOST_REPLICAS] = {NULL};
    const char *names[HDL_MOST_REPLICAS];
    int32_t source = 0, n_missing = 0;
    while (source < n && out[source] == NULL) source++;
    if (source == n) {
        status = pack_network(model, &options[0], &packed);
        if (status == HDL_ENOMEM && n > 1) (void)hdl__fail_prefix(status, options[0].device);
        if (status != HDL_OK) goto done;
        out[source = 0] = packed;
    }
    for (int32_t i = 0; i < n; i++)
        if (out[i] == NULL) names[n_missing++] = options[i].device;
    if (n_missing > 0) HDL_TRY(hdl__network_copy(out[source], &options[0], names, n_missing, missing));
    for (int32_t i = n - 1; i >= 0; i--)
        if (out[i] == NULL) out[i] = missing[--n_missing];
    packed = NULL;
done:
    hdl__network_free(packed);
    return status;
}

hdl_status hdl__network_acquire_all(hdl_model *model, const hdl__network_options *options, const hdl__device_set *devices,
                                    hdl__network **out)
{
    hdl_status status = HDL_OK;
    hdl__network_options each[HDL_MOST_REPLICAS];
    pthread_mutex_lock(&model->mutex);
    for (int32_t i = 0; i < devices->n; i++) {
        each[i] = *options;
        each[i].device = devices->names[i];
        out[i] = find_network(model, &each[i]);
    }
    HDL_TRY(make_missing(model, each, devices->n, out));
    for (int32_t i = 0; i < devices->n; i++) {
        model->users++;
        if (out[i]->users++ > 0) continue;
        out[i]->next = model->networks;
        model->networks = out[i];
    }
done:
    pthread_mutex_unlock(&model->mutex);
    return status;
}

hdl_status hdl__network_acquire(hdl_model *model, const hdl__network_options *options, hdl__network **out)
{
    hdl_status status = HDL_OK;
    hdl__device_set devices;
    hdl__network *found[HDL_MOST_REPLICAS];
    HDL_TRY(hdl__device_set_read(options->device, options->device_options, &devices));
    HDL_CHECK(devices.n == 1, HDL_EINVAL, "device: \"%s\" is %d devices, one is wanted here", options->device, devices.n);
    HDL_TRY(hdl__network_acquire_all(model, options, &devices, found));
    *out = found[0];
done:
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
    if (last) hdl__network_free(network);
}
