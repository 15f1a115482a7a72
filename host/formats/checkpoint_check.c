/* checkpoint_check.c - every tensor's name, shape and dtype against the configuration; the same rules for all formats. */
#include "formats/checkpoint_build.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES 256

/* Sizes that rules speak of. */
typedef enum dim { D_NONE = 0, D_E, D_2E, D_3E, D_F, D_V, D_POSITIONS, N_DIMS } dim;

/* rows: outputs. A rule with one dimension is a vector: float only, never transposed. */
typedef struct rule { const char *name; dim rows, columns; bool required; } rule;

static const rule self_fused[] = {{".self.qkv.weight", D_3E, D_E, true}, {".self.qkv.bias", D_3E, D_NONE, false}};
static const rule self_split[] = {
    {".self.q.weight", D_E, D_E, true}, {".self.q.bias", D_E, D_NONE, false},
    {".self.k.weight", D_E, D_E, true}, {".self.k.bias", D_E, D_NONE, false},
    {".self.v.weight", D_E, D_E, true}, {".self.v.bias", D_E, D_NONE, false},
};
static const rule cross_fused[] = {{".cross.kv.weight", D_2E, D_E, true}, {".cross.kv.bias", D_2E, D_NONE, false}};
static const rule cross_split[] = {
    {".cross.k.weight", D_E, D_E, true}, {".cross.k.bias", D_E, D_NONE, false},
    {".cross.v.weight", D_E, D_E, true}, {".cross.v.bias", D_E, D_NONE, false},
};
static const rule cross_rest[] = {
    {".cross.q.weight", D_E, D_E, true},   {".cross.q.bias", D_E, D_NONE, false},
    {".cross.out.weight", D_E, D_E, true}, {".cross.out.bias", D_E, D_NONE, false},
};
static const rule layer_rest[] = {
    {".self.out.weight", D_E, D_E, true}, {".self.out.bias", D_E, D_NONE, false},
    {".ffn.up.weight", D_F, D_E, true},   {".ffn.up.bias", D_F, D_NONE, false},
    {".ffn.gate.weight", D_F, D_E, false}, {".ffn.gate.bias", D_F, D_NONE, false},
    {".ffn.down.weight", D_E, D_F, true}, {".ffn.down.bias", D_E, D_NONE, false},
};
static const rule output_rules[] = {{".weight", D_V, D_E, true}, {".bias", D_V, D_NONE, false}};

typedef struct checker {
    const hdl__checkpoint  *checkpoint;
    const hdl__stack_config *stack;
    bool                   *seen;       /* [n_params] */
} checker;

static int64_t dim_size(const hdl__stack_config *stack, dim which)
{
    const int64_t sizes[N_DIMS] = {1, stack->E, 2 * (int64_t)stack->E, 3 * (int64_t)stack->E, stack->F, stack->V,
                                   stack->max_positions};
    return sizes[which];
}

static hdl_status check_scale(const hdl__param *p, int64_t rows)
{
    hdl_status status = HDL_OK;
    bool quantised = p->dtype == HDL_I8 || p->dtype == HDL_I16;
    HDL_CHECK((p->scale != NULL) == (p->n_scale != 0) && quantised == (p->scale != NULL), HDL_EFORMAT,
              "tensor %s: %" PRId64 " scales for dtype %s", p->name, p->n_scale, hdl_dtype_name(p->dtype));
    HDL_CHECK(p->scale == NULL || p->n_scale == 1 || p->n_scale == rows, HDL_EFORMAT,
              "tensor %s: %" PRId64 " scales, expected 1 or %" PRId64, p->name, p->n_scale, rows);
    for (int64_t i = 0; i < p->n_scale; i++)
        HDL_CHECK(isfinite(p->scale[i]) && p->scale[i] > 0.0f, HDL_EFORMAT,
                  "tensor %s: scale %" PRId64 " is %g, expected a positive number", p->name, i, (double)p->scale[i]);
done:
    return status;
}

static hdl_status check_param(const checker *c, const hdl__param *p, const rule *r, bool lookup)
{
    hdl_status status = HDL_OK;
    bool matrix = r->columns != D_NONE, quantised = p->dtype == HDL_I8 || p->dtype == HDL_I16;
    int64_t rows = dim_size(c->stack, r->rows), columns = dim_size(c->stack, r->columns);
    HDL_CHECK(p->dtype == HDL_F32 || p->dtype == HDL_F16 || p->dtype == HDL_BF16 || (matrix && quantised),
              HDL_EFORMAT, "tensor %s: dtype %s, expected f32, f16 or bf16%s", p->name, hdl_dtype_name(p->dtype),
              matrix ? ", i8 or i16" : "");
    HDL_CHECK(p->rank == (matrix ? 2 : 1), HDL_EFORMAT, "tensor %s: rank %d, expected %d", p->name, p->rank,
              matrix ? 2 : 1);
    HDL_CHECK(!p->transposed || (matrix && !lookup), HDL_EFORMAT, "tensor %s: cannot be stored transposed", p->name);
    if (matrix) {
        int64_t first = p->transposed ? columns : rows, second = p->transposed ? rows : columns;
        HDL_CHECK(p->shape[0] == first && p->shape[1] == second, HDL_EFORMAT,
                  "tensor %s: shape [%" PRId64 ", %" PRId64 "], expected [%" PRId64 ", %" PRId64 "]", p->name,
                  p->shape[0], p->shape[1], first, second);
    } else {
        HDL_CHECK(p->shape[0] == rows, HDL_EFORMAT, "tensor %s: shape [%" PRId64 "], expected [%" PRId64 "]",
                  p->name, p->shape[0], rows);
    }
    HDL_TRY(check_scale(p, rows));
    c->seen[p - c->checkpoint->params] = true;
done:
    return status;
}

static hdl_status check_rules(const checker *c, const char *prefix, const rule *rules, size_t n, bool lookup)
{
    hdl_status status = HDL_OK;
    for (size_t i = 0; i < n; i++) {
        const hdl__param *p = hdl__checkpoint_find(c->checkpoint, "%s%s", prefix, rules[i].name);
        HDL_CHECK(p != NULL || !rules[i].required, HDL_EFORMAT, "tensor %s%s is missing", prefix, rules[i].name);
        if (p != NULL) HDL_TRY(check_param(c, p, &rules[i], lookup));
    }
done:
    return status;
}

static hdl_status check_norm(const checker *c, const char *prefix, const char *which, bool required)
{
    hdl_status status = HDL_OK;
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s%s", prefix, which);
    const rule rules[] = {{".gamma", D_E, D_NONE, required}, {".beta", D_E, D_NONE, false}};
    HDL_TRY(check_rules(c, name, rules, c->stack->norm_kind == HDL_NORM_RMS ? 1 : 2, false));
    HDL_CHECK(hdl__checkpoint_find(c->checkpoint, "%s.beta", name) == NULL
                  || hdl__checkpoint_find(c->checkpoint, "%s.gamma", name) != NULL,
              HDL_EFORMAT, "tensor %s.beta has no %s.gamma", name, name);
done:
    return status;
}

static hdl_status check_layer(const checker *c, const char *prefix, bool has_cross)
{
    hdl_status status = HDL_OK;
    bool fused = hdl__checkpoint_find(c->checkpoint, "%s.self.qkv.weight", prefix) != NULL;
    HDL_TRY(check_norm(c, prefix, ".self.norm", true));
    if (fused) HDL_TRY(check_rules(c, prefix, self_fused, sizeof self_fused / sizeof *self_fused, false));
    else HDL_TRY(check_rules(c, prefix, self_split, sizeof self_split / sizeof *self_split, false));
    if (has_cross) {
        fused = hdl__checkpoint_find(c->checkpoint, "%s.cross.kv.weight", prefix) != NULL;
        HDL_TRY(check_norm(c, prefix, ".cross.norm", true));
        if (fused) HDL_TRY(check_rules(c, prefix, cross_fused, sizeof cross_fused / sizeof *cross_fused, false));
        else HDL_TRY(check_rules(c, prefix, cross_split, sizeof cross_split / sizeof *cross_split, false));
        HDL_TRY(check_rules(c, prefix, cross_rest, sizeof cross_rest / sizeof *cross_rest, false));
    }
    HDL_TRY(check_norm(c, prefix, ".ffn.norm", true));
    HDL_TRY(check_rules(c, prefix, layer_rest, sizeof layer_rest / sizeof *layer_rest, false));
done:
    return status;
}

static hdl_status check_stack(checker *c, const hdl__stack_config *stack, const char *side, bool has_cross)
{
    hdl_status status = HDL_OK;
    char prefix[NAME_BYTES];
    const rule embed = {".embed", D_V, D_E, true};
    const rule positions = {".positions", D_POSITIONS, D_E, true};
    c->stack = stack;
    HDL_TRY(check_rules(c, side, &embed, 1, true));
    if (stack->positions == HDL__POSITIONS_TABLE) HDL_TRY(check_rules(c, side, &positions, 1, true));
    HDL_TRY(check_norm(c, side, ".embed_norm", false));
    if (stack->pre_norm) HDL_TRY(check_norm(c, side, ".final_norm", false));
    for (int32_t i = 0; i < stack->n_layers; i++) {
        snprintf(prefix, sizeof prefix, "%s.%d", side, i);
        HDL_TRY(check_layer(c, prefix, has_cross));
    }
    if (has_cross) HDL_TRY(check_rules(c, "output", output_rules, 2, false));
done:
    return status;
}

hdl_status hdl__checkpoint_check(const hdl__checkpoint *checkpoint)
{
    hdl_status status = HDL_OK;
    checker c = {.checkpoint = checkpoint};
    HDL_TRY(hdl__config_check(checkpoint));
    c.seen = hdl__calloc((size_t)checkpoint->n_params, sizeof *c.seen);
    HDL_CHECK(c.seen != NULL, HDL_ENOMEM, "no memory to check %d tensors", checkpoint->n_params);
    for (int32_t i = 1; i < checkpoint->n_params; i++)
        HDL_CHECK(strcmp(checkpoint->params[i - 1].name, checkpoint->params[i].name) != 0, HDL_EFORMAT,
                  "two tensors are named %s", checkpoint->params[i].name);
    HDL_TRY(check_stack(&c, &checkpoint->config.encoder, "encoder", false));
    HDL_TRY(check_stack(&c, &checkpoint->config.decoder, "decoder", true));
    for (int32_t i = 0; i < checkpoint->n_params; i++)
        HDL_CHECK(c.seen[i], HDL_EFORMAT, "tensor %s has no place in this model", checkpoint->params[i].name);
    HDL_TRY(hdl__checkpoint_check_finite(checkpoint));
done:
    hdl__free(c.seen);
    return status;
}
