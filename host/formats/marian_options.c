/* marian_options.c - Marian's model options into a configuration; everything that is not computed is named. */
#include "formats/marian_file.h"

#include <string.h>

#define NORM_EPS   1e-6f    /* Marian's own */
#define MAX_DIGITS 9
#define LAST_LAYER "last"

static bool read_int(const char *text, int32_t *out)
{
    int32_t value = 0;
    size_t n = strlen(text);
    if (n == 0 || n > MAX_DIGITS) return false;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        value = value * 10 + (text[i] - '0');
    }
    *out = value;
    return true;
}

static bool is_true(const char *text) { return strcmp(text, "true") == 0 || strcmp(text, "1") == 0; }

/* Options that must stand at one value; absent ones have it. */
static hdl_status check_fixed(const hdl__yaml *options, const char *file)
{
    static const struct { const char *key, *value; } fixed[] = {
        {"type", "transformer"}, {"transformer-decoder-autoreg", "self-attention"},
        {"transformer-ffn-depth", "2"},
    };
    static const char *const off[] = {
        "transformer-no-projection", "transformer-no-bias", "transformer-no-affine", "transformer-pool",
        "transformer-disable-position-embeddings", "transformer-rnn-projection", "right-left", "lemma-dependency",
        "transformer-aan-nogate",
    };
    hdl_status status = HDL_OK;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        const char *value = hdl__yaml_get(options, fixed[i].key, 0);
        HDL_CHECK(value == NULL || strcmp(value, fixed[i].value) == 0, HDL_ENOSUPPORT,
                  "%s: %s is \"%s\", only \"%s\" is computed", file, fixed[i].key, value, fixed[i].value);
    }
    for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
        const char *value = hdl__yaml_get(options, off[i], 0);
        HDL_CHECK(value == NULL || !is_true(value), HDL_ENOSUPPORT, "%s: %s is not computed", file, off[i]);
    }
    const char *depth = hdl__yaml_get(options, "transformer-decoder-ffn-depth", 0);
    HDL_CHECK(depth == NULL || strcmp(depth, "0") == 0 || strcmp(depth, "2") == 0, HDL_ENOSUPPORT,
              "%s: transformer-decoder-ffn-depth is %s, only 2 is computed", file, depth);
    HDL_CHECK(hdl__yaml_get(options, "transformer-tied-layers", 0) == NULL
                  || strcmp(hdl__yaml_get(options, "transformer-tied-layers", 0), "[]") == 0,
              HDL_ENOSUPPORT, "%s: transformer-tied-layers is not computed", file);
done:
    return status;
}

/* The operations of a layer's edge without dropout, which acts in training only. */
static hdl_status check_operations(const hdl__yaml *options, const char *file)
{
    static const struct { const char *key, *fallback, *allowed, *other; } edges[] = {
        {"transformer-preprocess", "", "", ""},
        {"transformer-postprocess", "dan", "an", "an"},
        {"transformer-postprocess-emb", "d", "", "n"},
        {"transformer-postprocess-top", "", "", ""},
    };
    hdl_status status = HDL_OK;
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        const char *value = hdl__yaml_get(options, edges[i].key, 0);
        char kept[8] = "";
        size_t n = 0;
        if (value == NULL) value = edges[i].fallback;
        for (const char *at = value; *at != '\0' && n < sizeof kept - 1; at++)
            if (*at != 'd') kept[n++] = *at;
        HDL_CHECK(strcmp(kept, edges[i].allowed) == 0 || strcmp(kept, edges[i].other) == 0, HDL_ENOSUPPORT,
                  "%s: %s is \"%s\"; only post-norm (postprocess dan) is computed", file, edges[i].key, value);
    }
done:
    return status;
}

static hdl_status read_activation(const hdl__yaml *options, const char *file, hdl_activation *out)
{
    static const struct { const char *name; hdl_activation activation; } table[] = {
        {"swish", HDL_ACT_SWISH}, {"relu", HDL_ACT_RELU}, {"gelu", HDL_ACT_GELU_SIGMOID},
    };
    hdl_status status = HDL_OK;
    const char *value = hdl__yaml_get(options, "transformer-ffn-activation", 0);
    size_t i = 0;
    if (value == NULL) value = "swish";    /* Marian's default */
    while (i < sizeof table / sizeof *table && strcmp(table[i].name, value) != 0) i++;
    HDL_CHECK(i < sizeof table / sizeof *table, HDL_ENOSUPPORT,
              "%s: transformer-ffn-activation \"%s\" is not computed", file, value);
    *out = table[i].activation;
done:
    return status;
}

static hdl_status read_alignment(const hdl__yaml *options, const char *file, hdl__config *config)
{
    hdl_status status = HDL_OK;
    const char *value = hdl__yaml_get(options, "transformer-guided-alignment-layer", 0);
    int32_t layer = 0;
    config->alignment_layer = -1;
    config->alignment_heads = 1;
    if (value == NULL || strcmp(value, LAST_LAYER) == 0) goto done;
    HDL_CHECK(read_int(value, &layer) && layer >= 1, HDL_EFORMAT,
              "%s: transformer-guided-alignment-layer is \"%s\", expected last or a number from 1", file, value);
    config->alignment_layer = layer - 1;
done:
    return status;
}

hdl_status hdl__marian_read_options(const hdl__yaml *options, const char *file, hdl__config *config)
{
    hdl_status status = HDL_OK;
    const char *heads = hdl__yaml_get(options, "transformer-heads", 0);
    HDL_TRY(check_fixed(options, file));
    HDL_TRY(check_operations(options, file));
    HDL_CHECK(heads != NULL && read_int(heads, &config->encoder.H), HDL_EFORMAT,
              "%s: transformer-heads is %s, expected a number", file, heads == NULL ? "missing" : heads);
    HDL_TRY(read_activation(options, file, &config->encoder.activation));
    HDL_TRY(read_alignment(options, file, config));
    config->encoder.norm_eps = NORM_EPS;
    config->encoder.positions = HDL__POSITIONS_MARIAN;
    config->decoder = config->encoder;
    config->start_is_zero = true;
    config->source_eos = config->text_source_eos = true;
done:
    return status;
}
