/* ct2_models.h - tiny CTranslate2 models made in memory for the tests, plain or one change away from it. */
#ifndef HEDDLE_TEST_CT2_MODELS_H
#define HEDDLE_TEST_CT2_MODELS_H

#include "format_models.h"

#include <math.h>

static const char vocabulary[] = "[\"<unk>\", \"<s>\", \"</s>\", \"a\", \"b\"]";
static const char plain_config[] = "{\"layer_norm_epsilon\": null, \"decoder_start_token\": \"<s>\"}";

enum { TYPE_F32, TYPE_I8, TYPE_I16, TYPE_I32, TYPE_F16, TYPE_BF16 };

/* How the tiny model differs from the plain one. */
typedef struct variant {
    const char *label;
    const char *drop, *rename_to;       /* one variable: left out (rename_to NULL) or renamed */
    const char *extra;                  /* one more variable: an i8 scalar of this value */
    int         extra_value;
    const char *alias, *target;         /* one alias */
    const char *alias2, *target2;
    const char *bad;                    /* one variable with other dimensions, dtype, or a NaN */
    uint32_t    bad_rows, bad_columns;
    int         bad_dtype;              /* -1: as it is */
    bool        bad_nan;
    hdl_status  status;
    const char *words;
} variant;

typedef struct writer { hdl__str bytes; uint32_t n; unsigned version; const variant *v; size_t count_at; } writer;

static inline void put_string(hdl__str *s, const char *text)
{
    put_u16(s, (unsigned)strlen(text) + 1);
    hdl__str_add(s, text, strlen(text) + 1);
}

static inline void put_values(writer *w, size_t n, int dtype, bool nan)
{
    for (size_t i = 0; i < n; i++) {
        float f = nan && i == n - 1 ? NAN : tiny_value(w->n, i);
        if (dtype == TYPE_F32) hdl__str_add(&w->bytes, (char *)&f, sizeof f);
        else if (dtype == TYPE_I8) put_u8(&w->bytes, (unsigned)(int)(f * 100.0f) & 0xFF);
        else if (dtype == TYPE_I32) put_u32(&w->bytes, (uint32_t)(int32_t)(f * 100.0f));
        else if (dtype == TYPE_I16) put_u16(&w->bytes, (unsigned)(int)(f * 100.0f) & 0xFFFF);
        else put_u16(&w->bytes, nan && i == n - 1 ? 0x7FFF : 0x3C00);    /* f16 1.0; as bf16 0.0078 */
    }
}

static inline void put_variable(writer *w, const char *name, uint32_t rows, uint32_t columns, int dtype)
{
    static const unsigned sizes[] = {4, 1, 2, 4, 2, 2};
    const variant *v = w->v;
    bool nan = false;
    if (v->drop != NULL && strcmp(v->drop, name) == 0) {
        if (v->rename_to == NULL) return;
        name = v->rename_to;
    }
    if (v->bad != NULL && strcmp(v->bad, name) == 0) {
        if (v->bad_rows > 0) rows = v->bad_rows;
        if (v->bad_columns > 0) columns = v->bad_columns;
        if (v->bad_dtype >= 0) dtype = v->bad_dtype;
        nan = v->bad_nan;
    }
    unsigned rank = columns > 0 ? 2 : rows > 0 ? 1 : 0;
    size_t n = (size_t)(rows > 0 ? rows : 1) * (columns > 0 ? columns : 1);
    put_string(&w->bytes, name);
    put_u8(&w->bytes, rank);
    if (rank > 0) put_u32(&w->bytes, rows);
    if (rank > 1) put_u32(&w->bytes, columns);
    put_u8(&w->bytes, w->version >= 4 ? (unsigned)dtype : sizes[dtype]);
    put_u32(&w->bytes, (uint32_t)(w->version >= 4 ? n * sizes[dtype] : n));
    put_values(w, n, dtype, nan);
    w->n++;
}

static inline void put_scalar(writer *w, const char *name, int value)
{
    put_string(&w->bytes, name);
    put_u8(&w->bytes, 0);
    put_u8(&w->bytes, 1);
    put_u32(&w->bytes, 1);
    put_u8(&w->bytes, (unsigned)value & 0xFF);
    w->n++;
}

/* One linear or norm of a layer: the weight [rows, columns] or gamma, and its bias or beta. */
static inline void put_pair(writer *w, const char *scope, const char *name, uint32_t rows, uint32_t columns)
{
    char full[128];
    snprintf(full, sizeof full, "%s/%s/%s", scope, name, columns > 0 ? "weight" : "gamma");
    put_variable(w, full, rows, columns, TYPE_F32);
    snprintf(full, sizeof full, "%s/%s/%s", scope, name, columns > 0 ? "bias" : "beta");
    put_variable(w, full, rows, 0, TYPE_F32);
}

static inline void put_side(writer *w, const char *side, bool decoder)
{
    char scope[64], name[128];
    snprintf(name, sizeof name, "%s/embeddings%s/weight", side, decoder || w->version < 4 ? "" : "_0");
    put_variable(w, name, TINY_V, TINY_E, TYPE_F32);
    snprintf(scope, sizeof scope, "%s/layer_0", side);
    put_pair(w, scope, "self_attention/layer_norm", TINY_E, 0);
    put_pair(w, scope, "self_attention/linear_0", 3 * TINY_E, TINY_E);
    put_pair(w, scope, "self_attention/linear_1", TINY_E, TINY_E);
    if (decoder) {
        put_pair(w, scope, "attention/layer_norm", TINY_E, 0);
        put_pair(w, scope, "attention/linear_0", TINY_E, TINY_E);
        put_pair(w, scope, "attention/linear_1", 2 * TINY_E, TINY_E);
        put_pair(w, scope, "attention/linear_2", TINY_E, TINY_E);
        put_pair(w, side, "projection", TINY_V, TINY_E);
    }
    put_pair(w, scope, "ffn/layer_norm", TINY_E, 0);
    put_pair(w, scope, "ffn/linear_0", TINY_F, TINY_E);
    put_pair(w, scope, "ffn/linear_1", TINY_E, TINY_F);
    put_pair(w, side, "layer_norm", TINY_E, 0);
}

static inline void make_ct2(model_files *m, unsigned version, const variant *v)
{
    static const variant none = {.bad_dtype = -1};
    writer w = {.version = version, .v = v == NULL ? &none : v};
    put_u32(&w.bytes, version);
    if (version >= 2) {
        put_string(&w.bytes, "TransformerSpec");
        put_u32(&w.bytes, version >= 5 ? 7 : 4);
    }
    size_t count_at = w.bytes.n;
    put_u32(&w.bytes, 0);
    put_side(&w, "encoder", false);
    put_side(&w, "decoder", true);
    if (version >= 5) {
        put_scalar(&w, "encoder/num_heads", TINY_H);
        put_scalar(&w, "decoder/num_heads", TINY_H);
    } else {
        put_scalar(&w, "num_heads", TINY_H);
    }
    if (w.v->extra != NULL) put_scalar(&w, w.v->extra, w.v->extra_value);
    memcpy(w.bytes.data + count_at, &w.n, sizeof w.n);
    if (version >= 3) {
        put_u32(&w.bytes, (w.v->alias != NULL ? 1U : 0U) + (w.v->alias2 != NULL ? 1U : 0U));
        if (w.v->alias != NULL) put_string(&w.bytes, w.v->alias), put_string(&w.bytes, w.v->target);
        if (w.v->alias2 != NULL) put_string(&w.bytes, w.v->alias2), put_string(&w.bytes, w.v->target2);
    }
    put_file(m, "model.bin", w.bytes.data, w.bytes.n);
    put_text(m, "shared_vocabulary.json", vocabulary);
    if (version >= 6) put_text(m, "config.json", plain_config);
    hdl__str_free(&w.bytes);
}

#endif
