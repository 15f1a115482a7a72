/* config_check.c - a configuration within what the engine computes, and weights that are finite. */
#include "formats/checkpoint_build.h"

#include <math.h>
#include <string.h>

#define MAX_LAYERS 1024       /* layers are int32 loops; no model comes near */
#define MAX_WIDTH  16384      /* norm.h: E 1 to 16384 */
#define MAX_FFN    1048576
#define MAX_VOCAB  16777216
#define BLOCK      4096       /* values tested between two branches */

static hdl_status check_range(const char *side, const char *what, int32_t value, int32_t low, int32_t high)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(value >= low && value <= high, HDL_EFORMAT, "%s: %s is %d, expected %d to %d", side, what, value, low,
              high);
done:
    return status;
}

static hdl_status check_stack_config(const char *side, const hdl__stack_config *stack,
                                     const hdl__vocabulary *vocabulary)
{
    hdl_status status = HDL_OK;
    bool generated = stack->positions != HDL__POSITIONS_NONE && stack->positions != HDL__POSITIONS_TABLE;
    HDL_TRY(check_range(side, "number of layers", stack->n_layers, 1, MAX_LAYERS));
    HDL_TRY(check_range(side, "width", stack->E, 1, MAX_WIDTH));
    HDL_TRY(check_range(side, "feed-forward width", stack->F, 1, MAX_FFN));
    HDL_TRY(check_range(side, "vocabulary", stack->V, 1, MAX_VOCAB));
    HDL_TRY(check_range(side, "number of heads", stack->H, 1, stack->E));
    HDL_CHECK(stack->E % stack->H == 0, HDL_EFORMAT, "%s: width %d is not a multiple of %d heads", side, stack->E,
              stack->H);
    HDL_CHECK(!generated || (stack->E % 2 == 0 && stack->E > 2), HDL_EFORMAT,
              "%s: width %d, sinusoidal positions need an even one above 2", side, stack->E);
    HDL_CHECK(stack->max_positions >= 0 && (stack->positions != HDL__POSITIONS_TABLE || stack->max_positions > 0),
              HDL_EFORMAT, "%s: %d positions", side, stack->max_positions);
    HDL_CHECK(isfinite(stack->norm_eps) && stack->norm_eps > 0.0f, HDL_EFORMAT,
              "%s: epsilon of the norms is %g, expected a positive number", side, (double)stack->norm_eps);
    HDL_CHECK(isfinite(stack->embed_scale) && stack->embed_scale != 0.0f, HDL_EFORMAT,
              "%s: scale of the embeddings is %g", side, (double)stack->embed_scale);
    HDL_CHECK(isfinite(stack->attention_scale) && stack->attention_scale >= 0.0f, HDL_EFORMAT,
              "%s: scale of the queries is %g", side, (double)stack->attention_scale);
    HDL_CHECK(vocabulary->n == stack->V, HDL_EFORMAT, "%s: the vocabulary has %d tokens, the embedding %d rows", side,
              vocabulary->n, stack->V);
done:
    return status;
}

hdl_status hdl__config_check(const hdl__checkpoint *checkpoint)
{
    hdl_status status = HDL_OK;
    const hdl__config *config = &checkpoint->config;
    int32_t last = config->decoder.V - 1;
    HDL_TRY(check_stack_config("encoder", &config->encoder, &checkpoint->source_vocabulary));
    HDL_TRY(check_stack_config("decoder", &config->decoder, &checkpoint->target_vocabulary));
    HDL_CHECK(config->encoder.E == config->decoder.E, HDL_ENOSUPPORT,
              "encoder width %d and decoder width %d differ; they must be equal", config->encoder.E,
              config->decoder.E);
    HDL_CHECK(isfinite(config->output_scale) && config->output_scale != 0.0f, HDL_EFORMAT,
              "scale of the outputs is %g", (double)config->output_scale);
    HDL_TRY(check_range("decoder", "start id", config->start_id, -1, last));
    HDL_TRY(check_range("decoder", "end id", config->end_id, 0, last));
    HDL_TRY(check_range("decoder", "unknown id", config->unknown_id, -1, last));
    HDL_TRY(check_range("decoder", "pad id", config->pad_id, -1, last));
    HDL_TRY(check_range("decoder", "bos id", config->bos_id, -1, last));
    HDL_TRY(check_range("decoder", "alignment layer", config->alignment_layer, -1, config->decoder.n_layers - 1));
    HDL_TRY(check_range("decoder", "alignment heads", config->alignment_heads, 0, config->decoder.H));
    HDL_CHECK(config->max_source_length >= 0, HDL_EFORMAT, "max_source_length is %d", config->max_source_length);
done:
    return status;
}

#define STRETCH_VALUES ((size_t)1 << 20)

/* The first value whose exponent bits are all set (infinity or NaN), or n. */
static size_t find_nonfinite_32(const uint8_t *data, size_t n)
{
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t count = n - at < BLOCK ? n - at : BLOCK;
        uint32_t bits, bad = 0;
        for (size_t i = 0; i < count; i++) {
            memcpy(&bits, data + (at + i) * sizeof bits, sizeof bits);
            bad |= (bits & 0x7F800000U) == 0x7F800000U;
        }
        if (bad == 0) continue;
        for (size_t i = 0; i < count; i++) {
            memcpy(&bits, data + (at + i) * sizeof bits, sizeof bits);
            if ((bits & 0x7F800000U) == 0x7F800000U) return at + i;
        }
    }
    return n;
}

/* The same for 16-bit floats; `exponent` is 0x7C00 for f16, 0x7F80 for bf16. */
static size_t find_nonfinite_16(const uint8_t *data, size_t n, uint16_t exponent)
{
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t count = n - at < BLOCK ? n - at : BLOCK;
        uint16_t bits, bad = 0;
        for (size_t i = 0; i < count; i++) {
            memcpy(&bits, data + (at + i) * sizeof bits, sizeof bits);
            bad |= (uint16_t)((bits & exponent) == exponent);
        }
        if (bad == 0) continue;
        for (size_t i = 0; i < count; i++) {
            memcpy(&bits, data + (at + i) * sizeof bits, sizeof bits);
            if ((bits & exponent) == exponent) return at + i;
        }
    }
    return n;
}

/* Scans in stretches and lets go of each, so that a large file is never resident as a whole. */
static hdl_status check_values(const hdl__checkpoint *checkpoint, const hdl__param *p)
{
    hdl_status status = HDL_OK;
    const size_t size = hdl_dtype_bytes(p->dtype);
    const uint8_t *data = p->data;
    size_t n = 1;
    for (int32_t k = 0; k < p->rank; k++) n *= (size_t)p->shape[k];
    for (size_t at = 0; at < n; at += STRETCH_VALUES) {
        const size_t count = n - at < STRETCH_VALUES ? n - at : STRETCH_VALUES;
        const size_t bad = p->dtype == HDL_F32   ? find_nonfinite_32(data + at * size, count)
                           : p->dtype == HDL_F16 ? find_nonfinite_16(data + at * size, count, 0x7C00U)
                                                 : find_nonfinite_16(data + at * size, count, 0x7F80U);
        HDL_CHECK(bad == count, HDL_EFORMAT, "tensor %s: value %zu is not finite", p->name, at + bad);
        hdl__param_release(checkpoint, p, at * size, count * size);
    }
done:
    return status;
}

hdl_status hdl__checkpoint_check_finite(const hdl__checkpoint *checkpoint)
{
    hdl_status status = HDL_OK;
    const hdl__param *shared = hdl__checkpoint_find(checkpoint, "decoder.embed");
    for (int32_t i = 0; i < checkpoint->n_params; i++) {
        const hdl__param *p = &checkpoint->params[i];
        if (p != shared && shared != NULL && p->data == shared->data) continue;    /* tied: scanned once */
        if (p->dtype == HDL_F32 || p->dtype == HDL_F16 || p->dtype == HDL_BF16) HDL_TRY(check_values(checkpoint, p));
    }
done:
    return status;
}
