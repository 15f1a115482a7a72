/* network_pack.c - canonical tensors to packed weights on a device. */
#include "model/network_pack.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

void hdl__format_name(char name[HDL__NAME_BYTES], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(name, HDL__NAME_BYTES, format, args);
    va_end(args);
}

/* Device copy of host floats. Setup only: waits for the upload. */
static hdl_status put_floats(hdl__packer *p, const float *values, int64_t n, float **out)
{
    hdl_status status = HDL_OK;
    void *block = NULL;
    const size_t bytes = (size_t)n * sizeof(float);
    HDL_TRY(hdl_device_alloc(p->network->device, bytes, &block));
    HDL_TRY(hdl_stream_upload(p->stream, block, values, bytes));
    HDL_TRY(hdl_stream_wait(p->stream));
    p->network->bytes += bytes;
    *out = block;
    block = NULL;
done:
    hdl_device_free(p->network->device, block, bytes);
    return status;
}

/* A vector by canonical name to the device; *out stays NULL when the checkpoint has none. */
static hdl_status pack_vector(hdl__packer *p, const char *name, float **out)
{
    hdl_status status = HDL_OK;
    float *values = NULL;
    const hdl__param *param = hdl__checkpoint_find(p->checkpoint, "%s", name);
    if (param == NULL) return HDL_OK;
    const int64_t n = hdl__param_count(param);
    values = hdl__calloc((size_t)n, sizeof *values);
    HDL_CHECK(values != NULL, HDL_ENOMEM, "no memory for %s", name);
    hdl__param_values(param, values);
    HDL_TRY(put_floats(p, values, n, out));
done:
    hdl__free(values);
    return status;
}

hdl_status hdl__pack_norm(hdl__packer *p, const char *prefix, hdl__norm_weights *out)
{
    hdl_status status = HDL_OK;
    char name[HDL__NAME_BYTES];
    hdl__format_name(name, "%s.gamma", prefix);
    HDL_TRY(pack_vector(p, name, &out->gamma));
    hdl__format_name(name, "%s.beta", prefix);
    HDL_TRY(pack_vector(p, name, &out->beta));
done:
    return status;
}

/* The biases of the parts, one after the other; NULL when no part has one. */
static hdl_status pack_bias(hdl__packer *p, const char *const *prefixes, const hdl_pack_part *parts, int n_parts,
                            hdl__linear *out)
{
    hdl_status status = HDL_OK;
    float *values = hdl__calloc((size_t)out->N, sizeof *values);
    int64_t at = 0;
    bool any = false;
    HDL_CHECK(values != NULL, HDL_ENOMEM, "no memory for %s.bias", prefixes[0]);
    for (int i = 0; i < n_parts; i++) {
        const hdl__param *bias = hdl__checkpoint_find(p->checkpoint, "%s.bias", prefixes[i]);
        if (bias != NULL) {
            hdl__param_values(bias, values + at);
            any = true;
        }
        at += parts[i].rows;
    }
    if (any) HDL_TRY(put_floats(p, values, out->N, &out->bias));
done:
    hdl__free(values);
    return status;
}

hdl_pack_part hdl__pack_part_of(const hdl__param *param)
{
    return (hdl_pack_part){
        .data = param->data,
        .dtype = param->dtype,
        .rows = (int32_t)param->shape[param->transposed ? 1 : 0],
        .transposed = param->transposed,
        .scale = param->scale,
        .n_scale = (int32_t)param->n_scale,
    };
}

/* Stored scales divided by the gain: stored / (scale / gain) = gain * value. *owned is to be freed. */
static hdl_status apply_gain(float gain, hdl_pack_part *part, float **owned)
{
    hdl_status status = HDL_OK;
    const int32_t n = part->scale != NULL ? part->n_scale : 1;
    if (gain == 1.0f) return HDL_OK;
    *owned = hdl__calloc((size_t)n, sizeof **owned);
    HDL_CHECK(*owned != NULL, HDL_ENOMEM, "no memory for %d scales", n);
    for (int32_t i = 0; i < n; i++) (*owned)[i] = (part->scale != NULL ? part->scale[i] : 1.0f) / gain;
    part->scale = *owned;
    part->n_scale = n;
done:
    return status;
}

/* What has been packed is not read again (embedding rows are, one at a time). */
static void release_weight(const hdl__packer *p, const char *prefix)
{
    const hdl__param *param = hdl__checkpoint_find(p->checkpoint, "%s.weight", prefix);
    hdl__param_release(p->checkpoint, param, 0, (size_t)hdl__param_count(param) * hdl_dtype_bytes(param->dtype));
}

hdl_status hdl__pack_linear(hdl__packer *p, const char *const *prefixes, int n_parts, hdl__linear *out)
{
    hdl_status status = HDL_OK;
    hdl_pack_part parts[HDL__MAX_PARTS];
    float *scales[HDL__MAX_PARTS] = {NULL};
    hdl_pack_args args = HDL_PACK_ARGS_INIT;
    for (int i = 0; i < n_parts; i++) {
        const hdl__param *param = hdl__checkpoint_find(p->checkpoint, "%s.weight", prefixes[i]);
        HDL_CHECK(param != NULL, HDL_EFORMAT, "tensor %s.weight is missing", prefixes[i]);
        parts[i] = hdl__pack_part_of(param);
        HDL_TRY(apply_gain(p->gain, &parts[i], &scales[i]));
        out->N += parts[i].rows;
        out->K = (int32_t)param->shape[param->transposed ? 0 : 1];
    }
    args.parts = parts;
    args.n_parts = n_parts;
    args.N = out->N;
    args.K = out->K;
    args.compute = p->network->compute;
    args.use = p->use;
    HDL_TRY(hdl_weight_pack(p->network->device, &args, &out->w));
    p->network->bytes += hdl_weight_bytes(p->network->device, out->w);
    HDL_TRY(pack_bias(p, prefixes, parts, n_parts, out));
    for (int i = 0; i < n_parts; i++) release_weight(p, prefixes[i]);
done:
    for (int i = 0; i < n_parts; i++) hdl__free(scales[i]);
    return status;
}

/* Sinusoids are computed in double and rounded once; docs/formats.md has the three conventions. */
static void fill_sinusoid(hdl__position_kind kind, int32_t n, int32_t E, float *out)
{
    const int32_t half = E / 2, first = kind == HDL__POSITIONS_CT2 ? 1 : 0;
    for (int32_t pos = 0; pos < n; pos++)
        for (int32_t j = 0; j < half; j++) {
            const double power = kind == HDL__POSITIONS_HF ? 2.0 * j / E : half > 1 ? (double)j / (half - 1) : 0.0;
            const double angle = (double)(pos + first) * pow(10000.0, -power);
            out[(int64_t)pos * E + j] = (float)sin(angle);
            out[(int64_t)pos * E + half + j] = (float)cos(angle);
        }
}

static bool have_same_sinusoids(const hdl__stack *a, const hdl__stack *b)
{
    return a->positions != NULL && a->config.positions == b->config.positions && a->config.positions != HDL__POSITIONS_TABLE
           && a->config.E == b->config.E && a->n_positions == b->n_positions;
}

hdl_status hdl__pack_positions(hdl__packer *p, const char *side, hdl__stack *stack)
{
    hdl_status status = HDL_OK;
    const hdl__stack_config *c = &stack->config;
    float *values = NULL;
    const int32_t wanted = p->network->max_positions;
    stack->n_positions = c->max_positions > 0 ? c->max_positions : wanted;
    if (c->positions == HDL__POSITIONS_NONE) return HDL_OK;
    if (stack == &p->network->decoder && have_same_sinusoids(&p->network->encoder, stack)) {
        stack->positions = p->network->encoder.positions;
        stack->borrows_positions = true;
        return HDL_OK;
    }
    values = hdl__calloc((size_t)stack->n_positions * (size_t)c->E, sizeof *values);
    HDL_CHECK(values != NULL, HDL_ENOMEM, "no memory for %d positions", stack->n_positions);
    if (c->positions == HDL__POSITIONS_TABLE) {
        const hdl__param *table = hdl__checkpoint_find(p->checkpoint, "%s.positions", side);
        HDL_CHECK(table != NULL, HDL_EFORMAT, "tensor %s.positions is missing", side);
        hdl__param_values(table, values);
    } else {
        fill_sinusoid(c->positions, stack->n_positions, c->E, values);
    }
    HDL_TRY(put_floats(p, values, (int64_t)stack->n_positions * c->E, &stack->positions));
done:
    hdl__free(values);
    return status;
}
